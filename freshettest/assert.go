package freshettest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Get asks h for a URL, as one client that reads all, and returns the response. header is a list of
// names and values. A target without a host is of http://example.com.
func Get(t testing.TB, h http.Handler, target string, header ...string) *http.Response {
	t.Helper()
	return Do(t, h, http.MethodGet, target, nil, header...)
}

// Do is [Get] with any method and body; body may be nil.
func Do(
	t testing.TB, h http.Handler, method, target string, body io.Reader, header ...string,
) *http.Response {
	t.Helper()
	if len(header)%2 != 0 {
		t.Fatalf("freshettest: %s %s: the header fields are names and values in turn: %q has no "+
			"value", method, target,
			header[len(header)-1])
	}
	r := httptest.NewRequest(method, target, body)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp
}

// Hit fails the test unless resp came from the store, without a run of the handler.
func Hit(t testing.TB, resp *http.Response) {
	t.Helper()
	if s := told(t, resp); !s.Hit {
		t.Errorf("%sshould have come from the store, but Cache-Status is %q", asked(resp),
			resp.Header.Values("Cache-Status"))
	}
}

// Miss fails the test unless the handler ran for resp, or resp was shared with a request for which
// it ran at the time.
func Miss(t testing.TB, resp *http.Response) {
	t.Helper()
	if s := told(t, resp); s.Hit || s.Fwd == "" {
		t.Errorf("%sshould have come from the handler, but Cache-Status is %q", asked(resp),
			resp.Header.Values("Cache-Status"))
	}
}

// Stored fails the test unless resp came from the handler and was stored, so that the next request
// for it may be a hit.
func Stored(t testing.TB, resp *http.Response) {
	t.Helper()
	if s := told(t, resp); !s.Stored {
		t.Errorf("%sshould have been stored, but Cache-Status is %q", asked(resp),
			resp.Header.Values("Cache-Status"))
	}
}

// NotStored fails the test if resp was stored or came from the store.
func NotStored(t testing.TB, resp *http.Response) {
	t.Helper()
	if s := told(t, resp); s.Stored || s.Hit {
		t.Errorf("%sshould not be in the store, but Cache-Status is %q", asked(resp),
			resp.Header.Values("Cache-Status"))
	}
}

// told is what the cache says, and a failure when none does.
func told(t testing.TB, resp *http.Response) Status {
	t.Helper()
	s := StatusOf(resp.Header)
	if s.Cache == "" {
		t.Fatalf("%swent past the cache: it has no Cache-Status", asked(resp))
	}
	return s
}

func asked(resp *http.Response) string {
	if resp.Request == nil || resp.Request.URL == nil {
		return "the response "
	}
	return resp.Request.Method + " " + resp.Request.URL.RequestURI() + ": the response "
}

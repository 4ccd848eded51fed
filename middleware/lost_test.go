package middleware_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
)

// A gateway says Fail and then writes its own error page: where nothing stale may stand in, that
// page is the answer, whole.
func TestFailBeforeTheResponseLeavesItWhole(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		middleware.FromContext(r.Context()).Fail(errors.New("connection refused"))
		http.Error(w, "the origin is lost", http.StatusBadGateway)
	}}
	server := httptest.NewServer(c.Handler(o))
	defer server.Close()
	for run := range int64(2) {
		res, err := http.Get(server.URL)
		if err != nil {
			t.Fatalf("the connection was aborted: %v", err)
		}
		body, err := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusBadGateway || string(body) != "the origin is lost\n" ||
			err != nil {
			t.Errorf("%d %q %v, want the handler's own 502", res.StatusCode, body, err)
		}
		if o.runs.Load() != run+1 {
			t.Errorf("%d runs, want %d: what a lost origin's handler writes is not stored",
				o.runs.Load(), run+1)
		}
	}
}

// The part that completes a stored one may be so short that it is held back until the handler
// returns.
func TestShortPartCompletesAStoredOne(t *testing.T) {
	c := newCache(t)
	var asked []string
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Range"))
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"v1"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("0123456789"))
	}}
	h := c.Handler(o)
	get(h, "http://example.com/", "Range", "bytes=0-3")
	for range 2 {
		res := get(h, "http://example.com/")
		if body, _ := io.ReadAll(res.Body); res.StatusCode != 200 || string(body) != "0123456789" {
			t.Errorf("%d %q, want the whole", res.StatusCode, body)
		}
	}
	if len(asked) != 2 || asked[1] != "bytes=4-" {
		t.Errorf("the handler was asked for %q, want the part and then what it lacks", asked)
	}
}

// A trailer that is its own client's alone is sent to that client: the response has no length then.
func TestATrailerOfOnesOwn(t *testing.T) {
	s := httptest.NewServer(newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		w.Header().Set("Cache-Control", `max-age=60, private="X-User"`)
		w.Header().Set("Trailer", "X-User")
		io.WriteString(w, "page")
		w.Header().Set("X-User", "alice")
	})))
	defer s.Close()
	for _, user := range []string{"alice", ""} { // the second time it is stored
		page, r := ask(t, "GET", s.URL)
		want(t, "the page", page, "page")
		want(t, "the trailer", r.Trailer.Get("X-User"), user)
	}
}

// net/http gives a short body its length, and then no trailer, unless it is told in time.
func TestTrailersOfAShortStoredResponse(t *testing.T) {
	c := newCache(t)
	server := httptest.NewServer(c.Handler(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "text")
		w.Header().Set("X-Sum", "42")
	})))
	defer server.Close()
	for _, want := range []string{"fwd=uri-miss", "hit"} {
		res, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if got := res.Header.Get("Cache-Status"); res.Trailer.Get("X-Sum") != "42" ||
			!strings.Contains(got, want) {
			t.Errorf("%s: trailer %v", got, res.Trailer)
		}
	}
}

// The log tells of a handler's panic that a stale page stands in for, and of none by which a
// handler merely breaks off.
func TestTheLogTellsOfAPanic(t *testing.T) {
	for _, value := range []any{"boom", http.ErrAbortHandler} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				if o.runs.Load() > 1 {
					panic(value)
				}
				w.Header().Set("Cache-Control", "max-age=1, stale-if-error=60")
				io.WriteString(w, "page")
			}
			h := c.Handler(o)
			get(h, "/")
			time.Sleep(5 * time.Second)
			want(t, "stale", body(get(h, "/")), "page")
			want(t, fmt.Sprint("the log tells of ", value),
				strings.Contains(log.String(), "panic=boom"), value == "boom")
			want(t, "the log is empty", log.Len() == 0, value != "boom")
		})
	}
}

// A response for one client whose handler says Fail when it has begun is cut off; one of which only
// the header has gone out is whole.
func TestFailBehindTheBeginning(t *testing.T) {
	for begin, cut := range map[string]bool{"begin": true, "": false} {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			io.WriteString(w, begin)
			w.(http.Flusher).Flush()
			middleware.FromContext(r.Context()).Fail(errors.New("connection reset"))
		}))
		want(t, begin+": cut off", cutOff(func() { get(h, "/") }), cut)
	}
}

package middleware

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// What a handler says through FromContext counts for an answer to POST that later GETs would have:
// also the first word of a process, and one that comes when the body has begun.
func TestWhatIsSaidOfAnAnswerToPOST(t *testing.T) {
	silent := func(ctx context.Context) {}
	for _, s := range []struct {
		name          string
		before, after func(context.Context)
		stored        bool
		covered       bool // by an invalidation of the tag
	}{
		{"nothing", silent, silent, true, false},
		{"NoStore", func(ctx context.Context) { FromContext(ctx).NoStore() }, silent, false, false},
		{"NoStore, late", silent, func(ctx context.Context) { FromContext(ctx).NoStore() }, false,
			false},
		{"Fail", func(ctx context.Context) { FromContext(ctx).Fail(errors.New("lost")) }, silent,
			false, false},
		{"Fail, late", silent, func(ctx context.Context) {
			FromContext(ctx).Fail(errors.New("lost"))
		}, false, false},
		{"Tag", func(ctx context.Context) { FromContext(ctx).Tag("notes") }, silent, true, true},
		{"Tag, late", silent, func(ctx context.Context) { FromContext(ctx).Tag("notes") }, true,
			true},
	} {
		for _, first := range []bool{true, false} {
			name := s.name
			if first {
				name += ", the first of the mount"
			}
			t.Run(name, func(t *testing.T) {
				var told policy.Outcome
				c := boundedCache(t, 1<<20, Options{Observe: func(r *http.Request, o Event) {
					if r.Method == "POST" {
						told = o.Outcome
					}
				}})
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == "GET" {
						return
					}
					w.Header().Set("Content-Location", "/")
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("Content-Length", "4")
					s.before(r.Context())
					io.WriteString(w, "pa")
					s.after(r.Context())
					io.WriteString(w, "ge")
				}))
				ask := func(method string) *httptest.ResponseRecorder {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
					return w
				}
				hit := func() bool {
					return strings.Contains(ask("GET").Header().Get("Cache-Status"), "hit")
				}
				ask("GET")
				h.(*Mount).who.hears.Store(!first)
				says := ask("POST").Header().Get("Cache-Status")
				stored := s.stored && (s.name == "nothing" || !first) // nobody heard the first word
				want(t, "stored, as the observer hears it", told.Stored, stored)
				if !strings.Contains(s.name, "late") {
					want(t, "stored, as "+says+" has it", strings.Contains(says, "stored"), stored)
				}
				want(t, "the next GET is a hit", hit(), stored)
				ask("POST")
				want(t, "it is a hit after the second POST", hit(), s.stored)
				if _, err := c.Invalidate(t.Context(), store.Mark{Kind: store.MarkTag,
					Name: "notes"}); err != nil {
					t.Fatal(err)
				}
				want(t, "it is a hit when the tag has been invalidated", hit(), s.stored &&
					!s.covered)
			})
		}
	}
}

// What the handler of a page says while that of a POST runs is heard, and says nothing of the
// POST's answer.
func TestWhatIsSaidOfAPageWhileAPOSTRuns(t *testing.T) {
	c := boundedCache(t, 1<<20)
	var h http.Handler
	h = c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			FromContext(r.Context()).Tag("notes")
			return
		}
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/page", nil))
		w.Header().Set("Content-Location", "/")
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "4")
		io.WriteString(w, "note")
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
	if says := w.Header().Get("Cache-Status"); !strings.Contains(says, "stored") {
		t.Errorf("the POST is the first of its mount: %q", says)
	}
}

// A stored page may be a part of the answer to a POST whose handler is heard.
func TestAStoredPageInAnAnswerToPOST(t *testing.T) {
	c := boundedCache(t, 1<<20)
	page := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		io.WriteString(w, "page")
	}))
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			return
		}
		part := httptest.NewRecorder()
		page.ServeHTTP(part, httptest.NewRequest("GET", "/page", nil).WithContext(r.Context()))
		io.WriteString(w, "with the "+part.Body.String())
	}))
	ask := func(method string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		return w
	}
	ask("GET")
	h.(*Mount).who.hears.Store(true)
	for range 2 { // the second time it is stored
		want(t, "the answer", ask("POST").Body.String(), "with the page")
	}
}

// The request that a handler of a POST gets is its own where it may speak, and what it read into it
// is found outside: the server removes the files of its form.
func TestTheFormOfAPOSTThatMaySpeakIsFoundOutside(t *testing.T) {
	h := boundedCache(t, 1<<20).Handler(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		if r.Method == "OPTIONS" {
			return
		}
		if FromContext(r.Context()) == nil {
			t.Error("the handler cannot speak")
		}
		if err := r.ParseMultipartForm(1 << 10); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("OPTIONS", "/", nil))
	h.(*Mount).who.hears.Store(true)
	form := "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n"
	r := httptest.NewRequest("POST", "/", strings.NewReader(form))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	func() {
		defer func() { recover() }()
		h.ServeHTTP(httptest.NewRecorder(), r)
	}()
	if r.MultipartForm == nil || r.MultipartForm.Value["a"][0] != "b" || r.Form == nil ||
		r.PostForm == nil {
		t.Errorf("the form is %v", r.MultipartForm)
	}
}

// A POST costs no more where nobody speaks, or where its answer cannot be stored.
func TestAPOSTThatNobodySpeaksOfCostsNoMore(t *testing.T) {
	c := boundedCache(t, 1<<20)
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	cost := func(hears bool, h http.Handler, method string) float64 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("OPTIONS", "/", nil))
		if m, ok := h.(*Mount); ok {
			m.who.hears.Store(hears)
		}
		r := httptest.NewRequest(method, "/", nil)
		return testing.AllocsPerRun(100, func() { h.ServeHTTP(&nowhere{header: http.Header{}}, r) })
	}
	bare := cost(false, page, "POST")
	// its writer, and a place for Cache-Status
	want(t, "a POST", cost(false, c.Handler(page), "POST")-bare, 2)
	want(t, "a PUT where handlers speak", cost(true, c.Handler(page), "PUT")-bare, 2)
	want(t, "a POST that is off", cost(true, c.With(policy.Policy{Off: true})(page), "POST")-bare,
		2)
}

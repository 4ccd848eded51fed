package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/freshet-go/freshet/middleware"
)

// A change whose answer did not come may have been made: its URL is invalidated, and nothing else.
// One that was refused has changed nothing.
func TestAChangeWithoutAnAnswer(t *testing.T) {
	answers := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/other")
			w.WriteHeader(status)
		}
	}
	leaves := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			r.Context().Value(leave{}).(func())()
			answers(status)(w, r)
		}
	}
	for name, s := range map[string]struct {
		change http.HandlerFunc
		counts bool
	}{
		"an error of its own":           {answers(http.StatusInternalServerError), false},
		"a gateway's that asked nobody": {answers(http.StatusBadGateway), false},
		"refused":                       {answers(http.StatusForbidden), false},
		"no answer in time":             {answers(http.StatusGatewayTimeout), true},
		"a gateway's that got no answer": {func(w http.ResponseWriter, r *http.Request) {
			middleware.MayHaveChanged(wrapped{w})
			answers(http.StatusBadGateway)(w, r)
		}, true},
		"a panic": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"a panic after a refusal": {func(w http.ResponseWriter, r *http.Request) {
			answers(http.StatusForbidden)(w, r)
			panic(http.ErrAbortHandler)
		}, false},
		"the client left, and an error":     {leaves(http.StatusInternalServerError), true},
		"the client left, as nginx says it": {leaves(499), true},
		"the client left, and a timeout":    {leaves(http.StatusRequestTimeout), true},
		"the client left, and was refused":  {leaves(http.StatusForbidden), false},
	} {
		for _, by := range []string{"a mount", "Changes"} {
			t.Run(name+", by "+by, func(t *testing.T) {
				c := newCache(t)
				page := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, "page")
				}}
				mux := http.NewServeMux()
				mux.Handle("GET /", c.With(minute)(page))
				app := c.Changes(mux)
				if mux.Handle("DELETE /", s.change); by == "a mount" {
					app = c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter,
						r *http.Request) {
						if r.Method == http.MethodGet {
							page.ServeHTTP(w, r)
							return
						}
						s.change(w, r)
					}))
				}
				for _, url := range []string{"/page", "/page/below", "/other"} {
					get(app, url)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r := httptest.NewRequest("DELETE", "/page", nil)
				func() {
					defer func() { recover() }()
					app.ServeHTTP(httptest.NewRecorder(),
						r.WithContext(context.WithValue(ctx, leave{}, func() { cancel() })))
				}()
				for _, url := range []string{"/page", "/page/below", "/other"} {
					get(app, url)
				}
				want(t, "its URL is invalidated", page.runs.Load()-3,
					map[bool]int64{true: 1, false: 0}[s.counts])
				status(t, get(app, "/page"), "hit")
			})
		}
	}
}

type leave struct{}

type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// MayHaveChanged does nothing for a GET, and nothing without a cache.
func TestMayHaveChangedOfAGET(t *testing.T) {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		middleware.MayHaveChanged(w)
		fmt.Fprint(w, "run ", o.runs.Load())
	}
	h := newCache(t).With(minute)(o)
	get(h, "/")
	want(t, "page", body(get(h, "/")), "run 1")
	o.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
}

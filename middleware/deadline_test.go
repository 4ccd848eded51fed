package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// timed is middleware as many apps have it: requests end at a deadline, at which handlers may look.
func timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// shutDown is a server whose BaseContext ends while requests are served, as at a shutdown.
func shutDown(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), http.ServerContextKey,
			&http.Server{}))
		defer time.AfterFunc(time.Second, cancel).Stop()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// slow is a page that streams for two seconds, whatever becomes of its client.
func slow(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	io.WriteString(w, strings.Repeat("a", 40000))
	w.(http.Flusher).Flush()
	time.Sleep(2 * time.Second)
	io.WriteString(w, "the end")
}

// whole asks h, and returns the body and whether its client would take that for the whole.
func whole(h http.Handler) (body string, whole bool) {
	w := httptest.NewRecorder()
	defer func() {
		body, whole = w.Body.String(), recover() == nil
	}()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return
}

// What a deadline or the server's end cuts off must not look whole: neither to the client nor to
// another cache.
func TestWhatAContextCutsOffDoesNotLookWhole(t *testing.T) {
	for _, cutOff := range []func(http.Handler) http.Handler{timed, shutDown} {
		for _, s := range []struct {
			who string
			ask func(t *testing.T, h http.Handler) (string, bool)
		}{
			{"the client that leads", func(t *testing.T, h http.Handler) (string, bool) {
				return whole(cutOff(h))
			}},
			{"the client that reads along", func(t *testing.T, h http.Handler) (string, bool) {
				led := make(chan struct{})
				go func() { defer close(led); get(h, "/") }()
				time.Sleep(time.Millisecond)
				defer func() { <-led }()
				return whole(cutOff(h))
			}},
			{"the client of another cache", func(t *testing.T, h http.Handler) (string, bool) {
				return whole(newCache(t).Handler(cutOff(h)))
			}},
			{"the next client of another cache", func(t *testing.T, h http.Handler) (string, bool) {
				outer := newCache(t).Handler(cutOff(h))
				whole(outer)
				return whole(outer)
			}},
		} {
			t.Run(s.who, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newCache(t).Handler(http.HandlerFunc(slow))
					if got, whole := s.ask(t, h); whole && !strings.HasSuffix(got, "the end") {
						t.Errorf("it takes %d bytes for the whole page", len(got))
					}
				})
			})
		}
	}
}

// A request whose deadline comes while it waits for another one's response is not answered with an
// empty page.
func TestADeadlineWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "page")
		}))
		led := make(chan struct{})
		go func() { defer close(led); get(h, "/") }()
		time.Sleep(time.Millisecond)
		if r := get(timed(h), "/"); r.StatusCode == http.StatusOK && body(r) == "" {
			t.Errorf("got %d without a body", r.StatusCode)
		}
		<-led
	})
}

// stalledHints is the writer of a client that takes two seconds for an informational response.
type stalledHints struct{ http.ResponseWriter }

func (w stalledHints) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	if status < 200 {
		time.Sleep(2 * time.Second)
	}
}

// A request whose deadline comes while its client takes an informational response is not answered
// with an empty page.
func TestADeadlineWithinAnInformationalResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "page")
		}))
		stalls := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(stalledHints{w}, r)
		})
		if got, whole := whole(timed(stalls)); whole && got != "page" {
			t.Errorf("its client takes %q for the page", got)
		}
	})
}

package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// takenBack is a handler outside the cache that holds the header back until its handler returns, as
// a compressor does, sets late then, and takes its writer, its request and its context back: a
// later use of one panics.
func takenBack(h http.Handler, late func(http.Header)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := &lentContext{Context: r.Context()}
		own := r.Clone(ctx)
		holds := &lentWriter{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(holds, own)
		if late != nil {
			late(w.Header())
		}
		w.WriteHeader(holds.status)
		w.Write(holds.body.Bytes())
		ctx.Context, holds.ResponseWriter, *own = nil, nil, http.Request{}
	})
}

type lentContext struct{ context.Context }

type lentWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *lentWriter) WriteHeader(status int) {
	if status >= 200 {
		w.status = status
	}
}
func (w *lentWriter) Write(p []byte) (int, error) { return w.body.Write(p) }
func (w *lentWriter) Flush()                      {}

// What a cache does at the end of the request touches nothing that belongs to a handler outside.
func TestNothingOuterIsTouchedAfterItsHandler(t *testing.T) {
	pages := map[string]http.HandlerFunc{
		"empty": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) },
		"small": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") },
		"varies": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "X-A")
			io.WriteString(w, "page")
		},
		"a stream": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Repeat(".", 2*middleware.HoldBack))
		},
		"flushed": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			io.WriteString(w, "end")
		},
		"an error": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			http.Error(w, "no", http.StatusNotFound)
		},
	}
	lates := map[string]func(http.Header){
		"nothing":  nil,
		"a cookie": func(h http.Header) { h.Add("Set-Cookie", "sid=1") },
		"no-store": func(h http.Header) { h.Set("Cache-Control", "no-store") },
		"a Vary":   func(h http.Header) { h.Add("Vary", "X-B") },
	}
	minute := policy.Policy{TTL: time.Minute}
	ignoring, shared, sorted := minute, minute, minute
	ignoring.IgnoreCookies, shared.Shared, sorted.Key.SortQuery = []string{"sid"}, true, true
	policies := map[string]policy.Policy{"plain": minute, "ignoring": ignoring, "shared": shared,
		"sorted": sorted}
	apps := map[string]func(c *middleware.Cache, cached http.Handler,
		late func(http.Header)) http.Handler{
		"guarded": func(c *middleware.Cache, cached http.Handler,
			late func(http.Header)) http.Handler {
			return c.Guard(takenBack(cached, late))
		},
		"nested": func(c *middleware.Cache, cached http.Handler,
			late func(http.Header)) http.Handler {
			return c.Handler(takenBack(takenBack(cached, late), nil))
		},
		"guarded and nested": func(c *middleware.Cache, cached http.Handler,
			late func(http.Header)) http.Handler {
			return c.Guard(takenBack(c.Handler(takenBack(cached, late)), nil))
		},
	}
	for app, make := range apps {
		for by, p := range policies {
			for what, page := range pages {
				for when, late := range lates {
					t.Run(strings.Join([]string{app, by, what, when}, ","), func(t *testing.T) {
						c := newCache(t)
						h := make(c, c.With(p)(page), late)
						for _, method := range []string{"HEAD", "GET", "GET", "POST"} {
							do(h, method, "/?b&a", "X-Long", strings.Repeat("x", 5000),
								"Cache-Control", "no-cache")
							do(h, method, "/?b&a", "X-A", "1")
						}
					})
				}
			}
		}
	}
}

// A refresh beyond such a handler is stored, or not, as if a client had asked. Nothing of it ends
// the process: not the cache's part, no handler outside, no operator's logger.
func TestARefreshEndsWithItsRequest(t *testing.T) {
	for name, late := range map[string]func(http.Header){
		"nothing":  nil,
		"a cookie": func(h http.Header) { h.Add("Set-Cookie", "sid=1") },
		"a panic":  func(http.Header) { panic("of a handler outside") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &brokenLog{}
				c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(log, nil))})
				runs := 0
				p := policy.Policy{TTL: time.Second, StaleWhileRevalidate: time.Hour,
					IgnoreCookies: []string{"sid"}}
				page := c.With(p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					runs++
					w.Header().Set("X-Run", fmt.Sprint(runs))
					fmt.Fprint(w, "run ", runs)
				}))
				h := takenBack(page, func(h http.Header) {
					if h.Get("X-Run") == "2" && late != nil {
						late(h)
					}
				})
				c.Root(h)
				get(h, "/")
				log.broken.Store(true)
				time.Sleep(time.Minute)
				want(t, "stale", body(get(h, "/")), "run 1")
				synctest.Wait()
				want(t, "runs", runs, 2)
				then := "run 1"
				if late == nil {
					then = "run 2"
				}
				want(t, "afterwards", body(get(h, "/", "Cache-Control",
					"only-if-cached, max-stale")), then)
			})
		})
	}
}

// brokenLog is an operator's log that cannot be written to, from some moment on.
type brokenLog struct{ broken atomic.Bool }

func (l *brokenLog) Write(p []byte) (int, error) {
	if l.broken.Load() {
		panic("of the log")
	}
	return len(p), nil
}

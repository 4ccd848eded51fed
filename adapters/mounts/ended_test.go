package mounts_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// gzhttp gives its writer back to a pool when its handler has returned, and with it the header that
// it holds back. Each client of a real server gets its answer, whatever stands around the cache,
// and in whatever order.
func TestGzhttpTakesItsWriterBack(t *testing.T) {
	m := newSessions()
	gz := func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) }
	minute := policy.Policy{TTL: time.Minute}
	shared, own, ignoring := minute, minute, minute
	shared.Shared, own.PassCookies, ignoring.IgnoreCookies = true, []string{"member"},
		[]string{"session"}
	for by, p := range map[string]policy.Policy{"plain": minute, "shared": shared,
		"its own key": own, "ignoring": ignoring} {
		for place, app := range map[string]func(c *middleware.Cache,
			page http.Handler) http.Handler{
			"Guard, scs, gzhttp": func(c *middleware.Cache, page http.Handler) http.Handler {
				return c.Guard(m.LoadAndSave(gz(page)))
			},
			"Guard, gzhttp, scs": func(c *middleware.Cache, page http.Handler) http.Handler {
				return c.Guard(gz(m.LoadAndSave(page)))
			},
			"Guard, cache, gzhttp, scs": func(c *middleware.Cache, page http.Handler) http.Handler {
				return c.Guard(c.Handler(gz(m.LoadAndSave(page))))
			},
			"cache, scs, gzhttp": func(c *middleware.Cache, page http.Handler) http.Handler {
				return c.Handler(m.LoadAndSave(gz(page)))
			},
		} {
			for _, begins := range []bool{true, false} {
				t.Run(fmt.Sprint(by, ": ", place, ", a session: ", begins), func(t *testing.T) {
					c := newCache(t)
					var errors bytes.Buffer
					s := httptest.NewUnstartedServer(app(c,
						c.With(p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if begins {
								m.Put(r.Context(), "seen", true)
							}
							if r.URL.Path == "/page" {
								io.WriteString(w, "a page")
								w.(http.Flusher).Flush()
								return
							}
							w.WriteHeader(http.StatusOK)
						}))))
					s.Config.ErrorLog = log.New(&errors, "", 0)
					s.Start()
					for _, target := range []string{"/", "/page"} {
						for range 2 {
							r, err := s.Client().Get(s.URL + target)
							if err != nil {
								t.Fatal(err)
							}
							io.Copy(io.Discard, r.Body)
							r.Body.Close()
							if cookies := len(r.Cookies()); (cookies == 1) != begins {
								t.Errorf("%s: %d cookies", target, cookies)
							}
						}
					}
					s.Close()
					want(t, "errors", errors.String(), "")
				})
			}
		}
	}
}

// A refresh of a route with a policy of its own passes the cache around the app, a compressor and a
// session. Nothing of it ends the process.
func TestARefreshThroughACompressorInACache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSessions()
		whole := &policy.Policy{TTL: time.Minute}
		c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
			return whole
		}})
		p := policy.Policy{TTL: time.Second, StaleWhileRevalidate: time.Hour,
			PassCookies: []string{"member"}}
		var runs atomic.Int64
		h := c.Handler(gzhttp.GzipHandler(m.LoadAndSave(c.With(p)(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				if runs.Add(1) > 1 {
					m.Put(r.Context(), "seen", true)
				}
				w.WriteHeader(http.StatusOK)
			})))))
		c.Root(h)
		for range 4 {
			want(t, "status", get(h, "/", "Accept-Encoding", "gzip").Code, http.StatusOK)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		want(t, "runs", runs.Load() > 1, true)
	})
}

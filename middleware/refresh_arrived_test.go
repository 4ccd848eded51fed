package middleware_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// outsiders change a request in ways that they do not repeat on what they have made of it.
var outsiders = map[string]func(http.Handler) http.Handler{
	"a token taken off": func(next http.Handler) http.Handler {
		return authorizes(func(r *http.Request) *http.Request { r.Header.Del("Authorization"); return r }, next)
	},
	"a token taken off a clone": func(next http.Handler) http.Handler {
		return authorizes(func(r *http.Request) *http.Request {
			r = r.Clone(r.Context())
			r.Header.Del("Authorization")
			return r
		}, next)
	},
	"another token": func(next http.Handler) http.Handler {
		return authorizes(func(r *http.Request) *http.Request { r.Header.Set("Authorization", "own"); return r }, next)
	},
	"another host and target": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "a.example" || r.URL.Path != "/x" {
				http.Error(w, "whose?", http.StatusMisdirectedRequest)
				return
			}
			r = r.WithContext(r.Context())
			r.Host, r.RequestURI, r.URL = "b.example", "/y", &url.URL{Path: "/y"}
			next.ServeHTTP(w, r)
		})
	},
	"a key taken off a clone, and another address": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Edge-Key") != "k" || r.RemoteAddr == "client" {
				http.Error(w, "who?", http.StatusForbidden)
				return
			}
			r = r.Clone(r.Context())
			r.Header.Del("X-Edge-Key")
			r.RemoteAddr = "client"
			next.ServeHTTP(w, r)
		})
	},
}

// authorizes lets alice in, and goes on with what take makes of her request.
func authorizes(take func(*http.Request) *http.Request, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "alice" {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, take(r))
	})
}

// A refresh enters the app as its request arrived, whatever handlers have made of that.
func TestARefreshEntersAsItsRequestArrived(t *testing.T) {
	for name, outsider := range outsiders {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
				p := policy.Policy{TTL: time.Second, StaleWhileRevalidate: time.Hour, Shared: true}
				runs := 0
				app := c.Root(outsider(c.With(p)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					runs++
					fmt.Fprint(w, "run ", runs)
				}))))
				ask := func() string {
					return body(get(app, "http://a.example/x", "Authorization", "alice", "X-Edge-Key", "k"))
				}
				want(t, "first", ask(), "run 1")
				for run := 1; run < 4; run++ {
					time.Sleep(2 * time.Second)
					want(t, "stale", ask(), fmt.Sprint("run ", run))
					synctest.Wait()
					want(t, "runs", runs, run+1)
				}
				want(t, "the log", log.String(), "")
			})
		})
	}
}

// A page of everybody's that is not the same for users is refreshed without the token of the user
// whose request found it stale, though a handler has taken that off.
func TestARefreshDoesNotTakeATokenAlong(t *testing.T) {
	for _, how := range []string{"in place", "in a clone"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			app := c.Root(takers[how](c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=3600")
				ofUser(w, r)
			}))))
			want(t, "nobody", body(get(app, "/")), "of ")
			time.Sleep(2 * time.Second)
			want(t, "alice", body(get(app, "/", "Authorization", "alice")), "of ")
			synctest.Wait()
			r := get(app, "/")
			status(t, r, "hit; ttl=1")
			want(t, "nobody, again", body(r), "of ")
		})
	}
}

// What has kept one refresh from its mount may be over after a minute.
func TestARefreshAfterOneThatDidNotArrive(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusFound, http.StatusNotFound} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			o := renewable()
			h := c.Handler(o)
			c.Root(refusedOnce(status)(h))
			get(h, "/")
			time.Sleep(5 * time.Second)
			want(t, "stale", body(get(h, "/")), "run 1")
			synctest.Wait()
			want(t, "said", strings.Contains(log.String(), fmt.Sprint("status=", status)), true)
			time.Sleep(5 * time.Second)
			want(t, "made anew", body(get(h, "/")), "run 2")
			time.Sleep(time.Minute)
			want(t, "stale again", body(get(h, "/")), "run 2")
			synctest.Wait()
			want(t, "runs", o.runs.Load(), int64(3))
			want(t, "lines", strings.Count(log.String(), "\n"), 1)
		})
	}
}

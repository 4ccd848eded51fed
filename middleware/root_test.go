package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// The Cache has one root: another is refused, and the same one, in whatever wrapping of ours, is
// not.
func TestOneRoot(t *testing.T) {
	c := newCache(t)
	app, other := http.NewServeMux(), http.NewServeMux()
	root := c.Root(app)
	for name, same := range map[string]http.Handler{"the same": app, "what Root returned": root} {
		if again := c.Root(same); again != root {
			t.Errorf("%s: Root returns %v, want what it returned before", name, again)
		}
	}
	text := panics(func() { c.Root(other) })
	for _, says := range []string{"*http.ServeMux is a second root", "call Root once",
		"Cache.Guard"} {
		if !strings.Contains(text, says) {
			t.Errorf("another root: panics with %q, want it to say %q", text, says)
		}
	}
	page := func(says string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, says)
		})
	}
	c = newCache(t)
	c.Root(page("one"))
	if panics(func() { c.Root(page("two")) }) == "" {
		t.Error("another function of one literal is taken for the root")
	}
}

// Refreshes enter at what Root was given, whether that was before the mounts were made, after, or
// while they serve, and whether the server's handler is that, what Root returned, what wraps it, or
// Guard's.
func TestRefreshesEnterAtTheRoot(t *testing.T) {
	for name, serve := range map[string]func(root, app http.Handler) http.Handler{
		"no server":         nil,
		"the root":          func(root, app http.Handler) http.Handler { return root },
		"the app":           func(root, app http.Handler) http.Handler { return app },
		"a wrapper of ours": func(root, app http.Handler) http.Handler { return inWriter(root) },
		"net/http's wrapper": func(root, app http.Handler) http.Handler {
			return http.StripPrefix("", root)
		},
	} {
		for _, when := range []string{"before", "after", "while it serves"} {
			t.Run(name+", "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					o := &origin{}
					o.h = func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=60")
						fmt.Fprint(w, "run ", o.runs.Load())
					}
					entered, writer := 0, ""
					var mount http.Handler
					app := http.Handler(http.HandlerFunc(func(w http.ResponseWriter,
						r *http.Request) {
						entered, writer = entered+1, fmt.Sprintf("%T", w)
						mount.ServeHTTP(w, r)
					}))
					var root http.Handler
					if when == "before" {
						root = c.Root(app)
					}
					mount = c.Handler(o)
					if when == "after" {
						root = c.Root(app)
					}
					ask := func() string {
						r := httptest.NewRequest("GET", "/", nil)
						if serve != nil && root != nil {
							server := &http.Server{Handler: serve(root, app)}
							r = r.WithContext(context.WithValue(r.Context(), http.ServerContextKey,
								server))
						}
						w := httptest.NewRecorder()
						if root == nil {
							app.ServeHTTP(w, r)
						} else {
							root.ServeHTTP(w, r)
						}
						return w.Body.String()
					}
					want(t, "a miss", ask(), "run 1")
					if when == "while it serves" {
						root = c.Root(app)
					}
					time.Sleep(2 * time.Second)
					want(t, "stale", ask(), "run 1")
					synctest.Wait()
					want(t, "entered", entered, 3)
					if name != "a wrapper of ours" && strings.Contains(writer, "guarded") {
						t.Errorf("the refresh came in a guard: its writer is a %s", writer)
					}
					want(t, "renewed", ask(), "run 2")
					want(t, "runs", o.runs.Load(), int64(2))
				})
			})
		}
	}
}

// inWriter is an app's own wrapper, with a writer of its own.
func inWriter(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(wrappedWriter{w}, r)
	})
}

// A guard within another one does not hide what stands between: a session whose cookie is set when
// a compressor lets the header go keeps its page to itself.
func TestARootInsideOfWhatHoldsTheHeader(t *testing.T) {
	for name, between := range map[string]func(http.Handler) http.Handler{
		"a compressor": heldBack,
		"a time limit": func(h http.Handler) http.Handler {
			return http.TimeoutHandler(h, time.Minute, "late")
		},
		"nothing": func(h http.Handler) http.Handler { return h },
	} {
		for _, outside := range []string{"Guard", "another Cache's Root"} {
			t.Run(name+", in "+outside, func(t *testing.T) {
				c := newCache(t)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, "for "+r.Header.Get("X-Name"))
				}}
				guard := c.Guard
				if outside != "Guard" {
					guard = newCache(t).Root
				}
				inner := between(c.Root(c.With(policy.Policy{TTL: time.Minute})(o)))
				h := guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("X-Name") != "" {
						w = setsCookieLate{w}
					}
					inner.ServeHTTP(w, r)
				}))
				for _, user := range []string{"alice", "bob"} {
					want(t, user, body(get(h, "/", "X-Name", user)), "for "+user)
				}
				want(t, "nobody", body(get(h, "/")), "for ")
				want(t, "nobody, again", body(get(h, "/")), "for ")
				want(t, "runs", o.runs.Load(), int64(3))
			})
		}
	}
}

// A page that asks the whole app for a part of itself, once its own header has gone out, does not
// keep the part from the store.
func TestAPartThatIsAskedForAtTheRoot(t *testing.T) {
	c := newCache(t)
	part := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "part") }}
	mux := http.NewServeMux()
	mux.Handle("/part", c.With(policy.Policy{TTL: time.Minute})(part))
	app := c.Root(mux)
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		for range 2 {
			inner := httptest.NewRequest("GET", "/part", nil).WithContext(r.Context())
			recorder := httptest.NewRecorder()
			app.ServeHTTP(recorder, inner)
			w.Write(recorder.Body.Bytes())
		}
	})
	want(t, "page", body(get(app, "/page")), "partpart")
	want(t, "runs", part.runs.Load(), int64(1))
}

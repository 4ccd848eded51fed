package middleware_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// twoCaches are one Cache inside another.
type twoCaches struct {
	outer, inner *middleware.Cache
	o            *origin
	h, inside    http.Handler // at the outer, and at the inner one
}

// inTwo mounts a handler in two Caches. It says what says tells.
func inTwo(t *testing.T, outer, inner policy.Policy, says func(*middleware.Response)) *twoCaches {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		says(middleware.FromContext(r.Context()))
		fmt.Fprint(w, o.runs.Load())
	}
	return twoCachesOf(t, outer, inner, o)
}

func twoCachesOf(t *testing.T, outer, inner policy.Policy, o *origin) *twoCaches {
	c := &twoCaches{
		outer: newCache(t, middleware.Options{Name: "outer"}), inner: newCache(t,
			middleware.Options{Name: "inner"}), o: o,
	}
	c.inside = c.inner.With(inner)(o)
	c.h = c.outer.With(outer)(c.inside)
	return c
}

// hit asks and returns the name of the Cache that answered from its store, if one did.
func (c *twoCaches) hit() string {
	says := get(c.h, "/").Header["Cache-Status"]
	for len(says) > 0 { // what the outer one says comes last
		name, rest, _ := strings.Cut(says[len(says)-1], "; ")
		if strings.HasPrefix(rest, "hit") {
			return name
		}
		says = says[:len(says)-1]
	}
	return ""
}

var minute = policy.Policy{TTL: time.Minute}

// What a handler keeps out of a Cache, it keeps out of those around that one.
func TestNoStoreReachesTheOuterOfTwoCaches(t *testing.T) {
	c := inTwo(t, minute, policy.Policy{}, func(said *middleware.Response) { said.NoStore() })
	for range 2 {
		want(t, "a hit", c.hit(), "")
	}
	want(t, "runs", c.o.runs.Load(), int64(2))
}

// A tag reaches the outer Cache as well, whether the handler runs for it, or the inner one answers
// from its store, or reads along with another's run.
func TestTagsReachTheOuterOfTwoCaches(t *testing.T) {
	purge := func(t *testing.T, c *middleware.Cache, mark store.Mark) {
		t.Helper()
		if _, err := c.Invalidate(t.Context(), mark); err != nil {
			t.Fatal(err)
		}
	}
	tagged := func(said *middleware.Response) { said.Tag("notes") }
	t.Run("of a run", func(t *testing.T) {
		c := inTwo(t, minute, minute, tagged)
		want(t, "a miss", c.hit(), "")
		want(t, "a hit", c.hit(), "outer")
		purge(t, c.inner, tag("notes"))
		want(t, "the inner one is purged", c.hit(), "outer")
		purge(t, c.outer, tag("notes"))
		want(t, "both are", c.hit(), "")
		want(t, "runs", c.o.runs.Load(), int64(2))
	})
	t.Run("of a stored response", func(t *testing.T) {
		c := inTwo(t, minute, minute, tagged)
		want(t, "a miss", c.hit(), "")
		purge(t, c.outer, store.Mark{Kind: store.MarkEverything})
		want(t, "a hit inside", c.hit(), "inner")
		want(t, "a hit outside", c.hit(), "outer")
		purge(t, c.inner, tag("notes"))
		purge(t, c.outer, tag("notes"))
		want(t, "both are purged", c.hit(), "")
	})
	for _, streams := range []bool{false, true} {
		t.Run(fmt.Sprint("of a response that is read along, streams=", streams),
			func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
						middleware.FromContext(r.Context()).Tag("notes")
						time.Sleep(time.Second)
						if io.WriteString(w, "page"); streams {
							w.(http.Flusher).Flush()
							time.Sleep(time.Second)
						}
					}}
					c := twoCachesOf(t, minute, minute, o)
					var all sync.WaitGroup
					all.Go(func() { get(c.inside, "/") })
					synctest.Wait()
					want(t, "reading along", c.hit(), "")
					all.Wait()
					want(t, "a hit", c.hit(), "outer")
					want(t, "runs", o.runs.Load(), int64(1))
					purge(t, c.inner, tag("notes"))
					purge(t, c.outer, tag("notes"))
					want(t, "both are purged", c.hit(), "")
				})
			})
	}
}

// What a handler keeps out of the Cache when its response streams already is kept out of an outer
// one that reads along.
func TestALateNoStoreReachesTheOuterOfTwoCaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "page")
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
			middleware.FromContext(r.Context()).NoStore()
		}}
		c := twoCachesOf(t, minute, minute, o)
		var all sync.WaitGroup
		all.Go(func() { get(c.inside, "/") })
		synctest.Wait()
		want(t, "reading along", c.hit(), "")
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(1))
		want(t, "afterwards", c.hit(), "")
		want(t, "runs afterwards", o.runs.Load(), int64(2))
	})
}

// A lifetime that the handler names is the outer Cache's too, and counts from when the handler ran,
// also where the inner one answers from its store.
func TestSetTTLReachesTheOuterOfTwoCaches(t *testing.T) {
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprint("stored inside=", stored), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := inTwo(t, policy.Policy{TTL: time.Hour}, policy.Policy{},
					func(said *middleware.Response) {
						said.SetTTL(10 * time.Second)
					})
				first := ""
				if stored {
					get(c.inside, "/")
					time.Sleep(5 * time.Second)
					first = "inner"
				}
				want(t, "first", c.hit(), first)
				time.Sleep(4 * time.Second)
				want(t, "a hit", c.hit(), "outer")
				time.Sleep(7 * time.Second)
				want(t, "when the lifetime is over", c.hit(), "")
				want(t, "runs", c.o.runs.Load(), int64(2))
			})
		})
	}
}

// It is the outer one's also where the inner one stores nothing.
func TestSetTTLReachesTheOuterOfTwoCachesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inTwo(t, policy.Policy{TTL: time.Hour}, policy.Policy{MaxBody: 1},
			func(said *middleware.Response) {
				said.SetTTL(10 * time.Second)
			})
		c.o.h = func(h http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				h(w, r)
				io.WriteString(w, " is more than a byte")
			}
		}(c.o.h)
		want(t, "first", c.hit(), "")
		want(t, "a hit", c.hit(), "outer")
		time.Sleep(11 * time.Second)
		want(t, "when the lifetime is over", c.hit(), "")
		want(t, "runs", c.o.runs.Load(), int64(2))
	})
}

// Where the inner Cache has nothing to stand in for a handler that is lost, the outer one's stale
// response does.
func TestFailReachesTheOuterOfTwoCaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() > 1 {
				middleware.FromContext(r.Context()).Fail(errors.New("lost"))
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			w.Header().Set("Cache-Control", "max-age=1")
			io.WriteString(w, "page")
		}
		c := twoCachesOf(t, minute, minute, o)
		get(c.h, "/")
		time.Sleep(5 * time.Second)
		if _, err := c.inner.Invalidate(t.Context(), store.Mark{Kind: store.MarkEverything}); err != nil {
			t.Fatal(err)
		}
		want(t, "the answer", body(get(c.h, "/")), "page")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// A page knows the tags of its parts, which are cached by themselves, and what one of them keeps
// out. A part that is lost, or has another lifetime, decides nothing about the page.
func TestAPageKnowsWhatItsPartsSay(t *testing.T) {
	for _, s := range []struct {
		name   string
		says   func(*middleware.Response)
		before bool // the page is stored
		after  bool // it still is when the part's tag has been invalidated
	}{
		{"nothing", func(*middleware.Response) {}, true, true},
		{"a tag", func(said *middleware.Response) { said.Tag("notes") }, true, false},
		{"NoStore", func(said *middleware.Response) { said.NoStore() }, false, false},
		{"a lifetime", func(said *middleware.Response) { said.SetTTL(0) }, true, true},
		{"Fail", func(said *middleware.Response) { said.Fail(errors.New("lost")) }, true, true},
	} {
		for _, one := range []bool{true, false} {
			t.Run(fmt.Sprint(s.name, ", one Cache=", one), func(t *testing.T) {
				outer := newCache(t)
				inner := outer
				if !one {
					inner = newCache(t)
				}
				part := inner.With(minute)(http.HandlerFunc(func(w http.ResponseWriter,
					r *http.Request) {
					s.says(middleware.FromContext(r.Context()))
					io.WriteString(w, "part")
				}))
				h := outer.With(minute)(http.HandlerFunc(func(w http.ResponseWriter,
					r *http.Request) {
					sub, err := http.NewRequestWithContext(r.Context(), "GET",
						"http://example.com/part", nil)
					if err != nil {
						t.Error(err)
					}
					io.WriteString(w, "page of "+body(get(within{part, sub}, "/")))
				}))
				stored := func() bool {
					r := get(h, "/")
					want(t, "the page", body(r), "page of part")
					return strings.Contains(r.Header.Get("Cache-Status"), "hit")
				}
				stored()
				want(t, "the page is stored", stored(), s.before)
				for _, c := range []*middleware.Cache{inner, outer} {
					if _, err := c.Invalidate(t.Context(), tag("notes")); err != nil {
						t.Fatal(err)
					}
				}
				want(t, "it still is", stored(), s.after)
			})
		}
	}
}

// A page that is stored keeps its own lifetime, however short those of its stored parts are.
func TestAPageOutlivesItsParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		part := c.With(policy.Policy{TTL: 10 * time.Second})(says("part"))
		h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			sub, err := http.NewRequestWithContext(r.Context(), "GET", "http://example.com/part",
				nil)
			if err != nil {
				t.Error(err)
			}
			io.WriteString(w, "page of "+body(get(within{part, sub}, "/")))
		}))
		// the part runs for one, and is stored for the other
		for _, url := range []string{"/", "/another"} {
			want(t, "the page", body(get(h, url)), "page of part")
		}
		time.Sleep(50 * time.Second)
		for _, url := range []string{"/", "/another"} {
			status(t, get(h, url), "hit; ttl=10")
		}
	})
}

// within has a handler serve a request in the place of the one that it gets.
type within = asIs

// What the handler of a POST says reaches both Caches, also where the inner one has heard it before
// and the outer one has not.
func TestWhatIsSaidOfAPOSTReachesTheOuterOfTwoCaches(t *testing.T) {
	for _, s := range []struct {
		name   string
		says   func(*middleware.Response)
		stored bool
	}{
		{"NoStore", func(said *middleware.Response) { said.NoStore() }, false},
		{"a tag", func(said *middleware.Response) { said.Tag("notes") }, true},
	} {
		t.Run(s.name, func(t *testing.T) {
			var runs atomic.Int64
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Location", "/")
				w.Header().Set("Cache-Control", "max-age=60")
				s.says(middleware.FromContext(r.Context()))
				fmt.Fprint(w, runs.Add(1))
			}}
			c := twoCachesOf(t, policy.Policy{}, policy.Policy{}, o)
			stored := func() bool { return c.hit() == "outer" }
			do(c.inside, "POST", "/")
			do(c.inside, "POST", "/") // the inner mount hears from now on
			do(c.h, "POST", "/")
			if s.name == "NoStore" {
				want(t, "the first POST through both is stored", stored(), false)
				return
			}
			do(c.h, "POST", "/") // and now the outer one does
			want(t, "the second POST through both is stored", stored(), s.stored)
			for _, c := range []*middleware.Cache{c.inner, c.outer} {
				if _, err := c.Invalidate(t.Context(), tag("notes")); err != nil {
					t.Fatal(err)
				}
			}
			want(t, "it still is", stored(), false)
		})
	}
}

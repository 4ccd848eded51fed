package middleware_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// replaced is what a handler does to a field that stands outside, and what clients get then, if
// anything, for an outer value of a or b.
var replaced = []struct {
	name, field string
	p           policy.Policy
	does        func(h http.Header, field string)
	a, b        string
}{
	{"sets a field that has several values", "Link", policy.Policy{}, setInner, "inner", "inner"},
	{"sets what browsers add up", "Content-Security-Policy", policy.Policy{}, setInner, "inner",
		"inner"},
	{"sets Vary", "Vary", policy.Policy{}, func(h http.Header, _ string) { h.Set("Vary", "Inner") },
		"Inner", "Inner"},
	{"sets a cookie that all get", "Set-Cookie", policy.Policy{StoreCookies: true}, setInner,
		"inner", "inner"},
	{"sets a field that has one value", "X-Frame-Options", policy.Policy{}, setInner, "inner",
		"inner"},
	{"adds a value", "Link", policy.Policy{}, func(h http.Header, field string) {
		h.Add(field, "inner")
	},
		"inner a", "inner b"},
	{"removes a field", "X-Frame-Options", policy.Policy{}, http.Header.Del, "", ""},
	{"removes a field that has several values", "Link", policy.Policy{}, http.Header.Del, "", ""},
	{"sets the very value that stands outside", "X-Frame-Options", policy.Policy{}, setA, "a", "a"},
	{"sets the very value, of a field that has several", "Link", policy.Policy{}, setA, "a", "a"},
	{"leaves a field alone", "Link", policy.Policy{}, func(http.Header, string) {}, "a", "b"},
}

func setInner(h http.Header, field string) { h.Set(field, "inner") }

func setA(h http.Header, field string) { h.Set(field, "a") }

// besideOuter puts X-Outer, as the request says it, into the field, and asks h.
func besideOuter(h http.Handler, field string) http.Handler {
	return outside(h, func(r *http.Request) (string, string) {
		if r.Header.Get("X-Outer") == "" {
			return "", ""
		}
		return field, r.Header.Get("X-Outer")
	})
}

// gets holds what a response has in a field, and that clients see nothing of how it is remembered.
func gets(t *testing.T, what string, r *http.Response, field, values string) {
	t.Helper()
	want(t, what+": "+field, strings.Join(r.Header[field], " "), values)
	for name := range r.Header {
		if strings.HasPrefix(name, "Freshet-") {
			t.Errorf("%s: the client sees %s", what, name)
		}
	}
}

// What a handler has replaced or removed of what stands outside is so on a hit as on a miss,
// whatever stands there then; and what it has added comes beside it.
func TestWhatTheHandlerReplacedOfOuterFields(t *testing.T) {
	for _, s := range replaced {
		for _, keeps := range []string{"entries", "bytes"} {
			t.Run(s.name+", in a store of "+keeps, func(t *testing.T) {
				c := newCache(t)
				if keeps == "bytes" {
					b := memstore.NewBackend(1 << 20)
					defer b.Close()
					c = newCacheOn(t, store.New(b, store.Options{}), middleware.Options{})
				}
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					s.does(w.Header(), s.field)
					io.WriteString(w, "page")
				}}
				h := besideOuter(c.With(s.p)(o), s.field)
				gets(t, "a miss", get(h, "/", "X-Outer", "a"), s.field, s.a)
				gets(t, "a hit", get(h, "/", "X-Outer", "a"), s.field, s.a)
				if s.field != "Vary" {
					gets(t, "a hit beside another value", get(h, "/", "X-Outer", "b"), s.field, s.b)
				}
				alone := ""
				if strings.Contains(s.a, "nner") {
					alone = strings.TrimSuffix(s.a, " a")
				}
				if s.a == s.b { // the handler's
					alone = s.a
				}
				gets(t, "a hit beside nothing", get(h, "/"), s.field, alone)
				gets(t, "a 304", get(h, "/", "X-Outer", "a", "If-None-Match", "*"), s.field, s.a)
				want(t, "runs", o.runs.Load(), int64(1))
			})
		}
	}
}

// So it is for those who read along, and after a 304 whose handler did not come to that.
func TestWhatTheHandlerReplacedIsSoForAll(t *testing.T) {
	for _, s := range replaced {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("ETag", `"1"`)
					if r.Header.Get("If-None-Match") != "" {
						w.WriteHeader(http.StatusNotModified)
						return
					}
					s.does(w.Header(), s.field)
					time.Sleep(time.Second)
					io.WriteString(w, "page")
				}}
				h := besideOuter(c.With(s.p)(o), s.field)
				var both sync.WaitGroup
				both.Go(func() { gets(t, "who leads", get(h, "/", "X-Outer", "a"), s.field, s.a) })
				synctest.Wait()
				both.Go(func() {
					gets(t, "who reads along", get(h, "/", "X-Outer", "a"), s.field, s.a)
				})
				both.Wait()
				want(t, "runs", o.runs.Load(), int64(1))
				time.Sleep(time.Hour / 10)
				gets(t, "who renews it", get(h, "/", "X-Outer", "a"), s.field, s.a)
				gets(t, "a hit", get(h, "/", "X-Outer", "a"), s.field, s.a)
				want(t, "runs", o.runs.Load(), int64(2))
			})
		})
	}
}

// What a 304 lacks of the fields that describe its content, its handler has not removed from the
// page.
func TestA304RemovesNothingThatStandsOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("ETag", `"1"`)
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader("page"))
		}}
		inner := c.Handler(o)
		h := outside(inner, func(*http.Request) (string, string) {
			return "Content-Type", "text/page"
		})
		for range 2 {
			want(t, "Content-Type", get(h, "/").Header.Get("Content-Type"), "text/page")
			time.Sleep(time.Minute)
		}
		get(h, "/")
		r := get(h, "/")
		status(t, r, "hit")
		want(t, "Content-Type of what was renewed", r.Header.Get("Content-Type"), "text/page")
	})
}

// A cookie that is not stored takes no outer one's place on a hit.
func TestACookieThatIsNotStoredReplacesNone(t *testing.T) {
	h := besideOuter(newCache(t).With(policy.Policy{Shared: true})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", `max-age=60, no-cache="Set-Cookie"`)
			w.Header().Set("Set-Cookie", "inner")
			io.WriteString(w, "page")
		})), "Set-Cookie")
	gets(t, "a miss", get(h, "/", "X-Outer", "a"), "Set-Cookie", "inner")
	r := get(h, "/", "X-Outer", "a")
	status(t, r, "hit")
	gets(t, "a hit", r, "Set-Cookie", "a")
}

// An answer to POST that GETs have has the handler's fields in the place of outer ones, too.
func TestWhatTheHandlerOfAPOSTReplaced(t *testing.T) {
	for _, s := range replaced {
		if s.field == "Vary" || s.field == "Set-Cookie" {
			continue // such an answer is not stored
		}
		t.Run(s.name, func(t *testing.T) {
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Content-Location", "/")
				s.does(w.Header(), s.field)
				io.WriteString(w, "page")
			}}
			h := besideOuter(newCache(t).With(s.p)(o), s.field)
			do(h, "POST", "/", "X-Outer", "a")
			r := get(h, "/", "X-Outer", "b")
			status(t, r, "hit")
			gets(t, "a hit", r, s.field, s.b)
		})
	}
}

// A stale page that stands in for an error has of what stands outside what it always has, whatever
// the handler removed for its error.
func TestAStalePageRemovesNothingForTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=1, stale-if-error=60")
			if o.runs.Load() > 1 {
				w.Header().Del("Link")
				w.WriteHeader(http.StatusInternalServerError)
			}
			io.WriteString(w, "page")
		}
		h := besideOuter(newCache(t).Handler(o), "Link")
		for range 2 {
			gets(t, "the page", get(h, "/", "X-Outer", "a"), "Link", "a")
			time.Sleep(5 * time.Second)
		}
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

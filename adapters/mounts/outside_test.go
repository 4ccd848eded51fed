package mounts_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"

	"github.com/freshet-go/freshet/policy"
)

// chi's NoCache around the cache means what it says, where the handler does not say otherwise.
func TestNoCacheOutside(t *testing.T) {
	for _, s := range []struct {
		name string
		says []string // the handler's fields
		runs int
		sent string // the client's Cache-Control
	}{
		{"a handler that says nothing", nil, 3,
			"no-cache, no-store, no-transform, must-revalidate, private, max-age=0"},
		{"a handler that says otherwise", []string{"Cache-Control", "max-age=60"}, 1, "max-age=60"},
		{"a handler that speaks to CDNs", []string{"Cdn-Cache-Control", "max-age=60"}, 1,
			"no-cache, no-store, no-transform, must-revalidate, private, max-age=0"},
	} {
		t.Run(s.name, func(t *testing.T) {
			runs := 0
			m := chi.NewRouter()
			m.Use(chimiddleware.NoCache, newCache(t).With(policy.Policy{TTL: time.Minute}))
			m.Get("/", func(w http.ResponseWriter, r *http.Request) {
				runs++
				for i := 0; i < len(s.says); i += 2 {
					w.Header().Set(s.says[i], s.says[i+1])
				}
				io.WriteString(w, "page")
			})
			for range 3 {
				w := get(m, "/")
				want(t, "Cache-Control", w.Header().Get("Cache-Control"), s.sent)
				want(t, "body", w.Body.String(), "page")
			}
			want(t, "runs", runs, s.runs)
		})
	}
}

// What was stored where nothing forbade it is not served where something does.
func TestNoCacheOutsideOfSomeRequests(t *testing.T) {
	runs, forbidding := 0, false
	cached := newCache(t).With(policy.Policy{TTL: time.Minute})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			runs++
			fmt.Fprint(w, runs)
		}))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if forbidding {
			w.Header().Set("Cache-Control", "private")
		}
		cached.ServeHTTP(w, r)
	})
	want(t, "a miss", get(h, "/").Body.String(), "1")
	want(t, "a hit", get(h, "/").Body.String(), "1")
	forbidding = true
	w := get(h, "/")
	want(t, "private", w.Body.String(), "2")
	want(t, "its Cache-Control", w.Header().Get("Cache-Control"), "private")
	if s := w.Header().Get("Cache-Status"); !strings.Contains(s, "fwd=miss") ||
		!strings.Contains(s, "detail=private") {
		t.Errorf("Cache-Status is %q", s)
	}
	forbidding = false
	want(t, "a hit again", get(h, "/").Body.String(), "1")
}

// A Vary outside splits what is stored: a middleware that tells tenants apart and says so keeps
// them apart.
func TestVaryOutside(t *testing.T) {
	runs := 0
	m := chi.NewRouter()
	m.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Vary", "X-Tenant")
			next.ServeHTTP(w, r)
		})
	}, newCache(t).With(policy.Policy{TTL: time.Minute}))
	m.Get("/", func(w http.ResponseWriter, r *http.Request) {
		runs++
		io.WriteString(w, "for "+r.Header.Get("X-Tenant"))
	})
	for range 2 {
		for _, tenant := range []string{"a", "b"} {
			w := get(m, "/", "X-Tenant", tenant)
			want(t, "body", w.Body.String(), "for "+tenant)
			if vary := strings.Join(w.Header()["Vary"], ", "); strings.Count(vary, "X-Tenant") != 1 {
				t.Errorf("Vary is %q", vary)
			}
		}
	}
	want(t, "runs", runs, 2)
}

// A page that is the same for everybody is served beside a cookie that is set outside, to this
// client alone, and no cache on the way may keep the two together.
func TestCookieOutsideOfASharedPage(t *testing.T) {
	for _, p := range []policy.Policy{{Shared: true, TTL: time.Minute}, {StoreCookies: true,
		TTL: time.Minute}} {
		visits, runs := 0, 0
		cached := newCache(t).With(p)(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			runs++
			w.Header().Set("Cdn-Cache-Control", "max-age=60")
			w.Header().Set("Cache-Control", "public, max-age=60")
			io.WriteString(w, "page")
		}))
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			visits++
			w.Header().Set("Set-Cookie", fmt.Sprint("visit=", visits))
			cached.ServeHTTP(w, r)
		})
		tag := ""
		for i := range 4 {
			w := get(h, "/", "If-None-Match", tag)
			want(t, "Set-Cookie", strings.Join(w.Header()["Set-Cookie"], ", "), fmt.Sprint("visit=",
				i+1))
			want(t, "Cache-Control", w.Header().Get("Cache-Control"), "private, max-age=60")
			want(t, "CDN-Cache-Control", w.Header().Get("Cdn-Cache-Control"), "")
			if i == 2 {
				want(t, "status", w.Code, http.StatusNotModified)
			}
			if tag = ""; i == 1 {
				tag = w.Header().Get("Etag")
			}
		}
		want(t, "runs", runs, 1)
	}
}

// What the client gets is judged and kept from others under the other methods and for pages that
// pass as well.
func TestCookieBesideALifetime(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS"} {
		for _, p := range []policy.Policy{{}, {TTL: time.Minute}} {
			h := newCache(t).With(p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Set-Cookie", "user=alice")
				w.Header().Set("Cache-Control", "public, s-maxage=600, max-age=60")
				w.Header().Set("Surrogate-Control", "max-age=60")
			}))
			w := (&visitor{h: h, cookies: map[string]string{}}).method(method, "/")
			want(t, method+": Cache-Control", w.Header().Get("Cache-Control"),
				"private, max-age=60")
			want(t, method+": Surrogate-Control", w.Header().Get("Surrogate-Control"), "")
		}
	}
}

package middleware_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// saysLate sets a field as the header is written, outside of the cache.
type saysLate struct {
	http.ResponseWriter
	name, value string
	done        bool
}

func (w *saysLate) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *saysLate) WriteHeader(status int) {
	if !w.done {
		w.done = true
		w.Header().Set(w.name, w.value)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *saysLate) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

// A handler outside of an app that is off, which forbids others the page as its header is written,
// is heard in a route inside, even where it says just what the app itself says to clients.
func TestWhatIsSaidLateOutsideAnAppThatIsOff(t *testing.T) {
	for _, word := range []string{"no-store", "no-cache, no-store", "private"} {
		t.Run(word, func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "for "+r.Header.Get("X-Who"))
			}}
			app := c.With(policy.Policy{Off: true})(c.With(minute)(o))
			h := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				app.ServeHTTP(&saysLate{w, "Cache-Control", word, false}, r)
			}))
			for _, who := range []string{"a", "b"} {
				r := get(h, "/", "X-Who", who)
				want(t, "page", body(r), "for "+who)
				if all := strings.Join(r.Header["Cache-Status"], ", "); strings.Contains(all,
					"stored") {
					t.Errorf("Cache-Status says stored: %s", all)
				}
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
		h := c.Root(c.With(policy.Policy{Off: true})(c.With(minute)(o)))
		get(h, "/")
		get(h, "/")
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// A mount keeps apart what another one of its cache around it does, though another cache is between
// the two.
func TestARouteKeepsApartWhatItsAppDoesAroundAnotherCache(t *testing.T) {
	c, other := newCache(t), newCache(t, middleware.Options{Name: "Other"})
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "for "+r.Header.Get("X-Tenant"))
	}}
	tenants := policy.Policy{TTL: minute.TTL,
		Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}}
	h := c.With(tenants)(other.With(tenants)(c.With(minute)(o)))
	for _, who := range []string{"a", "b", "a"} {
		want(t, "page", body(get(h, "/", "X-Tenant", who)), "for "+who)
	}
}

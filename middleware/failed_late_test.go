package middleware_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A handler that fails in the middle of its page inside of a Recoverer, or says so itself with an
// error's status, has made no page to store: net/http drops that status, since the header has gone.
func TestAnErrorAfterThePageHasBegun(t *testing.T) {
	panics := func(w http.ResponseWriter) {
		defer func() {
			if recover() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		panic("the database went away")
	}
	says := func(w http.ResponseWriter) { http.Error(w, "sorry", http.StatusInternalServerError) }
	for name, size := range map[string]int{"short": 10, "long": 40 << 10} {
		for how, fails := range map[string]func(http.ResponseWriter){"a panic": panics,
			"http.Error": says} {
			t.Run(name+", "+how, func(t *testing.T) {
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					io.WriteString(w, strings.Repeat("a", size))
					if o.runs.Load() == 1 {
						fails(w)
						return
					}
					io.WriteString(w, "z")
				}
				c := newCache(t)
				h := c.Handler(o)
				func() {
					defer func() { recover() }() // of a long page, of which the client has a part
					r := get(h, "/")
					want(t, "Cache-Status", r.Header.Get("Cache-Status"),
						"Freshet; fwd=uri-miss; fwd-status=200; detail=cut")
				}()
				want(t, "page", body(get(h, "/")), strings.Repeat("a", size)+"z")
				want(t, "runs", o.runs.Load(), int64(2))
			})
		}
	}
}

// A status that says nothing new is no error: handlers write the same one twice.
func TestAStatusThatIsWrittenTwice(t *testing.T) {
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "page")
		w.WriteHeader(http.StatusNotFound)
		w.WriteHeader(http.StatusOK)
	}}
	h := newCache(t).Handler(o)
	get(h, "/")
	get(h, "/")
	want(t, "runs", o.runs.Load(), int64(1))
}

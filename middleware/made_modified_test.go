package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// Two versions of a page within one second have one Last-Modified, where the cache makes it, and
// one Date. A client that has the first and asks with the date alone gets the second.
func TestTwoVersionsWithinASecond(t *testing.T) {
	for name, size := range map[string]int{"short": 0, "long": 40 << 10} {
		for _, etag := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, etag %v", name, etag), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := &origin{}
					o.h = func(w http.ResponseWriter, r *http.Request) {
						if etag {
							w.Header().Set("ETag", fmt.Sprintf(`"%d"`, o.runs.Load()))
						}
						io.WriteString(w, fmt.Sprint(o.runs.Load(), strings.Repeat(".", size)))
					}
					c := newCache(t)
					h := c.With(policy.Policy{TTL: time.Minute})(o)
					first := get(h, "http://a.example/")
					date := first.Header.Get("Last-Modified")
					if etag {
						date = first.Header.Get("Date")
					}
					time.Sleep(time.Second / 4)
					if _, err := c.InvalidateURL(t.Context(), "http://a.example/"); err != nil {
						t.Fatal(err)
					}
					for _, what := range []string{"while it is made", "while it is stored",
						"later"} {
						r := get(h, "http://a.example/", "If-Modified-Since", date)
						want(t, what, fmt.Sprintf("%d %.1s", r.StatusCode, body(r)), "200 2")
						time.Sleep(2 * time.Second)
					}
					again := get(h, "http://a.example/")
					for _, since := range []string{again.Header.Get("Etag"), ""} {
						fields := []string{"If-Modified-Since", date}
						if since != "" {
							fields = append(fields, "If-None-Match", since)
						} else {
							fields[1] = time.Now().UTC().Format(http.TimeFormat)
						}
						want(t, "the second version", get(h, "http://a.example/",
							fields...).StatusCode, http.StatusNotModified)
					}
				})
			})
		}
	}
}

// The handler's own Last-Modified is the handler's word.
func TestOneLastModifiedOfTheHandlers(t *testing.T) {
	const date = "Sat, 21 Nov 2026 02:00:00 GMT"
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Last-Modified", date)
		io.WriteString(w, "page")
	}))
	for _, what := range []string{"a miss", "a hit"} {
		want(t, what, get(h, "/", "If-Modified-Since", date).StatusCode, http.StatusNotModified)
	}
}

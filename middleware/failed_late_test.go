package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
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
	written := map[string]string{"http.Error": "sorry\n"} // after it
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
				var out policy.Outcome
				c := newCache(t, middleware.Options{Observe: func(_ *http.Request, e middleware.Event) {
					out = e.Outcome
				}})
				h := c.Handler(o)
				r := get(h, "/") // which has what it would have without a cache
				want(t, "half a page", body(r), strings.Repeat("a", size)+written[how])
				if name == "short" {
					want(t, "Cache-Status", r.Header.Get("Cache-Status"),
						"Freshet; fwd=uri-miss; fwd-status=200; detail=cut")
				}
				want(t, "outcome", out.Detail, policy.Reason("cut"))
				want(t, "stored", out.Stored, false)
				want(t, "page", body(get(h, "/")), strings.Repeat("a", size)+"z")
				want(t, "runs", o.runs.Load(), int64(2))
			})
		}
	}
}

// Those who read along with such a page get what its own client gets, and those who come later run
// the handler anew.
func TestAnErrorAfterThePageHasBegunForReaders(t *testing.T) {
	begun, fail := make(chan struct{}), make(chan struct{})
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, strings.Repeat("a", 40<<10))
		if o.runs.Load() == 1 {
			close(begun)
			<-fail
			w.WriteHeader(http.StatusGatewayTimeout)
		}
	}
	joined := make(chan struct{}, 1)
	srv := httptest.NewServer(newCache(t).Handler(o))
	defer srv.Close()
	pages := make(chan string, 2)
	ask := func() {
		res, err := srv.Client().Get(srv.URL)
		if err != nil {
			pages <- err.Error()
			return
		}
		joined <- struct{}{}
		page, err := io.ReadAll(res.Body)
		res.Body.Close()
		pages <- fmt.Sprint(len(page), " ", err)
	}
	go ask()
	<-begun
	<-joined // the leader has its header
	go ask()
	<-joined // and who reads along has
	close(fail)
	for range 2 {
		want(t, "page", <-pages, fmt.Sprint(40<<10, " ", nil))
	}
	want(t, "runs", o.runs.Load(), int64(1))
	go ask()
	<-joined
	want(t, "a later page", <-pages, fmt.Sprint(40<<10, " ", nil))
	want(t, "runs", o.runs.Load(), int64(2))
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

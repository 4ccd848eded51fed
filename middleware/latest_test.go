package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// takesLate is the writer of a client that takes nothing of a body until it is told to.
type takesLate struct {
	*httptest.ResponseRecorder
	until chan struct{}
	flush bool // it takes what is written, and waits when it is flushed
}

func (w *takesLate) Write(p []byte) (int, error) {
	if !w.flush {
		<-w.until
	}
	return w.ResponseRecorder.Write(p)
}

func (w *takesLate) Flush() { <-w.until }

// A leader that takes its page late does not put it over a newer one, however late that is, and
// whatever it gets; nor does it keep its page from the store of others until then. The store is a
// server's here.
func TestALeaderThatTakesItsPageLate(t *testing.T) {
	for _, s := range []struct {
		name  string
		field []string
		size  int
		flush bool
		late  bool // the page comes to the store as late as its client takes it
	}{
		{"a page", nil, 1, false, false},
		{"a page, as it is flushed", nil, 1, true, false},
		{"as much as is held back", nil, 30 << 10, false, false},
		{"a part", []string{"Range", "bytes=0-3"}, 100, false, true},
	} {
		for _, after := range []time.Duration{0, 10 * time.Second, 3 * time.Minute} {
			t.Run(fmt.Sprint(s.name, ", ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					memory := memstore.New(1 << 20)
					defer memory.Close()
					var sets atomic.Int64
					c := middleware.New(faulty.Store(memory, func(_ context.Context, call,
						_ string) error {
						if call == "Set" {
							sets.Add(1)
						}
						return nil
					}), middleware.Options{Log: discard})
					defer c.Shutdown(t.Context())
					var version atomic.Int64
					h := c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter,
						r *http.Request) {
						w.Header().Set("Etag", fmt.Sprintf(`"%d"`, version.Load()))
						text := fmt.Sprint("version ", version.Load(), "\n", strings.Repeat(" ",
							s.size))
						if r.Header.Get("Range") != "" {
							http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader(text))
							return
						}
						io.WriteString(w, text)
					}))
					w := &takesLate{httptest.NewRecorder(), make(chan struct{}), s.flush}
					r := httptest.NewRequest("GET", "/", nil)
					if s.field != nil {
						r.Header.Set(s.field[0], s.field[1])
					}
					led := make(chan struct{})
					go func() { defer close(led); h.ServeHTTP(w, r) }()
					synctest.Wait()
					want(t, "stored before its client has taken it", sets.Load() > 0, !s.late)
					version.Add(1)
					time.Sleep(after)
					page := func() string {
						got, _, _ := strings.Cut(body(get(h, "/")), "\n")
						return got
					}
					newer := get(h, "/", "Cache-Control", "no-cache")
					want(t, "newer", strings.HasPrefix(body(newer), "version 1"), true)
					want(t, "the next", page(), "version 1")
					close(w.until)
					<-led
					want(t, "after the late one", page(), "version 1")
					status(t, get(h, "/"), "hit")
				})
			})
		}
	}
}

// A HEAD that is slow to say that a page is still good does not put the page over a newer one:
// neither over that of a GET that came after it, nor over that of one which came before, and has
// stored its page meanwhile.
func TestASlowHEADAndANewerGET(t *testing.T) {
	for _, first := range []string{"GET", "HEAD"} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			o := &origin{}
			var version atomic.Int64
			o.h = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				etag := fmt.Sprintf(`"%d"`, version.Load())
				switch r.Method {
				case "HEAD":
					time.Sleep(10 * time.Second)
				default:
					if version.Load() > 0 {
						time.Sleep(3 * time.Second)
					}
					etag = fmt.Sprintf(`"%d"`, version.Load())
				}
				w.Header().Set("Etag", etag)
				fmt.Fprint(w, "version ", version.Load())
			}
			h := c.Handler(o)
			get(h, "/")
			time.Sleep(2 * time.Second)
			done := make(chan struct{}, 2)
			ask := func(method string) {
				go func() { do(h, method, "/", "Cache-Control", "no-cache"); done <- struct{}{} }()
				synctest.Wait()
			}
			if first == "GET" {
				version.Store(1)
				ask("GET")
				time.Sleep(2 * time.Second)
				version.Store(0)
				ask("HEAD")
				version.Store(1)
			} else {
				ask("HEAD")
				time.Sleep(2 * time.Second)
				version.Store(1)
				ask("GET")
			}
			<-done
			<-done
			r := get(h, "/")
			status(t, r, "hit")
			want(t, "the page, "+first+" first", body(r), "version 1")
		})
	}
}

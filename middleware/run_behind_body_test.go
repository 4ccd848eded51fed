package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// unhurried is a client that takes a millisecond for each write.
type unhurried struct {
	header http.Header
	got    int
}

func (c *unhurried) Header() http.Header { return c.header }
func (c *unhurried) WriteHeader(int)     {}

func (c *unhurried) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	c.got += len(p)
	return len(p), nil
}

// A body that cannot be kept reaches the client of a run in the background whole, which is for no
// client of its own: it waits for those who read along, and for nobody else.
func TestALongBodyOfARunInTheBackground(t *testing.T) {
	const part, parts = 64 << 10, 16
	for _, s := range []struct {
		story string
		o     middleware.Options
		p     policy.Policy
		joins bool // the client joins a refresh
	}{
		{"too long", middleware.Options{}, policy.Policy{MaxBody: part, HardTimeout: time.Minute}, false},
		{"no room", middleware.Options{MaxFillBytes: part}, policy.Policy{HardTimeout: time.Minute}, false},
		{"a refresh", middleware.Options{}, policy.Policy{MaxBody: part,
			StaleWhileRevalidate: time.Hour}, true},
		{"a client's own", middleware.Options{}, policy.Policy{MaxBody: part}, false},
	} {
		t.Run(s.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{}
				goOn := make(chan struct{})
				o.h = func(w http.ResponseWriter, r *http.Request) {
					if s.joins && o.runs.Load() == 1 {
						io.WriteString(w, "short")
						return
					}
					<-goOn
					for range parts {
						if _, err := w.Write(make([]byte, part)); err != nil {
							t.Error(err)
							return
						}
					}
				}
				s.p.TTL = time.Minute
				h := rooted(newCache(t, s.o), s.p, o)
				if s.joins {
					get(h, "/")
					time.Sleep(70 * time.Second)
					get(h, "/") // starts the refresh
				}
				r, c := httptest.NewRequest("GET", "/", nil), &unhurried{header: http.Header{}}
				r.Header.Set("Cache-Control", "no-cache")
				time.AfterFunc(time.Second, func() { close(goOn) })
				func() {
					defer func() { recover() }()
					h.ServeHTTP(c, r)
				}()
				want(t, "bytes", c.got, part*parts)
				want(t, "runs", o.runs.Load(), map[bool]int64{false: 1, true: 2}[s.joins])
				synctest.Wait()
			})
		})
	}
}

// HardTimeout bounds the wait until an answer begins: what clients read goes on for as long as they
// do, and ends half a minute after they have left.
func TestADownloadFromBehindTakesLongerThanAMinute(t *testing.T) {
	for _, s := range []struct {
		leaves time.Duration // when its client does; 0: it stays
		ends   time.Duration
	}{{0, 90 * time.Second}, {70 * time.Second, 100 * time.Second}} {
		t.Run(fmt.Sprint("leaves=", s.leaves), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, took := time.Now(), new(atomic.Int64)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					defer func() { took.Store(int64(time.Since(began))) }()
					for s.leaves > 0 || time.Since(began) < s.ends {
						io.WriteString(w, "row\n")
						w.(http.Flusher).Flush()
						select {
						case <-r.Context().Done():
							return
						case <-time.After(time.Second):
						}
					}
				}}
				p := policy.Policy{TTL: time.Minute, HardTimeout: 10 * time.Second}
				c := newCache(t)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				if s.leaves > 0 {
					time.AfterFunc(s.leaves, leave)
				}
				w := httptest.NewRecorder()
				rooted(c, p, o).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
				if s.leaves == 0 {
					want(t, "rows", w.Body.Len()/len("row\n"), 90)
				}
				time.Sleep(time.Minute)
				want(t, "it took", time.Duration(took.Load()), s.ends)
				want(t, "fills left", c.Stats().Fills, 0)
			})
		})
	}
}

// Those who leave the queue of MaxRuns give up the places of their runs behind: no handler runs for
// nobody, and who comes later finds room.
func TestThoseWhoLeaveTheQueueFromBehind(t *testing.T) {
	for _, hard := range []time.Duration{0, 10 * time.Second} {
		t.Run(fmt.Sprint(hard), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				goOn := make(chan struct{})
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/first" {
						<-goOn
					}
					io.WriteString(w, r.URL.Path)
				}}
				h := rooted(newCache(t), policy.Policy{TTL: time.Minute, HardTimeout: hard, MaxRuns: 1}, o)
				var all sync.WaitGroup
				all.Go(func() { want(t, "the first", body(get(h, "/first")), "/first") })
				synctest.Wait()
				ctx, leave := context.WithCancel(t.Context())
				for i := range 16 {
					all.Go(func() {
						r := httptest.NewRequestWithContext(ctx, "GET", fmt.Sprint("/", i), nil)
						h.ServeHTTP(httptest.NewRecorder(), r)
					})
				}
				synctest.Wait()
				leave()
				time.AfterFunc(time.Second, func() { close(goOn) })
				synctest.Wait()
				want(t, "who comes later", body(get(h, "/later")), "/later")
				all.Wait()
				time.Sleep(time.Minute)
				want(t, "runs", o.runs.Load(), int64(2))
			})
		})
	}
}

// What one request was refused, which may be due to that request, takes SoftTimeout and HardTimeout
// off the page for nobody.
func TestARefusalTakesNoBoundOffAPage(t *testing.T) {
	for _, s := range []struct {
		story, method, cookie string
		shared                bool
		length                int
	}{
		{"a GET", "GET", "", false, 0},
		{"a HEAD", "HEAD", "", false, 0},
		{"a GET with a long answer", "GET", "", false, 40_000},
		{"a GET with a cookie, of a Shared page", "GET", "a=1", true, 0},
	} {
		t.Run(s.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hangs atomic.Bool
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("X-Long") != "" {
						w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
						w.Write(make([]byte, s.length))
						return
					}
					if hangs.Load() {
						time.Sleep(30 * time.Second)
					}
					io.WriteString(w, "page")
				}}
				h := rooted(newCache(t), policy.Policy{TTL: time.Second, StaleIfError: time.Hour,
					Shared: s.shared, SoftTimeout: time.Second, HardTimeout: 2 * time.Second}, o)
				get(h, "/")
				time.Sleep(2 * time.Second)
				fields := []string{"X-Long", string(make([]byte, 5000))}
				if s.cookie != "" {
					fields = append(fields, "Cookie", s.cookie)
				}
				want(t, "the refusal", do(h, s.method, "/", fields...).StatusCode, 431)
				time.Sleep(9 * time.Minute)
				hangs.Store(true)
				began := time.Now()
				want(t, "body", body(get(h, "/")), "page")
				want(t, "waited", time.Since(began), time.Second)
				time.Sleep(time.Minute)
			})
		})
	}
}

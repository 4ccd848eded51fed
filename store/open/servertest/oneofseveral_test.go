package servertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/open"
)

// pagesite is pages that change, in several processes' caches over the same Memcached servers, in which
// far is all that is stored.
type pagesite struct {
	apps     []http.Handler
	caches   []*middleware.Cache
	versions [200]atomic.Int64
	taken    [200]atomic.Pointer[change]
}

// change is the newest version of a page whose invalidation the journal has taken.
type change struct {
	version int64
	at      time.Time
}

func (s *pagesite) uri(page int) string { return fmt.Sprint("http://a.example/", page) }

func newSite(t *testing.T, processes int, servers ...*testserver.Server) *pagesite {
	var addresses []string
	for _, m := range servers {
		addresses = append(addresses, m.Addr)
	}
	s := &pagesite{}
	quiet := slog.New(slog.DiscardHandler)
	everyPage := &policy.Policy{TTL: time.Hour, Shared: true}
	prefix := prefixes.Add(1)
	for range processes {
		st, err := open.URL(t.Context(), fmt.Sprintf("memcached://%s?prefix=site-%d:&near=0",
			strings.Join(addresses, ","), prefix), open.Options{Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		c := middleware.New(st, middleware.Options{Log: quiet,
			Policy: func(*http.Request) *policy.Policy { return everyPage }})
		t.Cleanup(func() {
			c.Shutdown(context.Background())
			st.Close()
		})
		s.caches = append(s.caches, c)
		s.apps = append(s.apps, c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var page int
			fmt.Sscanf(r.URL.Path, "/%d", &page)
			fmt.Fprint(w, s.versions[page].Load())
		})))
	}
	return s
}

// get returns how a process answers, and for how long a version has been invalidated that it gives.
func (s *pagesite) get(app, page int) (how string, stale time.Duration) {
	taken := s.taken[page].Load()
	w := httptest.NewRecorder()
	s.apps[app].ServeHTTP(w, httptest.NewRequest("GET", s.uri(page), nil))
	var version int64
	fmt.Sscan(w.Body.String(), &version)
	if taken != nil && version < taken.version {
		stale = time.Since(taken.at)
	}
	return w.Header().Get("Cache-Status"), stale
}

func (s *pagesite) change(app, page int) {
	version := s.versions[page].Add(1)
	if _, err := s.caches[app].InvalidateURL(context.Background(), s.uri(page)); err == nil {
		s.taken[page].Store(&change{version, time.Now()})
	}
}

// TestMemcachedServerGone prints, second by second, how many of three processes' requests are hits
// when one of their Memcached servers goes and comes back, and for how long any page was stale:
//
//	FRESHET_TEST_SOAK=1 go test ./store/open/servertest -run TestMemcachedServerGone -v
func TestMemcachedServerGone(t *testing.T) {
	for _, servers := range []int{2, 3} {
		for _, how := range []string{"killed", "stopped"} {
			for gone := range servers {
				if os.Getenv("FRESHET_TEST_SOAK") == "" {
					continue // it only prints what is: TestOneMemcachedServerMayGo asks for what must be
				}
				t.Run(fmt.Sprintf("of %d, number %d is %s", servers, gone, how), func(t *testing.T) {
					printGone(t, servers, gone, how)
				})
			}
		}
	}
}

func printGone(t *testing.T, servers, gone int, how string) {
	var all []*testserver.Server
	for range servers {
		all = append(all, testserver.Memcached(t))
	}
	s := newSite(t, 3, all...)
	type second struct{ made, hits, failed atomic.Int64 }
	var seconds [26]second
	var stalest atomic.Int64
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(seconds))*time.Second)
	defer cancel()
	var work sync.WaitGroup
	for app := range s.apps {
		for range 2 {
			work.Go(func() {
				for ctx.Err() == nil {
					how, stale := s.get(app, rand.IntN(len(s.versions)))
					at := &seconds[min(int(time.Since(begun).Seconds()), len(seconds)-1)]
					at.made.Add(1)
					if strings.Contains(how, "; hit") {
						at.hits.Add(1)
					}
					if strings.Contains(how, "store-error") {
						at.failed.Add(1)
					}
					if n := stalest.Load(); int64(stale) > n {
						stalest.CompareAndSwap(n, int64(stale))
					}
					time.Sleep(2 * time.Millisecond)
				}
			})
		}
		work.Go(func() {
			for ctx.Err() == nil {
				s.change(app, rand.IntN(len(s.versions)))
				time.Sleep(500 * time.Millisecond)
			}
		})
	}
	time.Sleep(time.Until(begun.Add(5 * time.Second)))
	if m := all[gone]; how == "killed" {
		m.Kill()
		time.Sleep(time.Until(begun.Add(15 * time.Second)))
		m.Start()
	} else {
		m.Pause()
		time.Sleep(time.Until(begun.Add(15 * time.Second)))
		m.Resume()
	}
	work.Wait()
	for i := range seconds {
		n := max(seconds[i].made.Load(), 1)
		t.Logf("second %2d: %3d %% hits, %2d %% store-error, of %d", i, seconds[i].hits.Load()*100/n,
			seconds[i].failed.Load()*100/n, n)
	}
	t.Logf("the page that was stale for longest: %v", time.Duration(stalest.Load()))
}

// Whichever of several Memcached servers goes, what is stored is used, in all processes, also when the
// server is back. With FRESHET_TEST_SOAK the test waits until the journal has moved, too, and each
// process sees what another one has changed.
func TestOneMemcachedServerMayGo(t *testing.T) {
	t.Parallel()
	for gone := range 2 {
		t.Run(fmt.Sprint("number ", gone), func(t *testing.T) {
			t.Parallel()
			all := []*testserver.Server{testserver.Memcached(t), testserver.Memcached(t)}
			s := newSite(t, 2, all...)
			hits := func(when string) {
				t.Helper()
				for page := range 20 {
					until(t, fmt.Sprintf("%s: a hit of page %d", when, page), func() bool {
						how, _ := s.get(0, page)
						other, _ := s.get(1, page)
						return strings.Contains(how, "; hit") && strings.Contains(other, "; hit")
					})
				}
			}
			seen := func(when string) {
				t.Helper()
				if os.Getenv("FRESHET_TEST_SOAK") == "" {
					return
				}
				for page := range 3 {
					s.change(page%2, page)
					until(t, fmt.Sprintf("%s: the change of page %d", when, page), func() bool {
						w := httptest.NewRecorder()
						s.apps[1-page%2].ServeHTTP(w, httptest.NewRequest("GET", s.uri(page), nil))
						body, _ := io.ReadAll(w.Body)
						return string(body) == fmt.Sprint(s.versions[page].Load())
					})
				}
			}
			hits("at first")
			all[gone].Kill()
			hits("when the server has gone")
			seen("when the server has gone")
			all[gone].Start()
			hits("when it is back")
			seen("when it is back")
		})
	}
}

// until waits until what is so, for as long as a busy machine may need.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so in a minute: %s", what)
		}
	}
}

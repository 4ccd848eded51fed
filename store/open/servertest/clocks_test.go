package servertest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/open"
)

// off is by how much clocks are off here.
const off = 5 * time.Minute

// turn is one life of a process, with a clock of its own, over a folder.
type turn struct {
	t *testing.T
	h http.Handler
}

// at runs a process whose clock is ahead of the others' by some time, and ends it.
func at(t *testing.T, ahead time.Duration, folder string, handler http.HandlerFunc, does func(turn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(2*off + ahead)
		log := slog.New(slog.DiscardHandler)
		s, err := open.URL(t.Context(), "file://"+folder+"?near=0", open.Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		c := middleware.New(s, middleware.Options{Log: log})
		h := c.Handler(handler)
		time.Sleep(time.Second) // by then it has read the journal
		does(turn{t, h})
		if err := c.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		s.Close()
	})
}

// wants fails unless a request is answered with a body and an outcome.
func (n turn) wants(method, path, body, outcome string) {
	n.t.Helper()
	w := httptest.NewRecorder()
	n.h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	synctest.Wait() // until it is stored
	got := w.Header().Get("Cache-Status")
	if w.Body.String() != body || !strings.Contains(got, outcome) {
		n.t.Errorf("%s %s: %s, %q; want %s with %q", method, path, w.Body, got, body, outcome)
	}
}

// What a process whose clock is off has stored, others use neither for longer than it lives nor
// after it was invalidated, and it uses nothing of theirs so.
func TestAProcessWhoseClockIsOff(t *testing.T) {
	// what was stored by a clock that is behind is too old, and by one ahead it comes from the
	// future
	const old, future = "fwd=stale", "fwd=miss"
	for _, c := range []struct {
		story         string
		ahead         time.Duration
		itFinds, find string // what it finds of the others', and they of what it stored
	}{{"ahead", off, old, future}, {"behind", -off, future, old}} {
		t.Run(c.story, func(t *testing.T) {
			folder, runs := t.TempDir(), 0
			handler := func(w http.ResponseWriter, r *http.Request) {
				runs++
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, "run ", runs)
			}
			at(t, 0, folder, handler, func(n turn) {
				n.wants("GET", "/page", "run 1", "stored")
				n.wants("GET", "/page", "run 1", "hit")
				n.wants("GET", "/other", "run 2", "stored")
			})
			at(t, c.ahead, folder, handler, func(n turn) {
				n.wants("GET", "/page", "run 3", c.itFinds)
				n.wants("GET", "/page", "run 3", "hit")
				n.wants("POST", "/other", "run 4", "")
			})
			at(t, 2*time.Second, folder, handler, func(n turn) {
				n.wants("GET", "/other", "run 5", "stored")
				n.wants("GET", "/page", "run 6", c.find)
				n.wants("GET", "/page", "run 6", "hit")
				n.wants("POST", "/page", "run 7", "")
			})
			at(t, c.ahead+4*time.Second, folder, handler, func(n turn) {
				n.wants("GET", "/page", "run 8", "stored")
				n.wants("GET", "/page", "run 8", "hit")
			})
		})
	}
}

// A server's clock jumps by five minutes, ahead and back. Processes go on to share pages and to
// hear of each other's invalidations, and a receipt ends when all have them:
//
//	FRESHET_TEST_SOAK=1 go test -race ./store/open/servertest -run TestAServerWhoseClockJumps -v
func TestAServerWhoseClockJumps(t *testing.T) {
	if os.Getenv("FRESHET_TEST_SOAK") == "" {
		return // servers start twice
	}
	for name, start := range map[string]func(testing.TB) *testserver.Server{
		"redis":      func(t testing.TB) *testserver.Server { return testserver.Redis(t) },
		"postgresql": func(t testing.TB) *testserver.Server { return testserver.Postgres(t) },
		"memcached":  func(t testing.TB) *testserver.Server { return testserver.Memcached(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			jump := server.OwnClock()
			s := &site{prefix: fmt.Sprintf("clock-%d:", prefixes.Add(1))}
			migrated(t, server.URL)
			a, b := s.node(t, server), s.node(t, server)
			for i, clock := range []time.Duration{0, off, 0, -off, 0} {
				jump(clock)
				jumped := time.Now()
				s.version.Store(int64(i + 1))
				want := fmt.Sprint("version ", i+1)
				by, other := a, b
				if i%2 > 0 {
					by, other = b, a
				}
				receipt, err := by.cache.InvalidateURL(t.Context(), pageURL)
				if err != nil {
					t.Fatal(err)
				}
				if body, hit := by.shows(); body != want {
					t.Errorf("clock %v: who has invalidated shows %q, hit %t", clock, body, hit)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				err = receipt.Wait(ctx)
				cancel()
				if err != nil {
					t.Errorf("clock %v: %v", clock, err)
				}
				if body, hit := other.shows(); body != want {
					t.Errorf("clock %v: all have it, and the other shows %q, hit %t", clock, body, hit)
				}
				by.hits(want)
				other.hits(want)
				t.Logf("clock %v: all have the new page after %v", clock, time.Since(jumped))
			}
		})
	}
}

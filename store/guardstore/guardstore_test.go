package guardstore

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an inner store whose health a test decides, and which counts what it is asked.
type server struct {
	store.Store
	mu    sync.Mutex
	fault faulty.Fault
	calls int
}

func newServer(t testing.TB) *server {
	inner := memstore.New(64 << 20)
	t.Cleanup(inner.Close)
	s := &server{}
	s.Store = faulty.Store(inner, func(ctx context.Context, op, key string) error {
		s.mu.Lock()
		s.calls++
		fault := s.fault
		s.mu.Unlock()
		if fault == nil {
			return nil
		}
		return fault(ctx, op, key)
	})
	return s
}

func (s *server) becomes(f faulty.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func (s *server) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// diary is a slog.Handler that keeps the messages.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) Enabled(context.Context, slog.Level) bool { return true }
func (d *diary) WithAttrs([]slog.Attr) slog.Handler       { return d }
func (d *diary) WithGroup(string) slog.Handler            { return d }

func (d *diary) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
	return nil
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

var (
	down = &store.Error{Backend: "redisstore", Op: "get", Kind: store.KindTransient,
		Err: syscall.ECONNREFUSED}
	tooLarge = &store.Error{Backend: "redisstore", Op: "set", Kind: store.KindPermanent,
		Err: errors.New("value too large")}
	wrongPass = &store.Error{Backend: "redisstore", Op: "get", Kind: store.KindAuthentication,
		Err: errors.New("WRONGPASS")}
	refuses = faulty.Refuse(down)
)

// guarded is a Store in a bubble with all that there is to watch.
type guarded struct {
	*Store
	t       *testing.T
	server  *server
	diary   *diary
	changes []State
}

func story(t *testing.T, o Options, tell func(g *guarded)) {
	synctest.Test(t, func(t *testing.T) {
		g := &guarded{t: t, server: newServer(t), diary: &diary{}}
		o.Name, o.Log, o.OnChange = "redis", slog.New(g.diary), func(s State) {
			g.changes = append(g.changes, s)
		}
		g.Store = New(g.server, o)
		tell(g)
	})
}

// gets makes n Gets and says that each takes so long and ends so; nil stands for "not found".
func (g *guarded) gets(n int, takes time.Duration, cause error) {
	g.t.Helper()
	for i := range n {
		began := time.Now()
		_, err := g.Get(g.t.Context(), "key")
		if took := time.Since(began); took != takes {
			g.t.Fatalf("Get %d took %v, want %v: %v", i+1, took, takes, err)
		}
		if cause == nil {
			if err != store.ErrNotFound {
				g.t.Fatalf("Get %d: %v, want not found", i+1, err)
			}
			continue
		}
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, cause) ||
			errors.Is(err, store.ErrNotFound) {
			g.t.Fatalf("Get %d: %v, want unavailable because of %v", i+1, err, cause)
		}
	}
}

func (g *guarded) want(s State, asked int) {
	g.t.Helper()
	if g.State() != s || g.server.asked() != asked {
		g.t.Fatalf("%v after %d calls to the server, want %v after %d", g.State(), g.server.asked(),
			s, asked)
	}
}

func (g *guarded) logged(want ...string) {
	g.t.Helper()
	lines := g.diary.read()
	ok := len(lines) == len(want)
	for i := range min(len(lines), len(want)) {
		ok = ok && strings.Contains(lines[i], want[i])
	}
	if !ok {
		g.t.Errorf("logged\n%s\nwant lines with\n%s", strings.Join(lines, "\n"), strings.Join(want,
			"\n"))
	}
}

func TestOpensOnFailuresOneAfterTheOther(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		g.server.becomes(refuses)
		g.gets(4, 0, syscall.ECONNREFUSED)
		g.want(StateClosed, 4)
		g.gets(1, 0, syscall.ECONNREFUSED)
		g.want(StateOpen, 5)
		g.gets(1000, 0, syscall.ECONNREFUSED)
		g.want(StateOpen, 5)
		if st := g.Stats(); st.Calls != 5 || st.Failures[store.KindTransient] != 5 ||
			st.Rejected != 1000 {
			t.Errorf("%+v", st)
		}
		g.logged("ERROR guardstore: redis is unavailable")
	})
}

func TestOneSuccessInBetweenBeginsTheCountAnew(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		for range 10 {
			g.server.becomes(refuses)
			g.gets(4, 0, syscall.ECONNREFUSED)
			g.server.becomes(nil)
			g.gets(1, 0, nil)
		}
		g.want(StateClosed, 50)
		// Nobody would know of it otherwise; and once a minute is enough.
		g.logged("WARN guardstore: redis failed, and may still be asked")
		time.Sleep(time.Minute)
		g.server.becomes(refuses)
		g.gets(1, 0, syscall.ECONNREFUSED)
		g.server.becomes(nil)
		g.gets(1, 0, nil)
		g.logged("times=1", "times=10")
	})
}

func TestRecovers(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		g.server.becomes(refuses)
		g.gets(5, 0, syscall.ECONNREFUSED)
		time.Sleep(time.Second)
		g.gets(1, 0, syscall.ECONNREFUSED)
		g.want(StateOpen, 5)
		time.Sleep(time.Second / 4)
		time.Sleep(time.Millisecond)
		g.server.becomes(nil)
		g.gets(100, 0, nil)
		g.want(StateClosed, 105)
		g.logged("ERROR guardstore: redis is unavailable", "INFO guardstore: redis is available "+
			"again store=redis after=1.251s")
		if want := []State{StateOpen, StateHalfOpen, StateClosed}; !slices.Equal(g.changes, want) {
			t.Errorf("changes %v, want %v", g.changes, want)
		}
	})
}

func TestAProbeThatFailsMakesThePauseLonger(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		g.server.becomes(refuses)
		g.gets(5, 0, syscall.ECONNREFUSED)
		asked := 5
		for _, pause := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			pause *= time.Second
			time.Sleep(pause)
			g.gets(3, 0, syscall.ECONNREFUSED)
			g.want(StateOpen, asked)
			time.Sleep(pause/4 + time.Millisecond)
			g.gets(3, 0, syscall.ECONNREFUSED)
			asked++
			g.want(StateOpen, asked)
		}
		g.server.becomes(nil)
		time.Sleep(38 * time.Second)
		g.gets(1, 0, nil)
		g.want(StateClosed, asked+1)
		// The next outage begins with a short pause.
		g.server.becomes(refuses)
		g.gets(5, 0, syscall.ECONNREFUSED)
		time.Sleep(1251 * time.Millisecond)
		g.gets(2, 0, syscall.ECONNREFUSED)
		g.want(StateOpen, asked+7)
		g.logged("unavailable", "available again", "unavailable")
	})
}

func TestHalfOpenLetsOneThrough(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		g.server.becomes(refuses)
		g.gets(5, 0, syscall.ECONNREFUSED)
		time.Sleep(2 * time.Second)
		g.server.becomes(faulty.Slow(100 * time.Millisecond))
		var probe sync.WaitGroup
		probe.Go(func() { g.gets(1, 100*time.Millisecond, nil) })
		synctest.Wait()
		g.want(StateHalfOpen, 6)
		g.gets(100, 0, syscall.ECONNREFUSED)
		g.want(StateHalfOpen, 6)
		probe.Wait()
		g.want(StateClosed, 6)
	})
}

// A Set that began before the breaker opened and ends long after changes nothing, and is not told
// of.
func TestWhatBeganBeforeItOpened(t *testing.T) {
	story(t, Options{SetTimeout: 2500 * time.Millisecond}, func(g *guarded) {
		g.server.becomes(faulty.Hang)
		var old sync.WaitGroup
		old.Go(func() { g.Set(g.t.Context(), "key", &store.Entry{Key: "key"}, time.Hour) })
		synctest.Wait()
		g.server.becomes(refuses)
		g.gets(5, 0, syscall.ECONNREFUSED)
		time.Sleep(1300 * time.Millisecond)
		g.gets(1, 0, syscall.ECONNREFUSED) // open again, for 2 seconds at least
		old.Wait()
		g.want(StateOpen, 7)
		g.gets(3, 0, syscall.ECONNREFUSED)
		g.want(StateOpen, 7)
		g.server.becomes(nil)
		time.Sleep(2 * time.Second)
		g.gets(1, 0, nil)
		g.want(StateClosed, 8)
		g.logged("unavailable", "available again")
		if want := []State{StateOpen, StateHalfOpen, StateOpen, StateHalfOpen, StateClosed}; !slices.Equal(g.changes, want) {
			t.Errorf("changes %v, want %v", g.changes, want)
		}
	})
}

// Calls that were under way when the first one failed count like any others, when they succeed.
func TestSuccessesBetweenFailuresThatBeganTogether(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		var calls atomic.Int64
		g.server.becomes(func(ctx context.Context, op, key string) error {
			n := calls.Add(1)
			time.Sleep(time.Duration(n) * time.Millisecond)
			if n%2 == 0 {
				return down
			}
			return nil
		})
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() { g.Get(g.t.Context(), "key") })
		}
		all.Wait()
		g.want(StateClosed, 40)
	})
}

func TestSeveralSuccessesMayBeAskedFor(t *testing.T) {
	story(t, Options{Successes: 3}, func(g *guarded) {
		g.server.becomes(refuses)
		g.gets(5, 0, syscall.ECONNREFUSED)
		time.Sleep(2 * time.Second)
		g.server.becomes(nil)
		g.gets(2, 0, nil)
		g.want(StateHalfOpen, 7)
		g.gets(1, 0, nil)
		g.want(StateClosed, 8)
	})
}

func TestAProbeWhoseCallerLeavesIsFollowedByAnother(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		g.server.becomes(faulty.Hang)
		g.gets(5, 250*time.Millisecond, context.DeadlineExceeded)
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithCancel(g.t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := g.Get(ctx, "key"); !errors.Is(err, context.Canceled) ||
			!errors.Is(err, store.ErrUnavailable) {
			t.Error(err)
		}
		g.server.becomes(nil)
		g.gets(1, 0, nil)
		g.want(StateClosed, 7)
	})
}

// What a hanging server costs all requests together: five times the timeout, and then a probe now
// and then.
func TestHangCostsFiveTimeouts(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		g.server.becomes(faulty.Hang)
		g.gets(5, 250*time.Millisecond, context.DeadlineExceeded)
		g.gets(1000, 0, context.DeadlineExceeded)
		g.want(StateOpen, 5)
		if st := g.Stats(); st.Failures[store.KindTimeout] != 5 {
			t.Errorf("%+v", st)
		}
		g.logged("context deadline exceeded")
	})
}

func TestEachOperationHasItsDeadline(t *testing.T) {
	for _, tt := range []struct {
		op     string
		o      Options
		caller time.Duration // own deadline; 0: none
		takes  time.Duration
	}{
		{"get", Options{}, 0, 250 * time.Millisecond},
		{"set", Options{}, 0, time.Second},
		{"delete", Options{}, 0, 250 * time.Millisecond},
		{"get", Options{Timeout: 50 * time.Millisecond}, 0, 50 * time.Millisecond},
		{"set", Options{SetTimeout: 3 * time.Second}, time.Minute, 3 * time.Second},
		{"set", Options{}, 250 * time.Millisecond, 250 * time.Millisecond},
		{"get", Options{Detached: true}, 0, 250 * time.Millisecond},
	} {
		t.Run(tt.op, func(t *testing.T) {
			story(t, tt.o, func(g *guarded) {
				g.server.becomes(faulty.Hang)
				ctx, cancel := g.t.Context(), context.CancelFunc(func() {})
				for i := range 6 {
					if tt.caller > 0 {
						ctx, cancel = context.WithTimeout(g.t.Context(), tt.caller)
					}
					began := time.Now()
					var err error
					switch tt.op {
					case "get":
						_, err = g.Get(ctx, "key")
					case "set":
						err = g.Set(ctx, "key", &store.Entry{Key: "key"}, time.Hour)
					case "delete":
						err = g.Delete(ctx, "key")
					}
					cancel()
					want := tt.takes
					if i == 5 {
						want = 0
					}
					if took := time.Since(began); took != want || !errors.Is(err, store.ErrUnavailable) || store.KindOf(err) != store.KindTimeout {
						t.Errorf("call %d took %v, want %v: %v", i+1, took, want, err)
					}
				}
				g.want(StateOpen, 5)
			})
		})
	}
}

// Less than 0 is none: no deadline, no breaker, no bound on what waits.
func TestNoBounds(t *testing.T) {
	story(t, Options{Timeout: -1, SetTimeout: -1, Failures: -1, MaxWaiting: -1}, func(g *guarded) {
		g.server.becomes(refuses)
		g.gets(3000, 0, store.ErrUnavailable)
		g.want(StateClosed, 3000)
		g.server.becomes(faulty.Slow(24 * time.Hour))
		began := time.Now()
		var all sync.WaitGroup
		for range 2000 {
			all.Go(func() { g.Get(g.t.Context(), "key") })
		}
		all.Wait()
		if took := time.Since(began); took != 24*time.Hour || g.Stats().Crowded > 0 {
			t.Errorf("a call of a day took %v, and %d had no place", took, g.Stats().Crowded)
		}
	})
	story(t, Options{Failures: 1, Retry: -1}, func(g *guarded) {
		g.server.becomes(refuses)
		for n := range 3 {
			g.gets(1, 0, store.ErrUnavailable)
			g.want(StateOpen, n+1)
			time.Sleep(time.Microsecond) // the pause doubles, from next to nothing
		}
	})
}

func TestCallersThatLeaveOpenNothing(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		story string
		ctx   func() (context.Context, context.CancelFunc)
		asked int
	}{
		{"before", func() (context.Context, context.CancelFunc) { return gone, func() {} }, 0},
		{"meanwhile", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(100*time.Millisecond, cancel)
			return ctx, cancel
		}, 20},
		{"with hardly any time of their own", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 10*time.Millisecond)
		}, 20},
	} {
		t.Run(tt.story, func(t *testing.T) {
			story(t, Options{}, func(g *guarded) {
				g.server.becomes(faulty.Hang)
				for range 20 {
					ctx, cancel := tt.ctx()
					if _, err := g.Get(ctx, "key"); !errors.Is(err, store.ErrUnavailable) ||
						!errors.Is(err, ctx.Err()) {
						t.Errorf("%v, want unavailable because of %v", err, ctx.Err())
					}
					cancel()
				}
				g.want(StateClosed, tt.asked)
				g.logged()
				if st := g.Stats(); st.Left != 20 || len(st.Failures) != 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// Callers who leave themselves a tenth of the timeout wait long enough for a silent server to be to
// blame.
func TestCallersWithATenthOfTheTimeoutOpen(t *testing.T) {
	for own, want := range map[time.Duration]State{25*time.Millisecond - 1: StateClosed,
		25 * time.Millisecond: StateOpen} {
		story(t, Options{}, func(g *guarded) {
			g.server.becomes(faulty.Hang)
			for range 5 {
				ctx, cancel := context.WithTimeout(g.t.Context(), own)
				g.Get(ctx, "key")
				cancel()
			}
			g.want(want, 5)
		})
	}
}

// A store that does not look at contexts answers callers who have left: that it is well, if it is
// in time, and nothing otherwise.
func TestAnswersToCallersThatHaveLeft(t *testing.T) {
	for _, takes := range []time.Duration{200 * time.Millisecond, 300 * time.Millisecond} {
		story(t, Options{}, func(g *guarded) {
			g.server.becomes(heedless(takes))
			for range 20 {
				ctx, cancel := context.WithCancel(g.t.Context())
				time.AfterFunc(100*time.Millisecond, cancel)
				if _, err := g.Get(ctx, "key"); err != store.ErrNotFound {
					t.Errorf("after %v: %v, want not found", takes, err)
				}
			}
			g.want(StateClosed, 20)
			g.logged()
		})
	}
}

// Nor is it harmless what this version does not know.
func TestErrorsOfAKindThatIsNotKnownOpen(t *testing.T) {
	for _, kind := range []store.ErrorKind{store.KindUnknown, store.KindAuthentication + 1, 255} {
		story(t, Options{}, func(g *guarded) {
			cause := &store.Error{Backend: "x", Op: "get", Kind: kind, Err: errors.New("?")}
			g.server.becomes(faulty.Refuse(cause))
			g.gets(5, 0, cause)
			g.want(StateOpen, 5)
			if st := g.Stats(); st.Failures[store.KindUnknown] != 5 {
				t.Errorf("kind %d: %+v", kind, st)
			}
		})
	}
}

func TestErrorsOfOneCallOpenNothing(t *testing.T) {
	for _, cause := range []*store.Error{tooLarge, wrongPass} {
		t.Run(cause.Kind.String(), func(t *testing.T) {
			story(t, Options{}, func(g *guarded) {
				g.server.becomes(faulty.Refuse(cause))
				g.gets(100, 0, cause)
				g.want(StateClosed, 100)
				g.logged("kind=" + cause.Kind.String())
				if _, err := g.Get(g.t.Context(), "key"); store.KindOf(err) != cause.Kind {
					t.Errorf("kind %v: %v", store.KindOf(err), err)
				}
				time.Sleep(time.Minute)
				g.gets(100, 0, cause)
				g.logged("times=1", "times=101")
			})
		})
	}
}

// Clients that ask for many long pages make the server slow for each of them, and do not take it
// from all others.
func TestLongAnswersThatWereStillComingOpenNothing(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		g.server.becomes(faulty.Refuse(&store.Error{Backend: "inner", Op: "get",
			Kind: store.KindTimeout, Err: store.ErrUnderway}))
		g.gets(100, 0, store.ErrUnderway)
		g.want(StateClosed, 100)
		g.logged("kind=timeout")
	})
}

// A call that was refused before any I/O says nothing about whether the server is back.
func TestErrorsOfOneCallCloseNothingAndResetNothing(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		g.server.becomes(refuses)
		g.gets(4, 0, down)
		g.server.becomes(faulty.Refuse(tooLarge))
		g.gets(1, 0, tooLarge)
		g.server.becomes(refuses)
		g.gets(1, 0, down)
		g.want(StateOpen, 6)
		time.Sleep(2 * time.Second)
		g.server.becomes(faulty.Refuse(tooLarge))
		g.gets(3, 0, tooLarge)
		g.want(StateHalfOpen, 9)
		g.server.becomes(nil)
		g.gets(1, 0, nil)
		g.want(StateClosed, 10)
	})
}

func TestPanicsAreErrors(t *testing.T) {
	for _, o := range []Options{{}, {Detached: true}} {
		story(t, o, func(g *guarded) {
			g.server.becomes(func(context.Context, string, string) error {
				panic(store.ErrNotFound)
			})
			g.gets(10, 0, store.ErrUnavailable)
			g.want(StateOpen, 5)
			if err := g.Set(g.t.Context(), "key", &store.Entry{Key: "key"}, time.Hour); !errors.Is(err, store.ErrUnavailable) {
				t.Error(err)
			}
			g.logged("the store panicked: store: not found stack=goroutine")
			if n := g.waiting.Load(); n != 0 {
				t.Errorf("%d operations under way, want 0", n)
			}
		})
	}
}

type liar struct{ store.Store }

func (liar) Get(context.Context, string) (*store.Entry, error) { return nil, nil }

func TestNeitherEntryNorErrorIsAnError(t *testing.T) {
	if _, err := New(liar{}, Options{Log: slog.New(&diary{})}).Get(t.Context(), "key"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v, want unavailable", err)
	}
}

func TestNoMoreThanSoManyWait(t *testing.T) {
	story(t, Options{MaxWaiting: 3, Timeout: time.Second}, func(g *guarded) {
		g.server.becomes(faulty.Slow(500 * time.Millisecond))
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() { g.gets(1, 500*time.Millisecond, nil) })
		}
		synctest.Wait()
		g.gets(100, 0, store.ErrUnavailable)
		g.want(StateClosed, 3)
		g.logged("3 operations are under way")
		waiting.Wait()
		g.gets(1, 500*time.Millisecond, nil)
		if st := g.Stats(); st.Crowded != 100 || st.Calls != 4 || len(st.Failures) != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// heedless is a Fault of a store that does not look at its context.
func heedless(d time.Duration) faulty.Fault {
	return func(context.Context, string, string) error {
		time.Sleep(d)
		return nil
	}
}

func TestDetachedHoldsTheDeadlineOfHeedlessStores(t *testing.T) {
	story(t, Options{Detached: true, MaxWaiting: 4, Failures: 100}, func(g *guarded) {
		g.server.becomes(heedless(time.Hour))
		g.gets(4, 250*time.Millisecond, context.DeadlineExceeded)
		g.gets(100, 0, store.ErrUnavailable) // those left behind count
		g.want(StateClosed, 4)
		time.Sleep(time.Hour)
		g.server.becomes(nil)
		g.gets(1, 0, nil)
	})
}

func TestAnswersThatComeTooLateAreUsedAndCount(t *testing.T) {
	story(t, Options{}, func(g *guarded) {
		if err := g.Set(g.t.Context(), "there", &store.Entry{Key: "there"}, time.Hour); err != nil {
			t.Fatal(err)
		}
		g.server.becomes(heedless(300 * time.Millisecond))
		if e, err := g.Get(g.t.Context(), "there"); e == nil || err != nil {
			t.Errorf("%v, %v, want the entry", e, err)
		}
		g.gets(4, 300*time.Millisecond, nil)
		g.gets(1, 0, errLate)
		g.want(StateOpen, 6)
	})
}

func TestAnAnswerAtTheDeadlineIsTooLate(t *testing.T) {
	for takes, want := range map[time.Duration]State{250*time.Millisecond - 1: StateClosed,
		250 * time.Millisecond: StateOpen} {
		story(t, Options{}, func(g *guarded) {
			g.server.becomes(heedless(takes))
			for range 5 {
				if _, err := g.Get(context.Background(), "key"); err != store.ErrNotFound {
					t.Errorf("%v, want not found", err)
				}
			}
			g.want(want, 5)
		})
	}
}

// When the pause is over a probe goes through, however short it was: the breaker and what is before
// it agree.
func TestAfterTheShortestPauseAProbeGoesThrough(t *testing.T) {
	story(t, Options{Retry: 1, Failures: 1}, func(g *guarded) {
		g.server.becomes(refuses)
		g.gets(1, 0, syscall.ECONNREFUSED)
		g.want(StateOpen, 1)
		time.Sleep(time.Until(g.breaker.start.Add(time.Duration(g.breaker.until.Load()))))
		g.server.becomes(nil)
		g.gets(1, 0, nil)
		g.want(StateClosed, 2)
	})
}

// The breaker's lock is one for all callers: what succeeds while all is well does not ask for it.
func TestSuccessesGoPastTheBreakersLock(t *testing.T) {
	g := New(liar{}, Options{Log: slog.New(slog.DiscardHandler)})
	g.breaker.machine = nil // where a call would panic
	if refused := g.breaker.ask(func() *failure { return nil }); refused != nil {
		t.Error(refused)
	}
	if refused := g.breaker.ask(func() *failure { return &failure{harmless: true} }); refused != nil {
		t.Error(refused)
	}
}

// OnChange may use the Store: nothing is locked while it runs.
func TestOnChangeMayUseTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t)
		server.becomes(refuses)
		var g *Store
		var seen []State
		g = New(server, Options{Log: slog.New(&diary{}), OnChange: func(s State) {
			seen = append(seen, s, g.Stats().State)
			g.Get(t.Context(), "key")
		}})
		for range 5 {
			g.Get(t.Context(), "key")
		}
		server.becomes(nil)
		time.Sleep(2 * time.Second)
		g.Get(t.Context(), "key")
		if want := []State{StateOpen, StateOpen, StateHalfOpen, StateClosed, StateClosed,
			StateClosed}; !slices.Equal(seen, want) {
			t.Errorf("%v, want %v", seen, want)
		}
	})
}

func TestErrorsSayWhat(t *testing.T) {
	story(t, Options{Failures: 1}, func(g *guarded) {
		g.server.becomes(refuses)
		for _, want := range []string{
			"guardstore: get GET:https://a.ex…: transient error: redis is unavailable: " +
				"redisstore: get: transient error: connection refused",
			"guardstore: get GET:https://a.ex…: transient error: redis is unavailable: not " +
				"asked, because it failed: redisstore: get: transient error: connection refused",
		} {
			if _, err := g.Get(g.t.Context(), "GET:https://a.example/secret"); err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
		}
	})
}

func TestIsNotLocalAndUnwraps(t *testing.T) {
	inner := memstore.New(0)
	defer inner.Close()
	g := New(inner, Options{})
	if l, ok := store.As[store.Local](g); !ok || l.Local() {
		t.Error("a guarded store counts as local")
	}
	if found, _ := store.As[*memstore.Store](g); found != inner {
		t.Error("the inner store is not found")
	}
}

func TestStore(t *testing.T) {
	for _, o := range []Options{{}, {Detached: true}} {
		storetest.Run(t, func(t *testing.T) store.Store {
			o.Log = slog.New(&diary{})
			return New(newServer(t), o)
		}, storetest.Options{Virtual: true})
	}
}

// Many at once, on a server that comes and goes: every call ends as it may, and the counts add up.
func TestConcurrently(t *testing.T) {
	server := newServer(t)
	diary := &diary{}
	var told []State
	g := New(server, Options{
		Retry: time.Millisecond, MaxRetry: 2 * time.Millisecond, Timeout: 5 * time.Millisecond,
		MaxWaiting: 6,
		Log:        slog.New(diary), OnChange: func(s State) { told = append(told, s) },
	})
	var all sync.WaitGroup
	stop := time.Now().Add(300 * time.Millisecond)
	all.Go(func() {
		for i := 0; time.Now().Before(stop); i++ {
			server.becomes([]faulty.Fault{nil, refuses, faulty.Hang}[i%3])
			time.Sleep(5 * time.Millisecond)
		}
	})
	var made [8]uint64
	for w := range made {
		all.Go(func() {
			for time.Now().Before(stop) {
				made[w]++
				if _, err := g.Get(t.Context(), "key"); err != store.ErrNotFound &&
					!errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%v", err)
				}
			}
		})
	}
	all.Wait()
	st, total := g.Stats(), uint64(0)
	for _, n := range made {
		total += n
	}
	if st.Calls+st.Rejected+st.Crowded+st.Left != total || st.Calls != uint64(server.asked()) {
		t.Errorf("%+v do not add up to %d calls, %d of them to the server", st, total,
			server.asked())
	}
	if len(told) < 4 {
		t.Errorf("only %d changes of state: nothing was tested", len(told))
	}
	for i, s := range told {
		if i > 0 && s == told[i-1] {
			t.Errorf("change %d is to %v, which it was already", i, s)
		}
	}
}

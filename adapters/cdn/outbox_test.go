package cdn_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// fakeTarget is a cache in front that notes what it takes, and fails as fails says.
type fakeTarget struct {
	name  string
	fails func(cdn.Purge) error
	check func(cdn.Purge) error

	mu    sync.Mutex
	taken []cdn.Purge
	at    []time.Time // of each try
	busy  bool
	twice bool // two calls at once
}

func (f *fakeTarget) Name() string { return f.name }

func (f *fakeTarget) Check(p cdn.Purge) error {
	if f.check == nil {
		return nil
	}
	return f.check(p)
}

func (f *fakeTarget) Purge(ctx context.Context, p cdn.Purge) error {
	f.mu.Lock()
	f.twice, f.busy = f.twice || f.busy, true
	f.at = append(f.at, time.Now())
	fails := f.fails
	f.mu.Unlock()
	var err error
	if fails != nil {
		err = fails(p)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy = false; err == nil {
		f.taken = append(f.taken, p)
	}
	return err
}

func (f *fakeTarget) set(fails func(cdn.Purge) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = fails
}

// has returns what the target has taken, as text.
func (f *fakeTarget) has() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, p := range f.taken {
		all = append(all, show(p))
	}
	return strings.Join(all, " | ")
}

func show(p cdn.Purge) string {
	if p.All {
		return "ALL"
	}
	text := strings.Join(slices.Concat(p.Tags, p.URLs, p.Prefixes), " ")
	if p.Soft {
		text = "soft " + text
	}
	return text
}

var errDown = errors.New("connection refused")

func down(cdn.Purge) error { return errDown }

func tags(names ...string) cdn.Purge { return cdn.Purge{Tags: names} }

var anyHost = map[string][]string{"*": nil}

// open returns an Outbox that the test's end closes at the latest.
func open(t *testing.T, o cdn.Options) *cdn.Outbox {
	t.Helper()
	if o.Hosts == nil {
		o.Hosts = anyHost
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b, err := cdn.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		b.Close(ctx)
	})
	return b
}

func purge(t *testing.T, b *cdn.Outbox, p cdn.Purge) cdn.Ticket {
	t.Helper()
	ticket, err := b.Purge(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// What is purged within the delay is sent together, in order, and not before; soft and hard apart.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := &fakeTarget{name: "edge"}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}})
		start := time.Now()
		purge(t, b, tags("a"))
		time.Sleep(600 * time.Millisecond)
		purge(t, b, tags("b"))
		purge(t, b, tags("a")) // what was stored meanwhile: the purge waits for as long again
		purge(t, b, cdn.Purge{Tags: []string{"c"}, Soft: true})
		ticket := purge(t, b, cdn.Purge{URLs: []string{"HTTPS://A.example:443/x y?q=1#part"}})
		if time.Sleep(399 * time.Millisecond); edge.has() != "" {
			t.Errorf("sent at once: %s", edge.has())
		}
		if err := b.Wait(t.Context(), ticket); err != nil {
			t.Error(err)
		}
		if want := "a b | soft c | https://a.example/x%20y?q=1"; edge.has() != want {
			t.Errorf("sent %q, want %q", edge.has(), want)
		}
		if at := edge.at[0].Sub(start); at != 1600*time.Millisecond {
			t.Errorf("sent after %v, want 1.6 s: a second after it was last asked for", at)
		}
	})
}

// A purge that is asked for again and again is sent all the same.
func TestDelayIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := &fakeTarget{name: "edge"}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Delay: time.Second})
		for range 100 {
			purge(t, b, tags("a"))
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(edge.taken); n < 4 || n > 11 {
			t.Errorf("sent %d times in 10 s, want once in one to two seconds", n)
		}
	})
}

// A target that fails is asked again after growing pauses, what it took in part is not sent again,
// and a Retry-After counts more.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge, other := &fakeTarget{name: "edge", fails: down}, &fakeTarget{name: "other"}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge, other}, Delay: -1,
			MaxPause: time.Minute})
		ticket := purge(t, b, tags("a", "b", "c"))
		synctest.Wait()
		later := purge(t, b, tags("d"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		err := b.Wait(ctx, ticket)
		owed, ok := errors.AsType[*cdn.OwedError](err)
		if !ok || !errors.Is(err, context.DeadlineExceeded) || len(owed.Owed) != 1 ||
			owed.Owed[0].Target != "edge" || owed.Owed[0].Count != 3 ||
			!strings.Contains(err.Error(), "edge has not taken 3 names since 2000-01-01T") ||
			!strings.Contains(err.Error(), "connection refused") {
			t.Errorf("the error of Wait is %v", err)
		}
		synctest.Wait()
		if other.has() != "a b c | d" {
			t.Errorf("a target that is well has taken %q", other.has())
		}
		for i := range edge.at[1:] {
			pause := edge.at[i+1].Sub(edge.at[i])
			most := min(time.Second<<i, time.Minute)
			if pause < most/2 || pause > most {
				t.Errorf("pause %d is %v, want %v to %v", i+1, pause, most/2, most)
			}
		}

		rest := tags("c")
		var tries int
		edge.set(func(p cdn.Purge) error {
			if len(p.Tags) == 3 {
				tries = len(edge.at) - 1
				return &cdn.Error{Target: "edge", RetryAfter: 20 * time.Minute, Rest: &rest}
			}
			return nil
		})
		if err := b.Wait(t.Context(), later); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if edge.has() != "c | d" && edge.has() != "d | c" {
			t.Errorf("taken %q, want what was left of the first purge, and the second", edge.has())
		}
		if pause := edge.at[tries+1].Sub(edge.at[tries]); pause < 20*time.Minute ||
			pause > 23*time.Minute {
			t.Errorf("tried again after %v, and the target wanted 20 minutes", pause)
		}
		if owed, err := b.Owed(t.Context()); len(owed) > 0 || err != nil {
			t.Errorf("owed: %v, %v", owed, err)
		}
	})
}

// A purge that a target refuses for good does not hold up others, is tried again, and shows.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := &fakeTarget{name: "edge"}
		edge.set(func(p cdn.Purge) error {
			if slices.Contains(p.Tags, "bad") {
				return &cdn.Error{Target: "edge", Kind: cdn.KindPermanent, Status: 400}
			}
			return nil
		})
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}})
		for _, name := range []string{"a", "bad", "b"} {
			purge(t, b, tags(name))
		}
		time.Sleep(5 * time.Second)
		purge(t, b, tags("c"))
		if time.Sleep(5 * time.Second); edge.has() != "a | b | c" {
			t.Errorf("taken %q", edge.has())
		}
		owed, err := b.Owed(t.Context())
		if err != nil || len(owed) != 1 || owed[0].Count != 1 || owed[0].LastError == nil {
			t.Errorf("owed: %+v, %v", owed, err)
		}
		edge.set(nil)
		if time.Sleep(6 * time.Minute); edge.has() != "a | b | c | bad" {
			t.Errorf("taken %q once it is allowed", edge.has())
		}
	})
}

// Who waits for a purge that a target refuses for good gets the target's error at once, and not
// that of the time-out; one that was sent together with it is waited for.
func TestAWaitEndsWhereATargetRefuses(t *testing.T) {
	for _, kind := range []cdn.Kind{cdn.KindPermanent, cdn.KindAuthentication} {
		t.Run(kind.String(), func(t *testing.T) { waitsForRefused(t, kind) })
	}
}

func waitsForRefused(t *testing.T, kind cdn.Kind) {
	synctest.Test(t, func(t *testing.T) {
		edge, other := &fakeTarget{name: "edge"}, &fakeTarget{name: "other"}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge, other}})
		edge.set(failsWith("bad", &cdn.Error{Target: "edge", Kind: kind, Status: 401,
			Err: errors.New("the token is wrong")}))
		began := time.Now()
		good, bad := purge(t, b, tags("good")), purge(t, b, tags("bad"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := b.Wait(ctx, good); kind == cdn.KindPermanent && err != nil {
			t.Errorf("a purge beside it: %v", err)
		}
		for range 2 {
			err := b.Wait(ctx, bad)
			refusal, ok := errors.AsType[*cdn.Error](err)
			owed, _ := errors.AsType[*cdn.OwedError](err)
			if !ok || refusal.Status != 401 || owed == nil || len(owed.Owed) == 0 ||
				owed.Owed[0].Target != "edge" || !strings.Contains(err.Error(), "the token is wrong") ||
				errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the wait ended with %v", err)
			}
		}
		if waited := time.Since(began); waited > 10*time.Second {
			t.Errorf("waited for %v", waited)
		}
		edge.set(nil)
		time.Sleep(6 * time.Minute)
		if err := b.Wait(ctx, bad); err != nil {
			t.Errorf("once the token is right: %v", err)
		}
		edge.set(failsWith("down", errDown)) // as it is now, and may pass
		short, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := b.Wait(short, purge(t, b, tags("down"))); !errors.Is(err, context.DeadlineExceeded) ||
			!errors.Is(err, errDown) {
			t.Errorf("a target that is down: %v", err)
		}
		edge.set(nil)
	})
}

// A target's rate is kept without a failure.
func TestPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		edge := &fakeTarget{name: "edge"}
		edge.set(func(p cdn.Purge) error {
			if len(p.Tags) == 1 {
				return nil
			}
			rest := tags(p.Tags[1:]...)
			return &cdn.Error{Kind: cdn.KindPaced, RetryAfter: 12 * time.Second, Rest: &rest}
		})
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Delay: -1,
			Log: slog.New(slog.NewTextHandler(&log, nil))})
		start := time.Now()
		if err := b.Wait(t.Context(), purge(t, b, tags("a", "b", "c"))); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 24*time.Second || log.Len() > 0 {
			t.Errorf("took %v, and the log has %q; want 24 s and nothing", took, &log)
		}
	})
}

// A flood is bounded: it becomes a purge of everything, which the log has, and the store holds
// little of it.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		backend := memstore.NewBackend(64 << 20)
		defer backend.Close()
		edge := &fakeTarget{name: "edge", fails: down}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: backend, MaxOwed: 100,
			Log: slog.New(slog.NewTextHandler(&log, nil))})
		synctest.Wait() // the store knows that the process lives
		first := purge(t, b, tags("first"))
		var last cdn.Ticket
		for i := range 1000 {
			last = purge(t, b, tags(fmt.Sprint("tag-", i)))
		}
		time.Sleep(10 * time.Second)
		if n := len(records(t, backend)); n > 2 {
			t.Errorf("the store holds %d records", n)
		}
		left, cancel := context.WithCancel(t.Context())
		cancel()
		if b.Wait(left, first) == nil {
			t.Error("what became a purge of everything counts as taken")
		}
		edge.set(nil)
		if err := b.Wait(t.Context(), last); err != nil || edge.has() != "ALL" {
			t.Errorf("taken %q, error %v; want one purge of everything", edge.has(), err)
		}
		if n := strings.Count(log.String(), "Options.MaxOwed"); n != 1 {
			t.Errorf("the log has it %d times:\n%s", n, &log)
		}
		if synctest.Wait(); len(records(t, backend)) > 0 {
			t.Errorf("the store keeps %q", records(t, backend))
		}
	})
}

// records returns the keys of what is owed.
func records(t *testing.T, b *memstore.Backend) (keys []string) {
	t.Helper()
	for key, err := range b.List(t.Context(), "freshet-cdn:owed.") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// What a process owes when it dies another one sends, once; what one owes that lives nobody else
// does.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := memstore.NewBackend(64 << 20)
		defer backend.Close()
		dies := &fakeTarget{name: "edge", fails: down}
		store := &dying{Backend: backend}
		first := open(t, cdn.Options{Targets: []cdn.Target{dies}, Store: store})
		purge(t, first, tags("a", "sp ace", "\xff,"))
		purge(t, first, tags("b"))
		synctest.Wait()

		edges := []*fakeTarget{{name: "edge"}, {name: "edge"}, {name: "edge"}}
		for _, edge := range edges {
			open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: backend})
		}
		taken := func() (all string) {
			for _, edge := range edges {
				all += edge.has()
			}
			return all
		}
		if time.Sleep(5 * time.Minute); taken() != "" {
			t.Errorf("another process has sent what one owes that lives: %q", taken())
		}
		if owed, err := first.Owed(t.Context()); err != nil || len(owed) != 1 || owed[0].Count != 4 {
			t.Errorf("owed: %+v, %v", owed, err)
		}
		store.die() // it is not heard of any more
		time.Sleep(2 * time.Minute)
		if got := strings.ReplaceAll(taken(), " | ", " "); got != "a sp ace \xff, b" {
			t.Errorf("taken %q, want all of it, by one process", got)
		}
		if synctest.Wait(); len(records(t, backend)) > 0 {
			t.Errorf("the store keeps %q", records(t, backend))
		}
	})
}

// A process that was silent for so long that another one has sent what it owed writes what it is
// asked for from then on, also where it still tries the same.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &dying{Backend: memstore.NewBackend(64 << 20)}
		defer backend.Close()
		other := &fakeTarget{name: "edge"}
		silent := open(t, cdn.Options{Targets: []cdn.Target{&fakeTarget{name: "edge", fails: down}},
			Store: backend})
		synctest.Wait() // it has said that it lives
		purge(t, silent, tags("a"))
		purge(t, silent, tags("b"))
		open(t, cdn.Options{Targets: []cdn.Target{other}, Store: backend.Backend})
		time.Sleep(time.Second)
		purge(t, silent, tags("c")) // waits behind the others
		backend.die()
		if time.Sleep(2 * time.Minute); strings.ReplaceAll(other.has(), " | ", " ") != "a b c" {
			t.Errorf("the other process has sent %q", other.has())
		}
		backend.revive()
		purge(t, silent, tags("c"))
		backend.die()
		if time.Sleep(2 * time.Minute); strings.Count(other.has(), "c") != 2 {
			t.Errorf("the other process has sent %q, and c was asked for again", other.has())
		}
	})
}

// dying is a backend of a process that dies.
type dying struct {
	*memstore.Backend
	mu     sync.Mutex
	dead   bool
	before func()       // each write; nil: nothing
	after  func() error // what an answer that is lost says
}

func (d *dying) die() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
}

func (d *dying) revive() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = false
}

func (d *dying) check() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errors.New("connection reset")
	}
	return nil
}

func (d *dying) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if d.before != nil {
		d.before()
	}
	if err := d.check(); err != nil {
		return err
	}
	err := d.Backend.Set(ctx, key, value, ttl)
	if err == nil && d.after != nil {
		err = d.after()
	}
	return err
}

func (d *dying) Delete(ctx context.Context, key string) (bool, error) {
	if err := d.check(); err != nil {
		return false, err
	}
	return d.Backend.Delete(ctx, key)
}

func (d *dying) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	if err := d.check(); err != nil {
		return nil, false, err
	}
	return d.Backend.TryLock(ctx, name, ttl)
}

// A process that ends leaves what is owed to the next one, which begins with it.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := memstore.NewBackend(64 << 20)
		defer backend.Close()
		first := open(t, cdn.Options{Targets: []cdn.Target{&fakeTarget{name: "edge", fails: down},
			&fakeTarget{name: "gone"}}, Store: backend})
		purge(t, first, cdn.Purge{Prefixes: []string{"http://a.example/x"}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := first.Close(ctx)
		if owed, ok := errors.AsType[*cdn.OwedError](err); !ok || len(owed.Owed) != 1 {
			t.Errorf("Close returned %v, want what the one target has not taken", err)
		}
		if _, err := first.Purge(t.Context(), tags("a")); !errors.Is(err, cdn.ErrClosed) {
			t.Errorf("a purge after Close: %v", err)
		}

		edge := &fakeTarget{name: "edge"}
		second := open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: backend})
		if synctest.Wait(); edge.has() != "http://a.example/x" {
			t.Errorf("the next process has sent %q", edge.has())
		}
		if err := second.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if left := records(t, backend); len(left) > 0 {
			t.Errorf("the store keeps %q", left)
		}
	})
}

// Close does not wait for the end of a pause, unless the target has asked for it.
func TestCloseTriesOnceMore(t *testing.T) {
	for _, after := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			edge := &fakeTarget{name: "edge"}
			edge.set(func(cdn.Purge) error { return &cdn.Error{RetryAfter: after, Err: errDown} })
			b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Delay: -1, MinPause: time.Minute})
			purge(t, b, tags("a"))
			synctest.Wait()
			edge.set(nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := b.Close(ctx); (err == nil) != (after == 0) {
				t.Errorf("the target asked for %v: Close returned %v", after, err)
			}
		})
	}
}

// Without a store to write to, the purge is sent all the same, and the caller learns of it; when
// the store is well again, it is kept.
func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &dying{Backend: memstore.NewBackend(64 << 20), dead: true}
		defer backend.Close()
		well, ill := &fakeTarget{name: "well"}, &fakeTarget{name: "ill", fails: down}
		b := open(t, cdn.Options{Targets: []cdn.Target{well, ill}, Store: backend})
		ticket, err := b.Purge(t.Context(), tags("a"))
		if !errors.Is(err, cdn.ErrUnkept) || ticket == 0 {
			t.Errorf("ticket %v, error %v", ticket, err)
		}
		if time.Sleep(5 * time.Second); well.has() != "a" {
			t.Errorf("taken %q", well.has())
		}
		backend.revive()
		if time.Sleep(time.Minute); len(records(t, backend.Backend)) != 1 {
			t.Errorf("the store keeps %q, want what one target owes", records(t, backend.Backend))
		}
	})
}

// A target that hangs or panics has failed.
func TestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := hanging{make(chan struct{}, 9)}
		b := open(t, cdn.Options{Targets: []cdn.Target{hangs}, Delay: -1})
		ticket := purge(t, b, tags("a"))
		time.Sleep(3 * time.Minute)
		if n := len(hangs.calls); n != 3 {
			t.Errorf("called %d times in 3 minutes, want once in a little more than one", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Wait(ctx, ticket); !strings.Contains(fmt.Sprint(err), "deadline exceeded") {
			t.Errorf("the error is %v", err)
		}
	})
}

type hanging struct{ calls chan struct{} }

func (hanging) Name() string { return "hanging" }

func (h hanging) Purge(ctx context.Context, _ cdn.Purge) error {
	h.calls <- struct{}{}
	<-ctx.Done()
	if len(h.calls) == 2 {
		panic(ctx.Err())
	}
	return ctx.Err()
}

// A purge of bad names alone is an error that says what is allowed, and changes nothing.
func TestBadInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := memstore.NewBackend(64 << 20)
		defer backend.Close()
		edge := &fakeTarget{name: "edge", check: func(p cdn.Purge) error {
			if len(p.Tags) > 0 && strings.Contains(p.Tags[0], ":") {
				return errors.New("cdn: edge: a tag has no colon")
			}
			return nil
		}}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: backend, Delay: -1,
			Hosts: map[string][]string{"app:8080": {"https://www.example.com"}}})
		for text, p := range map[string]cdn.Purge{
			"a purge of nothing":              {Soft: true},
			"a tag without a name":            tags(""),
			"has 1048576 bytes: at most 1024": tags(strings.Repeat("x", 1<<20)),
			"a tag has no colon":              tags("x:y"),
			"is not an absolute http":         {URLs: []string{"/posts/1"}},
			"is no URL":                       {URLs: []string{"http://www.example.com/%zz"}},
			"invalid control character":       {URLs: []string{"http://www.example.com/\r\nX: y"}},
			"names a user":                    {URLs: []string{"http://u:p@www.example.com/"}},
			"is not as clients send it":       {URLs: []string{"http://wẃw.example.com/"}},
			"bytes: at most 8192":             {URLs: []string{"http://a.example/?" + strings.Repeat("x", 9000)}},
			"ends within an escape":           {Prefixes: []string{"http://www.example.com/?q=%C"}},
			`Options.Hosts: "other.example" is not among app:8080, www.example.com: name a URL of one of these, ` +
				`or map`: {URLs: []string{"http://other.example/"}},
			`Options.Hosts: "www.example.com:8`: {Prefixes: []string{"http://www.example.com:8/"}},
		} {
			ticket, err := b.Purge(t.Context(), p)
			if ticket != 0 || !strings.Contains(fmt.Sprint(err), text) || len(fmt.Sprint(err)) > 600 {
				t.Errorf("ticket %d, error %.300v; want one with %q", ticket, err, text)
			}
			if strings.HasPrefix(text, "Options.Hosts") != errors.Is(err, cdn.ErrForeignHost) {
				t.Errorf("%v: is it a foreign host's?", err)
			}
		}
		if synctest.Wait(); edge.has() != "" || len(records(t, backend)) > 0 || b.Last() != 0 {
			t.Errorf("taken %q, kept %q", edge.has(), records(t, backend))
		}
		purge(t, b, cdn.Purge{URLs: []string{"http://APP:8080/x", "https://www.example.com/x"}})
		if synctest.Wait(); edge.has() != "https://www.example.com/x" {
			t.Errorf("taken %q, want the public URL, once", edge.has())
		}
	})
}

func TestBadOptions(t *testing.T) {
	edge, hosts := []cdn.Target{&fakeTarget{name: "edge"}}, anyHost
	for text, o := range map[string]cdn.Options{
		"Targets is empty":              {Hosts: hosts},
		"a nil target":                  {Hosts: hosts, Targets: []cdn.Target{nil}},
		`called "edge"`:                 {Hosts: hosts, Targets: slices.Concat(edge, edge)},
		"Hosts is empty":                {Targets: edge},
		"more than an origin":           {Targets: edge, Hosts: map[string][]string{"a": {"http://a/x"}}},
		"not an absolute":               {Targets: edge, Hosts: map[string][]string{"a": {"a"}}},
		`has the host "a/b"`:            {Targets: edge, Hosts: map[string][]string{"a/b": nil}},
		"Prefix has 101 bytes":          {Targets: edge, Hosts: hosts, Prefix: strings.Repeat("x", 101)},
		`Prefix "a b"`:                  {Targets: edge, Hosts: hosts, Prefix: "a b"},
		"MinPause is -1s":               {Targets: edge, Hosts: hosts, MinPause: -time.Second},
		"Takeover is 1s":                {Targets: edge, Hosts: hosts, Takeover: time.Second},
		"MaxOwed is -1":                 {Targets: edge, Hosts: hosts, MaxOwed: -1},
		"cannot list keys and give out": {Targets: edge, Hosts: hosts, Store: bare{}},
	} {
		if _, err := cdn.New(o); !strings.Contains(fmt.Sprint(err), text) {
			t.Errorf("%v, want %q", err, text)
		}
	}
}

type bare struct{ store.Backend }

// A record of a later version is nobody's to send who does not know all of it: it stays, counts as
// owed, and the log says so once.
func TestARecordOfALaterVersionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := memstore.NewBackend(64 << 20)
		defer backend.Close()
		const key = "freshet-cdn:owed.0123456789abcdef.edge.0000000000000011"
		const record = `{"target":"edge","since":"2026-11-30T04:00:00Z","tags":["a"],"regions":["eu"]}`
		if err := backend.Set(t.Context(), key, []byte(record), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		edge := &fakeTarget{name: "edge"}
		box := open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: backend,
			Log: slog.New(slog.NewTextHandler(&said, nil))})
		purge(t, box, tags("b"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if edge.has() != "b" {
			t.Errorf("taken %q, want b alone", edge.has())
		}
		if got, err := backend.Get(t.Context(), key); string(got) != record {
			t.Errorf("the record is %q, %v", got, err)
		}
		if n := strings.Count(said.String(), "a process of a later version"); n != 1 {
			t.Errorf("the log says it %d times: %s", n, said.String())
		}
		if owed, err := box.Owed(t.Context()); err != nil || len(owed) != 1 || owed[0].Count != 1 {
			t.Errorf("owed: %+v, %v", owed, err)
		}
	})
}

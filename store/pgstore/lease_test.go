package pgstore

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

func take(t *testing.T, b *Backend, name string, ttl time.Duration) *lease {
	t.Helper()
	l, ok, err := b.TryLock(t.Context(), name, ttl)
	if !ok || err != nil {
		t.Fatalf("TryLock(%s): %t, %v", name, ok, err)
	}
	return l.(*lease)
}

func isFree(t *testing.T, b *Backend, name string) bool {
	t.Helper()
	l, ok, err := b.TryLock(t.Context(), name, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if ok {
		if held, err := l.Unlock(t.Context()); !held || err != nil {
			t.Fatalf("Unlock: %t, %v", held, err)
		}
	}
	return ok
}

func TestALeaseEndsWithItsConnection(t *testing.T) {
	url := database(t)
	b, other := open(t, url), made(t, url)
	l := take(t, b, "name", time.Hour)
	if isFree(t, other, "name") {
		t.Fatal("two have it")
	}
	admin(t, url, "SELECT pg_terminate_backend($1)", int32(l.call.conn.Conn().PgConn().PID()))
	eventually(t, "the lease is free", func() bool { return isFree(t, other, "name") })
	if held, err := l.Unlock(t.Context()); held || err != nil {
		t.Errorf("Unlock of a lease that was lost: %t, %v; want false, nil", held, err)
	}
	if n := b.leases.held.Load(); n != 0 {
		t.Errorf("%d leases are counted", n)
	}
}

// A process that is stopped does not end its leases; the server does.
func TestTheServerEndsTheLeaseOfAHungProcess(t *testing.T) {
	url := database(t)
	b, other := open(t, url), made(t, url)
	start := time.Now()
	l := take(t, b, "name", 300*time.Millisecond)
	l.timer.Stop()
	eventually(t, "the lease is free", func() bool { return isFree(t, other, "name") })
	if took := time.Since(start); took < 300*time.Millisecond || took > 3*time.Second {
		t.Errorf("a lease for 300 ms was held for %v", took)
	}
	if held, err := l.Unlock(t.Context()); held || err != nil {
		t.Errorf("Unlock: %t, %v; want false, nil", held, err)
	}
}

// The server ends a lease of 300 ms 80 ms after its end. A busy machine may let us come later than
// that, but not each time.
func TestALeaseThatEndsKeepsItsConnection(t *testing.T) {
	b := open(t, database(t)+"&pool_size=2&max_overflow=0&sweep=0")
	kept := false
	for try := 0; try < 10 && !kept; try++ {
		kept = keepsItsConnection(t, b, 300*time.Millisecond)
	}
	if !kept {
		t.Error("the connection was lost: the server ended it before we did")
	}
	if n := b.backlog.callers.Load(); n != 0 {
		t.Errorf("%d callers are counted", n)
	}
}

// keepsItsConnection waits for the end of a lease, and reports whether its connection is in the
// pool then.
func keepsItsConnection(t *testing.T, b *Backend, ttl time.Duration) (kept bool) {
	t.Helper()
	l := take(t, b, "name", ttl)
	l.mu.Lock() // it cannot end now
	var pid uint32
	if l.call != nil { // nor has it
		pid = l.call.conn.Conn().PgConn().PID()
	}
	l.mu.Unlock()
	eventually(t, "the lease has ended", func() bool { return b.leases.held.Load() == 0 })
	for _, conn := range b.pool.AcquireAllIdle(t.Context()) {
		kept = kept || conn.Conn().PgConn().PID() == pid
		conn.Release()
	}
	return kept
}

func TestLeasesDoNotEatThePool(t *testing.T) {
	b := open(t, database(t)+"&pool_size=3&max_overflow=1&sweep=0")
	one, two := take(t, b, "one", time.Hour), take(t, b, "two", time.Hour)
	_, ok, err := b.TryLock(t.Context(), "three", time.Hour)
	if wantKind(t, err, store.KindTransient); ok {
		t.Error("a third lease of four connections")
	}
	if _, err := b.Exists(t.Context(), "key"); err != nil {
		t.Errorf("a call beside the leases: %v", err)
	}
	for _, l := range []*lease{one, two} {
		if held, err := l.Unlock(t.Context()); !held || err != nil {
			t.Errorf("Unlock: %t, %v", held, err)
		}
	}
	if !isFree(t, b, "three") {
		t.Error("no lease after the others were given back")
	}
	_, _, err = open(t, database(t)+"&pool_size=1&max_overflow=0").TryLock(t.Context(), "one",
		time.Hour)
	wantKind(t, err, store.KindTransient)
}

func TestCloseEndsLeases(t *testing.T) {
	url := database(t)
	b, other := open(t, url), made(t, url)
	l := take(t, b, "name", time.Hour)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if !isFree(t, other, "name") {
		t.Error("held after Close")
	}
	if held, err := l.Unlock(t.Context()); held || err != nil {
		t.Errorf("Unlock after Close: %t, %v", held, err)
	}
}

// An Unlock that its caller has given up ends the lease as well.
func TestUnlockGivenUp(t *testing.T) {
	url := database(t)
	b, other := open(t, url), made(t, url)
	l := take(t, b, "name", time.Hour)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	held, err := l.Unlock(gone)
	if wantKind(t, err, store.KindTimeout); held {
		t.Error("held, it says")
	}
	eventually(t, "the lease is free", func() bool { return isFree(t, other, "name") })
}

func TestServerTimeout(t *testing.T) {
	for ttl, want := range map[time.Duration]string{
		1: "51", time.Second: "1150", time.Minute: "61050", math.MaxInt64: "2147483647",
	} {
		if got := serverTimeout(ttl); got != want {
			t.Errorf("of %v: %s ms, want %s", ttl, got, want)
		}
	}
}

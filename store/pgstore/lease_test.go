package pgstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

func take(t *testing.T, b *Backend, name string, ttl time.Duration) store.Lease {
	t.Helper()
	l, ok, err := b.TryLock(t.Context(), name, ttl)
	if !ok || err != nil {
		t.Fatalf("TryLock(%s): %t, %v", name, ok, err)
	}
	return l
}

// A lease takes no connection while it is held: a process may hold many more than it has connections.
func TestLeasesTakeNoConnection(t *testing.T) {
	b := open(t, database(t)+"&pool_size=1&max_overflow=0&sweep=0")
	var all []store.Lease
	for i := range 20 {
		all = append(all, take(t, b, fmt.Sprint("lease-", i), time.Hour))
	}
	if _, ok, err := b.TryLock(t.Context(), "lease-7", time.Hour); ok || err != nil {
		t.Errorf("a lease that is held: %t, %v", ok, err)
	}
	for _, l := range all {
		if held, err := l.Unlock(t.Context()); !held || err != nil {
			t.Errorf("Unlock: %t, %v", held, err)
		}
	}
	if n := rows(t, b); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// What a process that has died held is free when its time is over, and its row goes like a value's.
func TestALeaseThatIsNotGivenBack(t *testing.T) {
	b := open(t, database(t)+"&sweep=0")
	take(t, b, "name", time.Hour)
	if n, err := b.sweepOnce(t.Context()); n != 0 || err != nil {
		t.Errorf("a lease that is held was swept: %d, %v", n, err)
	}
	if _, err := b.pool.Exec(t.Context(),
		"UPDATE freshet_cache SET expires = now() - interval '1 second'"); err != nil {
		t.Fatal(err)
	}
	if n, err := b.sweepOnce(t.Context()); n != 1 || err != nil {
		t.Errorf("swept: %d, %v", n, err)
	}
	take(t, b, "name", time.Hour)
}

// Leases lie beside the values, and are none of them.
func TestLeasesAreNoValues(t *testing.T) {
	b := open(t, database(t))
	take(t, b, "name", time.Hour)
	for key, err := range b.List(t.Context(), "") {
		t.Errorf("listed: %q, %v", key, err)
	}
	if n, err := b.Flush(t.Context(), "n"); n != 0 || err != nil {
		t.Errorf("flushed: %d, %v", n, err)
	}
	if _, ok, err := b.TryLock(t.Context(), "name", time.Hour); ok || err != nil {
		t.Errorf("after a flush: %t, %v", ok, err)
	}
}

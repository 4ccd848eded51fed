package sealedstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/sealedstore"
)

// process is one of those that share a backend, with the keys that it has at the moment.
type process struct {
	name string
	*sealedstore.Backend
	journal store.Journal
}

// started is a process that begins with those keys: the first seals, the others are old.
func started(t testing.TB, name string, inner store.Backend, letters string) process {
	t.Helper()
	keys := sealedstore.Keys{Key: key(t, letters[0])}
	for _, letter := range []byte(letters[1:]) {
		keys.Old = append(keys.Old, key(t, letter))
	}
	b := seal(t, inner, sealedstore.Options{Keys: keys, Prefixes: []string{"blog:"},
		OnFault: func(f sealedstore.Fault) { t.Errorf("process %s: %v", name, f) }})
	j, ok := store.As[store.Journaler](b)
	if !ok {
		t.Fatal("no Journaler")
	}
	return process{name, b, j.Journal("blog:")}
}

func (p process) set(t testing.TB, key, value string) {
	t.Helper()
	if err := p.Set(t.Context(), key, []byte(value), time.Hour); err != nil {
		t.Fatalf("%s sets %s: %v", p.name, key, err)
	}
}

// has fails unless the process finds that value, or none if it is empty.
func (p process) has(t testing.TB, key, value string) {
	t.Helper()
	got, err := p.Get(t.Context(), key)
	if err != nil && !errors.Is(err, store.ErrNotFound) || string(got) != value ||
		(err == nil) != (value != "") {
		t.Errorf("%s has %.60q, %v under %s; want %q", p.name, got, err, key, value)
	}
}

// Two processes take up a new key, one after the other and nothing flushed: first both read it,
// then one after the other seals with it, then both forget the old one. At each step, each sees what
// the other has set, replaced, removed and invalidated, and one at a time holds a lease.
func TestTwoProcessesTakeUpANewKey(t *testing.T) {
	ctx := t.Context()
	inner := inMemory(t)
	started(t, "before", inner, "1").set(t, "blog:kept", "since the beginning")
	for i, step := range []struct {
		one, two string
		kept     bool
	}{
		{"1", "1", true},
		{"12", "1", true},
		{"12", "12", true},
		{"21", "12", true},
		{"21", "21", true},
		{"2", "21", true},
		{"2", "2", false},
	} {
		t.Run(fmt.Sprintf("step %d, keys %s and %s", i, step.one, step.two), func(t *testing.T) {
			one, two := started(t, "one", inner, step.one), started(t, "two", inner, step.two)
			if step.kept && step.one != "2" {
				one.has(t, "blog:kept", "since the beginning")
			}
			if step.kept {
				two.has(t, "blog:kept", "since the beginning")
			} else {
				two.has(t, "blog:kept", "")
			}
			for _, p := range [][2]process{{one, two}, {two, one}} {
				p[0].set(t, "blog:page", "by "+p[0].name)
				p[1].has(t, "blog:page", "by "+p[0].name)
				p[1].set(t, "blog:page", "newer, by "+p[1].name)
				p[0].has(t, "blog:page", "newer, by "+p[1].name)
				p[1].has(t, "blog:page", "newer, by "+p[1].name)
				if existed, err := p[0].Delete(ctx, "blog:page"); !existed || err != nil {
					t.Errorf("%s deletes: %t, %v", p[0].name, existed, err)
				}
				p[1].has(t, "blog:page", "")
				p[0].has(t, "blog:page", "")

				mark := store.Mark{Kind: store.MarkTag, Name: "by " + p[0].name, Soft: true}
				_, head, err := p[1].journal.Since(ctx, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p[0].journal.Append(ctx, mark); err != nil {
					t.Fatal(err)
				}
				marks, _, err := p[1].journal.Since(ctx, head)
				if err != nil || len(marks) != 1 || marks[0].Mark != mark {
					t.Errorf("%s hears of %+v, %v; want %+v", p[1].name, marks, err, mark)
				}

				lease := lock(t, p[0], true)
				lock(t, p[1], false)
				if held, err := lease.Unlock(ctx); !held || err != nil {
					t.Errorf("Unlock: %t, %v", held, err)
				}
				lease = lock(t, p[1], true)
				if held, err := lease.Unlock(ctx); !held || err != nil {
					t.Errorf("Unlock: %t, %v", held, err)
				}
			}
			// Keys that both have are listed once, wherever they lie.
			one.set(t, "blog:a", "1")
			two.set(t, "blog:b", "2")
			for _, p := range []process{one, two} {
				got := map[string]int{}
				for key, err := range list(t, p.Backend).List(ctx, "blog:") {
					if err != nil {
						t.Fatal(err)
					}
					got[key]++
				}
				if got["blog:a"] != 1 || got["blog:b"] != 1 {
					t.Errorf("%s lists %v", p.name, got)
				}
			}
		})
	}
}

func lock(t testing.TB, p process, want bool) store.Lease {
	t.Helper()
	locker, ok := store.As[store.Locker](p.Backend)
	if !ok {
		t.Fatal("no Locker")
	}
	lease, got, err := locker.TryLock(t.Context(), "sweep", time.Hour)
	if got != want || err != nil {
		t.Errorf("%s takes the lease: %t, %v; want %t", p.name, got, err, want)
	}
	return lease
}

// A value that an old key sealed ends, changes its lifetime and is swept like any other, and is
// gone when a newer one takes its place, even after that one has ended.
func TestWhatAnOldKeySealed(t *testing.T) {
	ctx := t.Context()
	inner := memstore.NewBackend(1 << 20)
	defer inner.Close()
	old, now := started(t, "old", inner, "1"), started(t, "now", inner, "21")
	old.set(t, "blog:page", "old")
	expirer, _ := store.As[store.Expirer](now.Backend)
	if existed, err := expirer.Expire(ctx, "blog:page", 2*time.Hour); !existed || err != nil {
		t.Fatalf("Expire: %t, %v", existed, err)
	}
	ttler, _ := store.As[store.TTLer](now.Backend)
	if left, err := ttler.TTL(ctx, "blog:page"); left <= time.Hour || err != nil {
		t.Errorf("TTL: %v, %v; want almost two hours", left, err)
	}
	now.set(t, "blog:page", "new")
	if existed, err := expirer.Expire(ctx, "blog:page", 0); !existed || err != nil {
		t.Fatalf("Expire: %t, %v", existed, err)
	}
	now.has(t, "blog:page", "")
	if n := inner.Len(); n != 0 {
		t.Errorf("%d values are left of one that has ended", n)
	}
	if _, err := ttler.TTL(ctx, "blog:page"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("TTL: %v", err)
	}
	old.set(t, "blog:page", "old")
	err := now.Set(ctx, "blog:page", make([]byte, 1<<20), time.Hour)
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Set of too large a value: %v", err)
	}
	now.has(t, "blog:page", "")
	// A process that does not know of the new key leaves what that has sealed: it is listed once.
	now.set(t, "blog:page", "new")
	old.set(t, "blog:page", "old")
	n := 0
	for key, err := range list(t, now.Backend).List(ctx, "blog:") {
		if n++; err != nil || key != "blog:page" {
			t.Errorf("listed %q, %v", key, err)
		}
	}
	if n != 1 || inner.Len() != 2 {
		t.Errorf("listed %d times, of %d values below", n, inner.Len())
	}
}

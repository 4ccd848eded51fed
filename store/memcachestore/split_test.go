package memcachestore

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

// splitting returns a backend that splits above some hundred bytes, on servers of its own.
func splitting(t *testing.T) (b *Backend, addresses []string) {
	c := patient
	c.MaxItemSize, c.Oversize = minItemSize, OversizeSplit
	for range 2 {
		addresses = append(addresses, testserver.Memcached(t).Addr)
	}
	return open(t, c, addresses...), addresses
}

// items counts what the servers hold.
func items(t *testing.T, b *Backend) (n int) {
	t.Helper()
	for _, s := range b.servers.all {
		stats, err := b.stats(t.Context(), s, "")
		if err != nil {
			t.Fatal(err)
		}
		var here int
		fmt.Sscan(stats["curr_items"], &here)
		n += here
	}
	return n
}

func TestPartsGoWithTheirValue(t *testing.T) {
	b, _ := splitting(t)
	value := strings.Repeat("0123456789", 1000)
	parts := (len(value)+b.config.room()-1)/b.config.room() + 1
	mustSet(t, b, "a:1", value, time.Hour)
	want(t, "items of one value", items(t, b), parts)
	mustSet(t, b, "a:1", value, time.Hour)
	want(t, "items after it was replaced", items(t, b), parts)
	if existed, err := b.Delete(t.Context(), "a:1"); !existed || err != nil {
		t.Errorf("Delete: %t, %v", existed, err)
	}
	want(t, "items after Delete", items(t, b), 0)
	mustSet(t, b, "a:1", value, time.Hour)
	mustSet(t, b, "a:2", value, time.Hour)
	mustSet(t, b, "b:1", value, time.Hour)
	if n, err := b.Flush(t.Context(), "a:"); n != 2 || err != nil {
		t.Errorf("Flush: %d, %v; want 2 values", n, err)
	}
	want(t, "items after Flush of two values in three", items(t, b), parts)
	if get(t, b, "b:1") != value {
		t.Error("Flush took parts of another value")
	}
}

func TestAValueThatLacksAPart(t *testing.T) {
	b, _ := splitting(t)
	raw := memcache.NewFromSelector(b.servers)
	defer raw.Close()
	value := strings.Repeat("0123456789", 500)
	for name, spoil := range map[string]func(p parts) error{
		"lost":      func(p parts) error { return raw.Delete(p.name(1)) },
		"last lost": func(p parts) error { return raw.Delete(p.name(p.count() - 1)) },
		"another's": func(p parts) error {
			return raw.Set(&memcache.Item{Key: p.name(1), Value: []byte("x")})
		},
		"shorter": func(p parts) error {
			return raw.Set(&memcache.Item{Key: p.name(1), Value: []byte("x"), Flags: part})
		},
		"a bit flipped": func(p parts) error {
			return raw.Set(&memcache.Item{Key: p.name(0),
				Value: []byte(strings.Repeat("x", int(p.size))), Flags: part})
		},
	} {
		mustSet(t, b, "key", value, time.Hour)
		item, err := b.item(t.Context(), "test", "key")
		p, ok := partsOf(item)
		if err != nil || !ok {
			t.Fatalf("no manifest: %v", err)
		}
		if err := spoil(p); err != nil {
			t.Fatal(err)
		}
		want(t, name, get(t, b, "key"), "not found")
		if found, err := b.Exists(t.Context(), "key"); found || err != nil {
			t.Errorf("%s: Exists: %t, %v", name, found, err)
		}
	}
}

// Readers find the one value or the other, or none: never a mixture.
func TestValuesInPartsAreNotMixed(t *testing.T) {
	b, _ := splitting(t)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for _, letter := range []string{"a", "b"} {
		writers.Go(func() {
			for i := range 40 {
				mustSet(t, b, "key", strings.Repeat(letter, 3000+i), time.Hour)
			}
		})
	}
	found := make([]int, 2)
	for r := range found {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				value, err := b.Get(t.Context(), "key")
				if err == store.ErrNotFound {
					continue
				}
				if err != nil || len(value) < 3000 || strings.Count(string(value),
					string(value[:1])) != len(value) {
					t.Errorf("Get: %d bytes, %v", len(value), err)
					return
				}
				found[r]++
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if found[0]+found[1] == 0 {
		t.Error("no reader found anything")
	}
}

func TestExpireOfParts(t *testing.T) {
	b, _ := splitting(t)
	value := strings.Repeat("0123456789", 500)
	mustSet(t, b, "key", value, time.Second)
	if existed, err := b.Expire(t.Context(), "key", time.Hour); !existed || err != nil {
		t.Fatalf("Expire: %t, %v", existed, err)
	}
	time.Sleep(2500 * time.Millisecond)
	if get(t, b, "key") != value {
		t.Error("the parts ended when the value was to end at first")
	}
}

func TestAServerOfPartsIsDead(t *testing.T) {
	c := patient
	c.MaxItemSize, c.Oversize = minItemSize, OversizeSplit
	alive, dead := testserver.SharedMemcached(t), testserver.Memcached(t)
	b := open(t, c, alive.Addr, dead.Addr)
	key := ""
	for i := 0; key == ""; i++ { // one whose manifest is on the server that lives
		if k := fmt.Sprint("parts-", i); b.servers.pick(k).String() == alive.Addr {
			key = k
		}
	}
	mustSet(t, b, key, "before", time.Hour)
	mustSet(t, b, key, strings.Repeat("v", 20_000), time.Hour)
	dead.Kill()
	_, err := b.Get(t.Context(), key)
	wantKind(t, "Get", err, store.KindTransient)
	err = b.Set(t.Context(), key, []byte(strings.Repeat("w", 20_000)), time.Hour)
	wantKind(t, "Set", err, store.KindTransient, dead.Addr)
	want(t, "after the failed Set", get(t, b, key), "not found")
}

func TestAValueOfTooManyParts(t *testing.T) {
	b, _ := splitting(t)
	mustSet(t, b, "key", "before", time.Hour)
	err := b.Set(t.Context(), "key", make([]byte, maxParts*b.config.room()+1), time.Hour)
	wantKind(t, "Set", err, store.KindPermanent, "at most 1024 parts")
	want(t, "what was there before", get(t, b, "key"), "not found")
}

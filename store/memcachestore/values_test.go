package memcachestore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/keys"
)

const day = 24 * time.Hour

func TestLifetime(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 5e8, time.UTC)
	late := time.Date(2037, 12, 31, 0, 0, 0, 0, time.UTC)
	after := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		ttl  time.Duration
		now  time.Time
		want int64
	}{
		{1, now, 2},
		{time.Millisecond, now, 2},
		{time.Second, now, 2},
		{time.Second + 1, now, 3},
		{time.Minute, now, 61},
		{30*day - time.Second, now, 30 * 86400},
		{30*day - 1, now, now.Unix() + 30*86400 + 1},
		{30 * day, now, now.Unix() + 30*86400 + 1},
		{31 * day, now, now.Unix() + 31*86400 + 1},
		{400 * day, now, now.Unix() + 400*86400 + 1},
		{100 * 365 * day, now, 1<<31 - 1},
		{1<<63 - 1, now, 1<<31 - 1},
		{time.Hour, late, 3601},
		{1<<63 - 1, late, 30 * 86400},
		{31 * day, after, 30 * 86400},
	} {
		if got := expiration(tt.ttl, tt.now); int64(got) != tt.want {
			t.Errorf("expiration(%v) at %v = %d, want %d", tt.ttl, tt.now, got, tt.want)
		}
	}
}

// The server must understand by it what we mean.
func TestTheServerEndsValues(t *testing.T) {
	b := open(t, patient, testserver.Memcached(t).Addr)
	for name, ttl := range map[string]time.Duration{
		"short": time.Second, "hour": time.Hour, "month": 30 * day, "31": 31 * day,
		"year": 400 * day,
	} {
		mustSet(t, b, "ends:"+name, "v", ttl)
		keys, _, err := b.dump(t.Context(), "test", b.servers.all[0], "ends:"+name)
		if err != nil || len(keys) != 1 {
			t.Fatalf("%s: listed %v, %v", name, keys, err)
		}
		if left := time.Until(time.Unix(keys[0].end, 0)); left < ttl-time.Second ||
			left > ttl+3*time.Second {
			t.Errorf("%s: set for %v, the server says %v", name, ttl, left)
		}
	}
	time.Sleep(2500 * time.Millisecond)
	if _, err := memcache.NewFromSelector(b.servers).Get("ends:short"); err != memcache.ErrCacheMiss {
		t.Errorf("a value set for a second, after 2.5: %v", err)
	}
}

func TestEndsToTheMillisecond(t *testing.T) {
	b := open(t, patient, testserver.SharedMemcached(t).Addr)
	start := time.Now()
	mustSet(t, b, "millisecond", "v", 300*time.Millisecond)
	for get(t, b, "millisecond") == "v" {
		time.Sleep(time.Millisecond)
	}
	if took := time.Since(start); took < 299*time.Millisecond || took > 900*time.Millisecond {
		t.Errorf("set for 300ms, there for %v", took)
	}
}

func TestAnotherProgramsValue(t *testing.T) {
	b := open(t, patient, testserver.SharedMemcached(t).Addr)
	raw := memcache.NewFromSelector(b.servers)
	defer raw.Close()
	for name, item := range map[string]*memcache.Item{
		"text":        {Value: []byte("theirs")},
		"empty":       {Value: nil},
		"flags":       {Value: []byte("theirs, and long enough"), Flags: 1},
		"our flags":   {Value: []byte("short"), Flags: wholeValue},
		"no manifest": {Value: []byte("long enough for an end"), Flags: manifest},
		"huge manifest": {Value: []byte("\x7f234567887654321\xff2345678\x00\x00\x00\x001234"),
			Flags: manifest},
	} {
		item.Key = "theirs"
		if err := raw.Set(item); err != nil {
			t.Fatal(err)
		}
		want(t, name, get(t, b, "theirs"), string(item.Value))
		corrupt := 0
		s := store.New(as{b, "theirs"}, store.Options{OnCorrupt: func(string, error) { corrupt++ }})
		if _, err := s.Get(t.Context(), "page"); err != store.ErrNotFound || corrupt != 1 {
			t.Errorf("%s: a Store says %v, and of %d corrupt values; want not found, 1", name, err,
				corrupt)
		}
		if name != "no manifest" && name != "huge manifest" { // these say when they end
			_, err := b.TTL(t.Context(), "theirs")
			wantKind(t, name, err, store.KindPermanent, "another program's")
		}
		if existed, err := b.Expire(t.Context(), "theirs", time.Hour); !existed || err != nil {
			t.Errorf("%s: Expire: %t, %v", name, existed, err)
		}
		mustSet(t, b, "theirs", "ours", time.Hour)
		want(t, name+", overwritten", get(t, b, "theirs"), "ours")
	}
}

// as is a backend all of whose keys are one.
type as struct {
	*Backend
	key string
}

func (a as) Get(ctx context.Context, _ string) ([]byte, error) { return a.Backend.Get(ctx, a.key) }

// Of a value that is being set, Expire must not bring the old one back.
func TestExpireOverwritesNothing(t *testing.T) {
	b := open(t, patient, testserver.SharedMemcached(t).Addr)
	for range 200 {
		mustSet(t, b, "expire", "old", time.Hour)
		var both sync.WaitGroup
		both.Go(func() {
			if existed, err := b.Expire(t.Context(), "expire", 2*time.Hour); !existed || err != nil {
				t.Errorf("Expire: %t, %v", existed, err)
			}
		})
		both.Go(func() { mustSet(t, b, "expire", "new", time.Hour) })
		both.Wait()
		if got := get(t, b, "expire"); got != "new" {
			t.Fatalf("after Set and Expire at once: %s", got)
		}
	}
}

func TestTheGreatestValue(t *testing.T) {
	b := open(t, patient, testserver.SharedMemcached(t).Addr)
	key := strings.Repeat("k", keys.MaxLen)
	greatest := strings.Repeat("v", b.config.room())
	mustSet(t, b, key, greatest, time.Hour) // what we take the server takes
	if got := get(t, b, key); got != greatest {
		t.Errorf("%d bytes came back as %d", len(greatest), len(got))
	}
	for _, size := range []int{len(greatest) + 1, 100 << 20} {
		err := b.Set(t.Context(), key, make([]byte, size), time.Hour)
		wantKind(t, "Set", err, store.KindPermanent, fmt.Sprint(size), "max_item_size=1048576",
			"oversize=split")
		want(t, "what was there before", get(t, b, key), "not found")
		mustSet(t, b, key, "again", time.Hour)
	}
}

func TestAServerWithALowerLimit(t *testing.T) {
	s := testserver.Memcached(t, "-I", "512k")
	_, err := unasked(t, Config{Timeout: patient.Timeout}, s.Addr).Health(t.Context())
	if err == nil || !strings.Contains(err.Error(), "option max_item_size: 1048576 bytes, but "+
		"server "+s.Addr+" takes items of at most 524288 bytes") {
		t.Errorf("Health: %v", err)
	}
	b := unasked(t, patient, s.Addr)
	mustSet(t, b, "key", "before", time.Hour)
	err = b.Set(t.Context(), "key", make([]byte, 600_000), time.Hour)
	wantKind(t, "Set", err, store.KindPermanent, "too large", "-I")
	want(t, "what was there before", get(t, b, "key"), "not found")
	c := patient
	c.MaxItemSize = 512 << 10
	b = open(t, c, s.Addr)
	mustSet(t, b, "key", strings.Repeat("v", b.config.room()), time.Hour)
}

func TestHealthTellsOfEachServer(t *testing.T) {
	one, two := testserver.SharedMemcached(t), testserver.Memcached(t)
	h, err := open(t, patient, one.Addr).Health(t.Context())
	if err != nil || h.Backend != "memcached" || h.Latency <= 0 || h.Details["version"] == "" ||
		h.Details["limit_bytes"] != "67108864" {
		t.Errorf("Health of one: %+v, %v", h, err)
	}
	h, err = open(t, patient, one.Addr, two.Addr).Health(t.Context())
	if err != nil || h.Details[one.Addr+" version"] == "" || h.Details[two.Addr+" version"] == "" {
		t.Errorf("Health of two: %+v, %v", h, err)
	}
}

// Who was stopped, and frees a lease that is another's now, must not.
func TestALeaseFreedAtTheSameTime(t *testing.T) {
	b := open(t, patient, testserver.SharedMemcached(t).Addr)
	for range 50 {
		l, ok, err := b.TryLock(t.Context(), "twice", time.Hour)
		if !ok || err != nil {
			t.Fatalf("TryLock: %t, %v", ok, err)
		}
		var held [4]bool
		var all sync.WaitGroup
		for i := range held {
			all.Go(func() { held[i], _ = l.Unlock(t.Context()) })
		}
		all.Wait()
		n := 0
		for _, h := range held {
			if h {
				n++
			}
		}
		want(t, "Unlocks that freed it", n, 1)
	}
}

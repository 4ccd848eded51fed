package redisstore

import (
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
)

// A server that evicts keys with a lifetime keeps the journal, and has all else to evict.
func TestOnlyTheJournalAndItsMembersHaveNoLifetime(t *testing.T) {
	b := open(t, testserver.Redis(t).URL)
	j := b.Journal("p").(*journal)
	appendMarks(t, j, tag(1))
	renew(t, j, "a")
	for _, ttl := range []time.Duration{time.Millisecond * 1500, time.Hour, 1<<63 - 1} {
		if err := b.Set(t.Context(), "k"+ttl.String(), []byte("v"), ttl); err != nil {
			t.Fatal(err)
		}
	}
	lease, _, err := b.TryLock(t.Context(), "l", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Unlock(t.Context())
	keys, err := b.client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 6 {
		t.Fatalf("keys %q, %v; want 6", keys, err)
	}
	for _, key := range keys {
		left, err := b.client.PTTL(t.Context(), key).Result()
		if lasts := left < 0; err != nil || lasts != strings.HasPrefix(key, j.key) {
			t.Errorf("%q has the lifetime %v, %v", key, left, err)
		}
	}
}

// While values are set, a watcher touches the journal more often than it looks at it.
func TestAWatcherKeepsTheJournalWarm(t *testing.T) {
	b := open(t, testserver.Redis(t).URL)
	j := b.Journal("p")
	follow(t, j, appendMarks(t, j))
	touched := func() bool {
		t.Helper()
		stats, err := b.client.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(stats, "cmdstat_touch:")
	}
	time.Sleep(2 * touchEvery)
	if touched() {
		t.Error("it is touched although nothing was set")
	}
	for end := time.Now().Add(10 * time.Second); !touched(); time.Sleep(10 * time.Millisecond) {
		if err := b.Set(t.Context(), "k", []byte("v"), time.Hour); err != nil || time.Now().After(end) {
			t.Fatalf("it is not touched while values are set, %v", err)
		}
	}
}

func TestAdviceOnHowTheServerMakesRoom(t *testing.T) {
	for _, tt := range []struct{ policy, bound, want string }{
		{"noeviction", "0", ""}, {"noeviction", "1000", "nothing more is stored"},
		{"allkeys-lru", "1000", "may evict the journal"},
		{"allkeys-random", "1000", "may evict the journal"},
		{"allkeys-lru", "0", ""}, {"allkeys-lfu", "1000", ""}, {"volatile-lru", "1000", ""},
		{"volatile-ttl", "1000", ""}, {"", "", ""},
	} {
		got := adviceOn(tt.policy, tt.bound)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s, maxmemory %s: %q; want %q", tt.policy, tt.bound, got, tt.want)
		}
	}
	b := open(t, testserver.Redis(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru").URL)
	h, err := b.Health(t.Context())
	if err != nil || !strings.Contains(h.Details["advice"], "volatile-lru") {
		t.Errorf("Health: %v, %v", h.Details, err)
	}
}

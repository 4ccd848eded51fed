package memcachestore

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/drivertest"
	"github.com/freshet-go/freshet/store/storetest"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// open returns a Backend on servers that answer, and closes it when the test ends.
func open(tb testing.TB, c Config, addresses ...string) *Backend {
	tb.Helper()
	b := unasked(tb, c, addresses...)
	if _, err := b.Health(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return b
}

// unasked is open without asking.
func unasked(tb testing.TB, c Config, addresses ...string) *Backend {
	tb.Helper()
	c.Servers = addresses
	b, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.Close() })
	return b
}

// patient is for tests that are not about time, on machines that may be busy.
var patient = Config{Timeout: 10 * time.Second, DialTimeout: 10 * time.Second}

var prefixes atomic.Int64

// empty returns what storetest wants: an empty backend. Its servers are restarted.
func empty(tb testing.TB, c Config, servers ...*testserver.Server) *Backend {
	tb.Helper()
	var addresses []string
	for _, s := range servers {
		s.Kill()
		s.Start()
		addresses = append(addresses, s.Addr)
	}
	return open(tb, c, addresses...)
}

// Leases end by the server's clock, which counts in seconds: up to two after a ttl of less than
// one.
var wholeSeconds = storetest.Options{TTL: time.Second, Margin: 1500 * time.Millisecond,
	AllAbilities: true, Oversize: defaultItemSize}

func TestBackend(t *testing.T) {
	t.Parallel()
	s := testserver.Memcached(t)
	storetest.RunBackend(t, func(t *testing.T) store.Backend { return empty(t, patient, s) },
		wholeSeconds)
}

// valuesOnly is a backend without leases and journals, so that lifetimes may be tested to the
// millisecond.
type valuesOnly struct {
	store.Backend
	store.TTLer
	store.Expirer
	store.Flusher
	store.Lister
}

// Every value of more than some hundred bytes lies in parts, on two servers.
func TestBackendThatSplits(t *testing.T) {
	t.Parallel()
	one, two := testserver.Memcached(t), testserver.Memcached(t)
	c := patient
	c.MaxItemSize, c.Oversize = minItemSize, OversizeSplit
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		b := empty(t, c, one, two)
		return valuesOnly{b, b, b, b, b}
	}, storetest.Options{Keys: 1000, MaxValue: 300_000})
}

// On two servers, the journal lies on one; on three, where they agree.
func TestJournalOnSeveralServers(t *testing.T) {
	all := []string{testserver.SharedMemcached(t).Addr, testserver.Memcached(t).Addr,
		testserver.Memcached(t).Addr}
	for n := 2; n <= len(all); n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			storetest.RunJournal(t, func(t *testing.T) store.Journal {
				return open(t, patient, all[:n]...).Journal(fmt.Sprint("journal-", prefixes.Add(1), ":"))
			})
		})
	}
}

// eventually waits until what is so, for as long as a busy machine may need.
func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not so in a minute: %s", what)
		}
	}
}

// want compares.
func want[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: %v, want %v", what, got, want)
	}
}

var get, mustSet = drivertest.Value, drivertest.MustSet

// wantKind checks an error: its kind, that it names the driver and tells what it should, and no
// secret.
func wantKind(tb testing.TB, what string, err error, kind store.ErrorKind, words ...string) {
	tb.Helper()
	drivertest.WantKind(tb, "memcachestore", what, err, kind, words...)
}

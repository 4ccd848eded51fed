package redisstore

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/storetest"
)

func TestMain(m *testing.M) {
	testserver.Main(m)
}

// open makes a Backend that ends with the test.
func open(t testing.TB, url string) *Backend {
	t.Helper()
	c, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// healthy returns a Backend that is well, or the error of its Health.
func healthy(t testing.TB, c Config) (*Backend, error) {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Health(t.Context()); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func flushed(t testing.TB, b *Backend) *Backend {
	t.Helper()
	masters, err := b.masters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range masters {
		if err := m.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func clusterURL(nodes []*testserver.Server) string {
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.Addr)
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}

var abilities = storetest.Options{AllAbilities: true}

func TestBackend(t *testing.T) {
	url := testserver.Redis(t).URL
	storetest.RunBackend(t, func(t *testing.T) store.Backend { return flushed(t, open(t, url)) },
		abilities)
}

func TestBackendInACluster(t *testing.T) {
	url := clusterURL(testserver.RedisCluster(t))
	storetest.RunBackend(t, func(t *testing.T) store.Backend { return flushed(t, open(t, url)) },
		abilities)
}

var journals atomic.Int64

func newJournal(b *Backend) store.Journal {
	return b.Journal(fmt.Sprint("test-", journals.Add(1), ":"))
}

func TestJournal(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	storetest.RunJournal(t, func(t *testing.T) store.Journal { return newJournal(b) })
}

func TestJournalInACluster(t *testing.T) {
	b := open(t, clusterURL(testserver.RedisCluster(t)))
	storetest.RunJournal(t, func(t *testing.T) store.Journal { return newJournal(b) })
}

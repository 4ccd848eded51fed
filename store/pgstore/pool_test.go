package pgstore

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet-go/freshet/store"
)

// blocked has a row that nobody can change until the function it returns is called.
func blocked(t *testing.T, b *Backend, url, key string) (unblock func()) {
	t.Helper()
	if err := b.Set(t.Context(), key, []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT FROM freshet_cache WHERE key = '"+key+
		"' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	unblock = sync.OnceFunc(func() { conn.Close(context.Background()) })
	t.Cleanup(unblock)
	return unblock
}

// Kinto's test of its pool: with two connections, one more under load and two who may wait, three
// calls work, two wait and time out, and the sixth fails at once.
func TestPoolWithBacklog(t *testing.T) {
	url := database(t)
	b := open(t, url+"&pool_size=2&max_overflow=1&max_backlog=2&pool_timeout=1&sweep=0")
	unblock := blocked(t, b, url, "row")

	var working, waiting sync.WaitGroup
	worked, waited := make([]error, 3), make([]error, 2)
	for i := range worked {
		working.Go(func() { worked[i] = b.Set(t.Context(), "row", []byte("new"), time.Hour) })
	}
	eventually(t, "three calls have connections", func() bool {
		return b.pool.Stat().AcquiredConns() == 3
	})
	start := time.Now()
	for i := range waited {
		waiting.Go(func() { _, waited[i] = b.Get(t.Context(), "row") })
	}
	eventually(t, "two calls wait", func() bool { return b.backlog.callers.Load() == 5 })

	at := time.Now()
	_, err := b.Get(t.Context(), "row")
	if took := time.Since(at); took > 500*time.Millisecond {
		t.Errorf("the sixth call failed after %v, want at once", took)
	}
	wantKind(t, err, store.KindTransient)
	if err != nil && !strings.Contains(err.Error(), "max_backlog") {
		t.Errorf("the sixth call: %v; want an error that names max_backlog", err)
	}

	waiting.Wait()
	if took := time.Since(start); took < time.Second || took > 4*time.Second {
		t.Errorf("the two waited for %v, want a second", took)
	}
	for _, err := range waited {
		if wantKind(t, err, store.KindTimeout); err != nil && !strings.Contains(err.Error(), "pool_timeout") {
			t.Errorf("a call that waited: %v; want an error that names pool_timeout", err)
		}
	}
	if n := b.pool.Stat().TotalConns(); n != 3 {
		t.Errorf("%d connections, want still 3", n)
	}
	unblock()
	working.Wait()
	for _, err := range worked {
		if err != nil {
			t.Errorf("a call that had a connection: %v", err)
		}
	}
	if n := b.backlog.callers.Load(); n != 0 {
		t.Errorf("%d callers are counted when nobody calls", n)
	}
	if _, err := b.Get(t.Context(), "row"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestPoolWithoutBacklog(t *testing.T) {
	url := database(t)
	b := open(t, url+"&pool_size=1&max_overflow=0&max_backlog=0&sweep=0")
	unblock := blocked(t, b, url, "row")
	done := make(chan error, 1)
	go func() { done <- b.Set(context.Background(), "row", []byte("new"), time.Hour) }()
	eventually(t, "the connection is in use", func() bool {
		return b.pool.Stat().AcquiredConns() == 1
	})
	_, err := b.Get(t.Context(), "row")
	wantKind(t, err, store.KindTransient)
	unblock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAWaiterGoesOnWhenThereIsRoom(t *testing.T) {
	url := database(t)
	b := open(t, url+"&pool_size=1&max_overflow=0&sweep=0")
	unblock := blocked(t, b, url, "row")
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() { errs <- b.Set(context.Background(), "row", []byte("new"), time.Hour) }()
	}
	eventually(t, "four call", func() bool { return b.backlog.callers.Load() == 4 })
	unblock()
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestConnectionsAreReplacedWithAge(t *testing.T) {
	b := open(t, database(t)+"&pool_size=1&max_overflow=0&pool_recycle=1&sweep=0")
	pid := func() (n int) {
		if err := b.pool.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := pid()
	eventually(t, "another connection", func() bool { return pid() != first })
}

func TestConnectsOnlyWhenUsed(t *testing.T) {
	b := made(t, database(t))
	time.Sleep(50 * time.Millisecond)
	if n := b.pool.Stat().TotalConns(); n != 0 {
		t.Errorf("%d connections before the first call", n)
	}
}

package memcachestore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

// keysOn returns a key for each server.
func keysOn(b *Backend) map[string]string {
	keys := make(map[string]string)
	for i := 0; len(keys) < len(b.servers.all); i++ {
		key := fmt.Sprint("key-", i)
		keys[b.servers.pick(key).address] = key
	}
	return keys
}

// Of two servers one stops, or is killed: calls for its keys are errors of one server, and soon wait
// no more; the other one's keys are served all the while. When it is back, its keys are, too.
func TestABreakerForEachServer(t *testing.T) {
	t.Parallel()
	for story, c := range map[string]struct{ goes, returns func(*testserver.Server) }{
		"stopped": {(*testserver.Server).Pause, (*testserver.Server).Resume},
		"killed":  {(*testserver.Server).Kill, (*testserver.Server).Start},
	} {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			well, sick := testserver.Memcached(t), testserver.Memcached(t)
			b := open(t, patient, well.Addr, sick.Addr)
			keys := keysOn(b)
			mustSet(t, b, keys[well.Addr], "v", time.Hour)
			c.goes(sick)
			refused := false
			for range openAfter + 1 {
				ctx, cancel := context.WithTimeout(t.Context(), 4*leastTime)
				_, err := b.Get(ctx, keys[sick.Addr])
				cancel()
				if !errors.Is(err, store.ErrOneServer) || !store.KindOf(err).Sick() {
					t.Errorf("Get on the sick server: %v", err)
				}
				_, ok := errors.AsType[*refusedError](err)
				refused = refused || ok
				want(t, "Get on the other server", get(t, b, keys[well.Addr]), "v")
			}
			if !refused {
				t.Errorf("the sick server was asked %d times", openAfter+1)
			}
			c.returns(sick)
			eventually(t, "the server is used again", func() bool {
				_, err := b.Get(t.Context(), keys[sick.Addr])
				return err == store.ErrNotFound
			})
		})
	}
}

// With no server left, errors are those of the whole store, for whose guard they count.
func TestNoServerIsLeft(t *testing.T) {
	b := unasked(t, patient, "127.0.0.1:1", "127.0.0.2:1")
	for key := range 20 * openAfter {
		_, err := b.Get(t.Context(), fmt.Sprint("key-", key))
		wantKind(t, "Get", err, store.KindTransient)
		if all := b.servers.all[0].breaker.open() && b.servers.all[1].breaker.open(); all {
			_, err := b.Get(t.Context(), "key")
			if errors.Is(err, store.ErrOneServer) {
				t.Errorf("with no server left: %v", err)
			}
			return
		}
	}
	t.Error("the breakers are closed")
}

// A single server has no breaker: each call asks it.
func TestASingleServerIsAlwaysAsked(t *testing.T) {
	b := unasked(t, patient, "127.0.0.1:1")
	for range 2 * openAfter {
		_, err := b.Get(t.Context(), "key")
		wantKind(t, "Get", err, store.KindTransient, "refused")
		if _, ok := errors.AsType[*refusedError](err); ok || errors.Is(err, store.ErrOneServer) {
			t.Fatalf("Get: %v", err)
		}
	}
}

// What a caller who leaves, or has no time, does not wait for says nothing of the server.
func TestCallersWithoutPatienceOpenNothing(t *testing.T) {
	b := &Backend{servers: newServers([]string{"a:1", "b:1"})}
	b.pool = newPool(Config{}, b.servers)
	s := b.servers.all[0]
	left, leave := context.WithCancel(t.Context())
	leave()
	hurried, cancel := context.WithTimeout(t.Context(), leastTime/2)
	defer cancel()
	for range 2 * openAfter {
		b.unanswered(left, s, time.Now(), context.Canceled)
		b.unanswered(hurried, s, time.Now(), context.DeadlineExceeded)
		b.unanswered(t.Context(), s, time.Now(), store.ErrUnderway)
	}
	if s.breaker.open() {
		t.Error("the breaker is open")
	}
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &newServers([]string{"a:1", "b:1"}).all[0].breaker
		why := errors.New("it hangs")
		miss := func(times int) {
			for range times {
				b.missed(why)
			}
		}
		miss(openAfter - 1)
		b.answered()
		miss(openAfter - 1)
		if b.open() || b.silent() > 0 || !b.ask() {
			t.Error("open, though it answered in between")
		}
		miss(1)
		time.Sleep(tryEvery - 1)
		if !b.open() || b.ask() || b.silent() != tryEvery-1 {
			t.Errorf("open: %t, silent for %v", b.open(), b.silent())
		}
		time.Sleep(tryEvery/4 + 2)
		if !b.ask() || b.ask() {
			t.Error("not one call of two may try")
		}
		miss(1)
		time.Sleep(tryEvery - 1)
		if b.ask() {
			t.Error("the next may try too soon")
		}
		b.answered()
		if b.open() || !b.ask() || !b.ask() || b.silent() > 0 {
			t.Error("open, though it answers")
		}
	})
}

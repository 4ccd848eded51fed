package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

const warmConnections = 8

// warm has n calls under way at once, so that as many connections are there afterwards.
func warm(t *testing.T, b *Backend, n int) {
	t.Helper()
	var group, connected sync.WaitGroup
	begin := make(chan struct{})
	masters, err := b.masters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	connected.Add(n * len(masters))
	for range n {
		for _, m := range masters {
			group.Go(func() {
				c := m.Conn()
				defer c.Close()
				if err := c.Ping(t.Context()).Err(); err != nil {
					t.Error(err)
				}
				connected.Done()
				<-begin
			})
		}
	}
	connected.Wait()
	close(begin)
	group.Wait()
	for _, m := range masters {
		if got := m.PoolStats().IdleConns; int(got) < n {
			t.Fatalf("%d connections are open, want %d", got, n)
		}
	}
}

// trustAll has no connection looked at, as none is when a server is back within trustedFor.
func trustAll(t *testing.T) {
	before := trustedFor
	trustedFor = time.Hour
	t.Cleanup(func() { trustedFor = before })
}

// After a restart all connections are dead, and no call notices.
func TestNoCallFailsAfterARestart(t *testing.T) {
	trustAll(t)
	s := testserver.Redis(t)
	for name := range everyCall(dead(t), open(t, s.URL)) {
		if name == "watch" {
			continue // it has its second try
		}
		t.Run(name, func(t *testing.T) {
			b := open(t, s.URL)
			warm(t, b, warmConnections)
			s.Kill()
			s.Start()
			for range 2 * warmConnections {
				if err := oneCall(t.Context(), b, name); err != nil && err != store.ErrNotFound {
					t.Error(err)
				}
			}
		})
	}
}

func oneCall(ctx context.Context, b *Backend, name string) error {
	switch name {
	case "get":
		_, err := b.Get(ctx, key)
		return err
	case "set":
		return b.Set(ctx, key, []byte("secret"), time.Hour)
	case "set for 0":
		return b.Set(ctx, key, nil, 0)
	case "delete":
		_, err := b.Delete(ctx, key)
		return err
	case "exists":
		_, err := b.Exists(ctx, key)
		return err
	case "health":
		_, err := b.Health(ctx)
		return err
	case "ttl":
		_, err := b.TTL(ctx, key)
		return err
	case "expire":
		_, err := b.Expire(ctx, key, time.Hour)
		return err
	case "flush":
		_, err := b.Flush(ctx, "a-")
		return err
	case "list":
		for _, err := range b.List(ctx, "a-") {
			if err != nil {
				return err
			}
		}
		return nil
	case "lock":
		l, _, err := b.TryLock(ctx, key, time.Hour)
		if l != nil {
			_, err = l.Unlock(ctx)
		}
		return err
	case "unlock":
		_, err := (&lease{b, key, "token"}).Unlock(ctx)
		return err
	case "append":
		_, err := b.Journal("a").Append(ctx, store.Mark{Kind: store.MarkKey, Name: "secret"})
		return err
	case "since":
		_, _, err := b.Journal("a").Since(ctx, 0)
		return err
	case "renew":
		return b.Journal("a").(store.Membership).Renew(ctx, store.Member{ID: "a", Name: "secret"})
	case "members":
		_, err := b.Journal("a").(store.Membership).Members(ctx)
		return err
	case "leave":
		return b.Journal("a").(store.Membership).Leave(ctx, "a")
	}
	return fmt.Errorf("no call %q", name)
}

// A value that is larger than the least limit of a server is repeated as well.
func TestALargeValueIsSetAfterARestart(t *testing.T) {
	trustAll(t)
	s := testserver.Redis(t)
	b := open(t, s.URL)
	warm(t, b, warmConnections)
	s.Kill()
	s.Start()
	if err := b.Set(t.Context(), key, make([]byte, leastLimit+1), time.Hour); err != nil {
		t.Error(err)
	}
}

func TestNoCallFailsAfterARestartBehindTLS(t *testing.T) {
	trustAll(t)
	ca, cert, private := certificate(t)
	s := testserver.Redis(t)
	addr := overTLS(t, s, cert, private)
	b := open(t, "rediss://"+addr+"?ca_file="+url.QueryEscape(ca))
	warm(t, b, warmConnections)
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer client.Close()
	if err := client.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 * warmConnections {
		if err := b.Set(t.Context(), key, nil, time.Hour); err != nil {
			t.Error(err)
		}
	}
}

// Each connection is killed, again and again, while calls are under way: none fails. A call is
// repeated once, so that no call may meet two kills: the next one waits until each goroutine has
// ended the call that the last one may have met.
func TestKilledConnectionsUnderLoad(t *testing.T) {
	trustAll(t)
	for name, url := range map[string]string{
		"one server": testserver.Redis(t).URL,
		"a Cluster":  clusterURL(testserver.RedisCluster(t)),
	} {
		t.Run(name, func(t *testing.T) { killUnderLoad(t, open(t, url)) })
	}
}

func killUnderLoad(t *testing.T, b *Backend) {
	warm(t, b, warmConnections)
	masters, err := b.masters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var killers []*redis.Client
	for _, m := range masters {
		killer := redis.NewClient(&redis.Options{Addr: m.Options().Addr})
		defer killer.Close()
		killers = append(killers, killer)
	}
	var calls, killed atomic.Int64
	var ended [warmConnections]atomic.Int64 // calls of each goroutine
	done := make(chan struct{})
	var group sync.WaitGroup
	j := b.Journal("kill")
	for i := range warmConnections {
		group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				k := fmt.Sprint("k", i, "-", n%50)
				err := b.Set(t.Context(), k, []byte("v"), time.Hour)
				ended[i].Add(1)
				_, err2 := b.Get(t.Context(), k)
				ended[i].Add(1)
				_, err3 := j.Append(t.Context(), tag(n))
				ended[i].Add(1)
				if err := errors.Join(err, err2, err3); err != nil {
					t.Error(err)
				}
				calls.Add(3)
			}
		})
	}
	for range 30 {
		at := calls.Load()
		for _, killer := range killers {
			n, err := killer.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME",
				"yes").Result()
			if err != nil {
				t.Error(err)
			}
			killed.Add(n)
		}
		for i := range ended {
			for met := ended[i].Load(); ended[i].Load() == met; {
				time.Sleep(time.Millisecond)
			}
		}
		for end := time.Now().Add(10 * time.Second); calls.Load() < at+300 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	close(done)
	group.Wait()
	t.Logf("%d calls, %d connections killed", calls.Load(), killed.Load())
	if killed.Load() == 0 {
		t.Error("no connection was killed")
	}
}

// A call may have been carried out although its answer was lost: to do it twice harms nobody.
func TestAnAnswerThatIsLost(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedRedis(t).Addr)
	b := open(t, "redis://"+p.Addr)
	loseOne := func() *atomic.Bool {
		lost := new(atomic.Bool)
		p.Alter(func(reply []byte) []byte {
			if lost.CompareAndSwap(false, true) {
				p.Drop()
			}
			return reply
		})
		return lost
	}
	// The scripts are there, so that each call is one question.
	j := newJournal(b)
	before := appendMarks(t, j, tag(1))
	another, ok, err := b.TryLock(t.Context(), "another", time.Hour)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	defer another.Unlock(context.Background())

	lost := loseOne()
	l, ok, err := b.TryLock(t.Context(), "lost-answer", time.Hour)
	if !ok || err != nil || !lost.Load() {
		t.Errorf("TryLock = %v, %v; want the lease, which nobody else has (answer lost: %v)", ok,
			err, lost.Load())
	}
	p.Pass()
	if _, ok, err := b.TryLock(t.Context(), "lost-answer", time.Hour); ok || err != nil {
		t.Errorf("a second TryLock = %v, %v; want false", ok, err)
	}
	if l != nil {
		if held, err := l.Unlock(t.Context()); !held || err != nil {
			t.Errorf("Unlock = %v, %v", held, err)
		}
	}

	lost = loseOne()
	number := appendMarks(t, j, tag(2))
	p.Pass()
	if marks, head := since(t, j, before); !lost.Load() || head != number || len(marks) == 0 ||
		marks[len(marks)-1].Mark != tag(2) {
		t.Errorf("after an Append with number %d whose first answer was lost (%v), Since has %v "+
			"and head %d", number, lost.Load(), marks, head)
	}
}

// The second attempt ends when the first would have, or with the call's context when that comes
// first.
func TestTheSecondAttemptIsWithinTheTimeOfTheFirst(t *testing.T) {
	c, end := pair(t)
	until := time.Now().Add(time.Hour)
	if err := c.SetReadDeadline(until); err != nil {
		t.Fatal(err)
	}
	end.Close()
	_, err := c.Read(make([]byte, 1))
	again, cancel, ok := anew(t.Context(), err)
	if !ok {
		t.Fatalf("%v is not repeated", err)
	}
	defer cancel()
	if deadline, ok := again.Deadline(); !ok || !deadline.Equal(until) {
		t.Errorf("the second attempt ends at %v (%v), want %v", deadline, ok, until)
	}
	ended, end2 := context.WithCancel(t.Context())
	end2()
	if _, _, ok := anew(ended, err); ok {
		t.Error("a call whose context has ended is repeated")
	}
}

// Of an answer that has begun, or does not come in time, nothing is repeated.
func TestWhatIsNotRepeated(t *testing.T) {
	c, end := pair(t)
	if err := c.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	_, late := c.Read(make([]byte, 1))
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := end.Write([]byte("+O")); err != nil {
		t.Fatal(err)
	}
	end.Close()
	if _, err := c.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	_, cut := c.Read(make([]byte, 1))
	for _, err := range []error{late, cut, redis.Nil, context.DeadlineExceeded} {
		if _, _, ok := anew(t.Context(), err); ok || err == nil {
			t.Errorf("%v is repeated", err)
		}
	}
}

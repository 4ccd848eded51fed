package memcachestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

// everyCall makes each call of the backend once and returns the errors by their names.
func everyCall(ctx context.Context, b *Backend, key string) map[string]error {
	errs := make(map[string]error)
	_, errs["get"] = b.Get(ctx, key)
	errs["set"] = b.Set(ctx, key, []byte("v"), time.Hour)
	errs["set of nothing"] = b.Set(ctx, key, nil, 0)
	_, errs["delete"] = b.Delete(ctx, key)
	_, errs["exists"] = b.Exists(ctx, key)
	_, errs["ttl"] = b.TTL(ctx, key)
	_, errs["expire"] = b.Expire(ctx, key, time.Hour)
	_, errs["flush"] = b.Flush(ctx, key)
	for _, err := range b.List(ctx, key) {
		errs["list"] = err
	}
	_, _, errs["lock"] = b.TryLock(ctx, key, time.Hour)
	_, errs["journal append"] = b.Journal(key).Append(ctx, store.Mark{Kind: store.MarkEverything})
	_, _, errs["journal since"] = b.Journal(key).Since(ctx, 0)
	for _, err := range b.Journal(key).Watch(ctx, 0) {
		errs["journal watch"] = err
		break
	}
	m := b.Journal(key).(*journal)
	errs["journal renew"] = m.Renew(ctx, store.Member{ID: "a"})
	_, errs["journal members"] = m.Members(ctx)
	errs["journal leave"] = m.Leave(ctx, "a")
	_, errs["health"] = b.Health(ctx)
	return errs
}

// Not half of the time, as with clients that call a dead server's keys missing.
func TestADeadServerIsAnErrorEveryTime(t *testing.T) {
	s := testserver.Memcached(t)
	b := open(t, patient, s.Addr)
	mustSet(t, b, "key", "v", time.Hour)
	s.Kill()
	for range 5 {
		for call, err := range everyCall(t.Context(), b, "key") {
			wantKind(t, call, err, store.KindTransient, s.Addr)
		}
	}
	s.Start()
	want(t, "Get after the restart", get(t, b, "key"), "not found")
	for call, err := range everyCall(t.Context(), b, "key") {
		if err != nil && err != store.ErrNotFound {
			t.Errorf("%s after the restart: %v", call, err)
		}
	}
}

func TestHealthNeedsTheServers(t *testing.T) {
	s := testserver.Memcached(t)
	s.Kill()
	start := time.Now()
	b := unasked(t, Config{}, s.Addr, "127.0.0.1:1")
	_, err := b.Health(t.Context())
	wantKind(t, "Health", err, store.KindTransient, "memcachestore: health: ", s.Addr, "refused",
		"127.0.0.1:1")
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("Health of two dead servers takes more than a line: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Health took %v", took)
	}
}

func TestOneOfTwoServersIsDead(t *testing.T) {
	alive, dead := testserver.SharedMemcached(t), testserver.Memcached(t)
	b := open(t, patient, alive.Addr, dead.Addr)
	dead.Kill()
	n := map[string]int{}
	for i := range 100 {
		key := fmt.Sprint("half-", i)
		on := b.servers.pick(key).String()
		n[on]++
		err := b.Set(t.Context(), key, []byte("v"), time.Hour)
		if on == dead.Addr {
			wantKind(t, "Set on the dead server", err, store.KindTransient, dead.Addr)
			_, err := b.Get(t.Context(), key)
			wantKind(t, "Get on the dead server", err, store.KindTransient, dead.Addr)
			continue
		}
		if err != nil || get(t, b, key) != "v" {
			t.Errorf("on the server that is alive: Set: %v; Get: %s", err, get(t, b, key))
		}
	}
	if n[alive.Addr] < 25 || n[dead.Addr] < 25 {
		t.Errorf("keys on the servers: %v", n)
	}
	_, err := b.Health(t.Context())
	wantKind(t, "Health", err, store.KindTransient, dead.Addr)
	_, err = b.Flush(t.Context(), "half-")
	wantKind(t, "Flush", err, store.KindTransient, dead.Addr)
}

// A restart leaves dead connections in the pool. No call must fail for that.
func TestConnectionsOfARestartedServer(t *testing.T) {
	s := testserver.Memcached(t)
	b := open(t, patient, s.Addr)
	const many = 20
	hold := make([]*client, many)
	for i := range hold { // as many calls at once
		hold[i] = b.pool.begin(t.Context(), nil)
		if err := hold[i].inner.Ping(); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range hold {
		b.pool.release(l)
	}
	s.Kill()
	s.Start()
	hold = hold[:0]
	for range many { // each on another connection
		if _, err := b.Get(t.Context(), "key"); err != store.ErrNotFound {
			t.Errorf("Get after the restart: %v", err)
		}
		hold = append(hold, b.pool.begin(t.Context(), nil))
	}
	for _, l := range hold {
		b.pool.release(l)
	}
}

func TestAHungServerHoldsNobodyLongerThanTheContext(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedMemcached(t).Addr)
	b := open(t, patient, p.Addr)
	mustSet(t, b, "hung", "v", time.Hour)
	p.Hang()
	cause := errors.New("the client has gone")
	for _, tt := range []struct {
		name string
		ctx  func() (context.Context, context.CancelFunc)
		want error
	}{
		{"deadline", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 50*time.Millisecond)
		}, context.DeadlineExceeded},
		{"cancelled", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
			return ctx, func() { stop.Stop(); cancel(nil) }
		}, cause},
	} {
		ctx, cancel := tt.ctx()
		<-time.After(time.Millisecond)
		for _, c := range []struct {
			name string
			call func(context.Context) error
		}{
			{"get", func(ctx context.Context) error { _, err := b.Get(ctx, "hung"); return err }},
			{"set", func(ctx context.Context) error {
				return b.Set(ctx, "hung", []byte("w"), time.Hour)
			}},
			{"health", func(ctx context.Context) error { _, err := b.Health(ctx); return err }},
			{"renew", func(ctx context.Context) error {
				return b.Journal("hung").(*journal).Renew(ctx, store.Member{ID: "a"})
			}},
			{"members", func(ctx context.Context) error {
				_, err := b.Journal("hung").(*journal).Members(ctx)
				return err
			}},
			{"leave", func(ctx context.Context) error {
				return b.Journal("hung").(*journal).Leave(ctx, "a")
			}},
		} {
			start := time.Now()
			err := c.call(ctx)
			wantKind(t, tt.name+" "+c.name, err, store.KindTimeout)
			if !errors.Is(err, tt.want) {
				t.Errorf("%s %s: %v is not %v", tt.name, c.name, err, tt.want)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%s %s took %v", tt.name, c.name, took)
			}
		}
		cancel()
	}
	p.Pass()
	// A client whose call was interrupted serves others.
	for range 3 {
		if got := get(t, b, "hung"); got != "v" && got != "w" {
			t.Errorf("after all: %s", got)
		}
	}
}

func TestAHungServerHoldsNobodyLongerThanTheTimeout(t *testing.T) {
	server := testserver.SharedMemcached(t).Addr
	mustSet(t, open(t, Config{}, server), "hung", strings.Repeat("v", 4096), time.Hour)
	p := testserver.Proxy(t, server)
	b := open(t, Config{Timeout: 50 * time.Millisecond}, p.Addr)
	for name, spoil := range map[string]func(){"hang": p.Hang, "slow": func() { p.Trickle(10) }} {
		spoil()
		for range 3 {
			start := time.Now()
			_, err := b.Get(context.Background(), "hung")
			wantKind(t, name, err, store.KindTimeout, "50ms")
			if took := time.Since(start); took < 50*time.Millisecond || took > 30*time.Second {
				t.Errorf("%s: took %v", name, took)
			}
		}
	}
}

// What a guard reads of an answer that was still coming is that the server is well.
func TestALongAnswerThatWasStillComing(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedMemcached(t).Addr)
	b := open(t, Config{}, p.Addr)
	mustSet(t, b, "long", strings.Repeat("v", 512<<10), time.Hour)
	testserver.WhileItComes(t, p, 128<<10, func(ctx context.Context) error {
		_, err := b.Get(ctx, "long")
		wantKind(t, "long", err, store.KindTimeout, "still coming")
		return err
	})
}

// The timeout is the whole answer's, not each item's: here one comes every 0.7 seconds.
func TestASlowServerHasOneTimeout(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedMemcached(t).Addr)
	b := open(t, Config{Timeout: time.Second, MaxItemSize: minItemSize, Oversize: OversizeSplit},
		p.Addr)
	mustSet(t, b, "slow", strings.Repeat("v", 3*b.config.room()), time.Hour)
	p.Trickle(1000)
	start := time.Now()
	_, err := b.Get(context.Background(), "slow")
	wantKind(t, "Get", err, store.KindTimeout)
	if took := time.Since(start); took > 1800*time.Millisecond {
		t.Errorf("took %v of a timeout of 1s", took)
	}
}

// A context that is done between the beginning of a call and its first word.
func TestACallWhoseContextEndsEarly(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedMemcached(t).Addr)
	b := open(t, patient, p.Addr)
	mustSet(t, b, "early", "v", time.Hour)
	p.Hang()
	ctx, cancel := context.WithCancel(t.Context())
	l := b.pool.begin(ctx, nil)
	defer b.pool.release(l)
	cancel()
	for ended := false; !ended; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		ended = l.ended
		l.mu.Unlock()
	}
	start := time.Now()
	if _, err := l.inner.Get("early"); err == nil || time.Since(start) > patient.Timeout/2 {
		t.Errorf("Get: %v, after %v", err, time.Since(start))
	}
}

func TestACutReplyIsNoValue(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedMemcached(t).Addr)
	b := open(t, patient, p.Addr)
	value := strings.Repeat("value", 1000)
	mustSet(t, b, "cut", value, time.Hour)
	for _, n := range []int{0, 1, 10, 25, 100, 5000, len("VALUE cut 1181876225 5008 1\r\n") + 8 +
		len(value)} {
		p.CutAfter(n)
		got, err := b.Get(t.Context(), "cut")
		if err == nil || len(got) > 0 {
			t.Errorf("cut after %d bytes: %d bytes, %v", n, len(got), err)
		}
		wantKind(t, fmt.Sprint("cut after ", n), err, store.KindTransient)
	}
	p.Pass()
	want(t, "afterwards", get(t, b, "cut"), value)
}

func TestALyingServerIsToldNothingOf(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedMemcached(t).Addr)
	b := open(t, patient, p.Addr)
	const secret = "secret-value"
	mustSet(t, b, "lying", secret, time.Hour)
	for reply, kind := range map[string]store.ErrorKind{
		secret + "\r\n":                                       store.KindTransient,
		"VALUE lying " + secret + "\r\n":                      store.KindTransient,
		"VALUE lying 1 3\r\n" + secret + "\r\nEND\r\n":        store.KindTransient,
		"HTTP/1.1 400 Bad Request\r\n\r\n" + secret:           store.KindTransient,
		"SERVER_ERROR temporary failure\r\n":                  store.KindTransient,
		"SERVER_ERROR out of memory writing get response\r\n": store.KindTransient,
		"CLIENT_ERROR bad command line format\r\n":            store.KindPermanent,
		"ERROR\r\n":                        store.KindPermanent,
		"CLIENT_ERROR unauthenticated\r\n": store.KindAuthentication,
	} {
		p.Alter(func([]byte) []byte { return []byte(reply) })
		_, err := b.Get(t.Context(), "lying")
		wantKind(t, fmt.Sprintf("Get answered by %q", reply), err, kind)
		_, err2 := b.Journal("lying").Append(t.Context())
		err3 := b.Set(t.Context(), "lying", []byte(secret), time.Hour)
		_, err4 := b.Health(t.Context())
		if text := fmt.Sprint(err, err2, err3, err4); strings.Contains(text, "secret") ||
			errors.Join(err2, err3, err4) == nil {
			t.Errorf("answered by %q: %s", reply, text)
		}
	}
}

func TestAServerThatWantsAPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte("user:password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := testserver.Memcached(t, "-Y", file)
	b := unasked(t, Config{}, s.Addr)
	_, err := b.Health(t.Context())
	wantKind(t, "Health", err, store.KindAuthentication, s.Addr)
	_, err = b.Get(t.Context(), "key")
	wantKind(t, "Get", err, store.KindAuthentication)
}

func TestMemoryFull(t *testing.T) {
	s := testserver.Memcached(t, "-m", "2", "-M") // -M: an error in place of eviction
	b := open(t, patient, s.Addr)
	value := bytes.Repeat([]byte{'x'}, 100_000)
	var err error
	stored := 0
	for ; err == nil && stored < 2000; stored++ {
		err = b.Set(t.Context(), fmt.Sprint("full-", stored), value, time.Hour)
	}
	wantKind(t, "Set into a full server", err, store.KindTransient, "SERVER_ERROR out of memory")
	want(t, "what could not be stored", get(t, b, fmt.Sprint("full-", stored-1)), "not found")
	// A value that is there and cannot be replaced must go: it is not the one that was set last.
	failed := 0
	for i := range stored - 1 {
		key := fmt.Sprint("full-", i)
		if b.Set(t.Context(), key, bytes.Repeat(value, 5), time.Hour) != nil {
			failed++
			want(t, "after a failed Set", get(t, b, key), "not found")
		}
	}
	if failed == 0 {
		t.Error("no Set failed: nothing was tested")
	}
}

func TestCloseEndsWhatIsGoingOn(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedMemcached(t).Addr)
	b := open(t, patient, p.Addr)
	mustSet(t, b, "closed", "v", time.Hour)
	p.Hang()
	var calls sync.WaitGroup
	for range 5 {
		calls.Go(func() {
			_, err := b.Get(t.Context(), "closed")
			wantKind(t, "Get in progress", err, store.KindPermanent, "closed")
		})
		calls.Go(func() {
			_, err := b.Health(t.Context())
			wantKind(t, "Health in progress", err, store.KindPermanent, "closed")
		})
	}
	time.Sleep(50 * time.Millisecond)
	start := time.Now()
	b.Close()
	b.Close()
	calls.Wait()
	if took := time.Since(start); took > patient.Timeout/2 {
		t.Errorf("the calls ended %v after Close", took)
	}
	for call, err := range everyCall(t.Context(), b, "closed") {
		wantKind(t, call, err, store.KindPermanent, "closed")
	}
	p.Pass()
	for end := time.Now().Add(5 * time.Second); p.Connections() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections left", p.Connections())
		}
	}
}

// More calls at once than the pool keeps connections: the rest are closed again.
func TestThePoolIsBounded(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedMemcached(t).Addr)
	c := patient
	c.PoolSize = 3
	b := open(t, c, p.Addr)
	var all []*client
	for range 10 {
		l := b.pool.begin(t.Context(), nil)
		if err := l.inner.Ping(); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	for _, l := range all {
		b.pool.release(l)
	}
	for end := time.Now().Add(5 * time.Second); p.Connections() != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections are kept, want 3", p.Connections())
		}
	}
}

func TestKeysThatNoStoreSends(t *testing.T) {
	b := unasked(t, patient, "127.0.0.1:1") // nobody is asked
	for _, key := range []string{"", strings.Repeat("k", 201), "a b", "a\r\nflush_all", "a~b",
		"a/b", "ключ", "a\x00"} {
		for call, err := range everyCall(t.Context(), b, key) {
			if call == "list" || call == "flush" || call == "health" || strings.HasPrefix(call,
				"journal") && key == "" {
				continue
			}
			wantKind(t, fmt.Sprintf("%s of %.10q", call, key), err, store.KindPermanent)
		}
	}
}

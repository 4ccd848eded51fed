package redisstore

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

// wantError checks an error's kind, that it is the driver's own, and that it tells no secret.
func wantError(t *testing.T, err error, kind store.ErrorKind) {
	t.Helper()
	var e *store.Error
	if !errors.As(err, &e) || e.Backend != "redisstore" || e.Kind != kind ||
		errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v; want a %v error of redisstore's", err, kind)
		return
	}
	for _, secret := range []string{"secret", "whole-key-of-more-than-16-bytes"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows %q: %v", secret, err)
		}
	}
}

const key = "a-whole-key-of-more-than-16-bytes"

// everyCall runs each method once.
func everyCall(ctx context.Context, b *Backend) map[string]error {
	errs := map[string]error{}
	_, errs["get"] = b.Get(ctx, key)
	errs["set"] = b.Set(ctx, key, []byte("secret"), time.Hour)
	errs["set for 0"] = b.Set(ctx, key, []byte("secret"), 0)
	_, errs["delete"] = b.Delete(ctx, key)
	_, errs["exists"] = b.Exists(ctx, key)
	_, errs["health"] = b.Health(ctx)
	_, errs["ttl"] = b.TTL(ctx, key)
	_, errs["expire"] = b.Expire(ctx, key, time.Hour)
	_, errs["flush"] = b.Flush(ctx, "a-")
	for _, err := range b.List(ctx, "a-") {
		errs["list"] = err
	}
	_, _, errs["lock"] = b.TryLock(ctx, key, time.Hour)
	_, errs["unlock"] = (&lease{b, key, "token"}).Unlock(ctx)
	_, errs["append"] = b.Journal("a").Append(ctx, store.Mark{Kind: store.MarkKey, Name: "secret"})
	_, _, errs["since"] = b.Journal("a").Since(ctx, 0)
	for _, err := range b.Journal("a").Watch(ctx, 0) {
		errs["watch"] = err
	}
	m := b.Journal("a").(store.Membership)
	errs["renew"] = m.Renew(ctx, store.Member{ID: "a", Name: "secret"})
	_, errs["members"] = m.Members(ctx)
	errs["leave"] = m.Leave(ctx, "a")
	return errs
}

func TestEveryCallFailsWhenTheServerIsGone(t *testing.T) {
	s := testserver.Redis(t)
	b := open(t, s.URL)
	if err := b.Set(t.Context(), key, nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	for range 2 {
		for call, err := range everyCall(t.Context(), b) {
			t.Run(call, func(t *testing.T) { wantError(t, err, store.KindTransient) })
		}
	}
	s.Start()
	if _, err := b.Get(t.Context(), key); err != store.ErrNotFound {
		t.Errorf("after the server came back: %v, want ErrNotFound", err)
	}
}

// The server takes connections and never answers.
func TestEveryCallEndsWithItsDeadline(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedRedis(t).Addr)
	b := open(t, "redis://"+p.Addr)
	if _, err := b.Get(t.Context(), "k"); err != store.ErrNotFound {
		t.Fatal(err)
	}
	p.Hang()
	start := time.Now()
	for call := range everyCall(dead(t), b) {
		_ = call
	}
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		_, err := b.Get(ctx, "k")
		wantError(t, err, store.KindTimeout)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is not DeadlineExceeded", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("a Get with a deadline of 50ms took %v", took)
		}
		cancel()
	}
	cause := errors.New("a cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err := b.Get(ctx, "k")
	wantError(t, err, store.KindTimeout)
	if !errors.Is(err, cause) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not the context's cause", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func dead(t *testing.T) context.Context {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	t.Cleanup(cancel)
	return ctx
}

func TestTimeoutOfItsOwn(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedRedis(t).Addr)
	b := open(t, "redis://"+p.Addr+"?timeout=100ms&dial_timeout=100ms")
	p.Hang()
	start := time.Now()
	_, err := b.Get(t.Context(), "k")
	wantError(t, err, store.KindTimeout)
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
}

func TestAConnectionCutInTheMiddleOfAReply(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedRedis(t).Addr)
	b := open(t, "redis://"+p.Addr)
	value := bytes.Repeat([]byte("secret"), 10_000)
	if err := b.Set(t.Context(), key, value, time.Hour); err != nil {
		t.Fatal(err)
	}
	p.CutAfter(5_000)
	for range 3 {
		got, err := b.Get(t.Context(), key)
		wantError(t, err, store.KindTransient)
		if got != nil {
			t.Errorf("%d bytes of a reply that was cut", len(got))
		}
	}
	p.Pass()
	if got, err := b.Get(t.Context(), key); err != nil || !bytes.Equal(got, value) {
		t.Errorf("afterwards: %d bytes, %v", len(got), err)
	}
	p.Trickle(1)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := b.Get(ctx, key)
	wantError(t, err, store.KindTimeout)
}

// What a guard reads of an answer that was still coming is that the server is well.
func TestALongAnswerThatWasStillComing(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedRedis(t).Addr)
	b := open(t, "redis://"+p.Addr)
	if err := b.Set(t.Context(), key, make([]byte, 1<<20), time.Hour); err != nil {
		t.Fatal(err)
	}
	testserver.WhileItComes(t, p, 128<<10, func(ctx context.Context) error {
		_, err := b.Get(ctx, key)
		wantError(t, err, store.KindTimeout)
		return err
	})
}

func TestAnAnswerThatIsNotRedis(t *testing.T) {
	p := testserver.Proxy(t, testserver.SharedRedis(t).Addr)
	b := open(t, "redis://"+p.Addr)
	if err := b.Set(t.Context(), key, []byte("value"), time.Hour); err != nil {
		t.Fatal(err)
	}
	p.Alter(func([]byte) []byte { return []byte("HTTP/1.1 400 secret\r\n\r\n") })
	for range 3 {
		_, err := b.Get(t.Context(), key)
		wantError(t, err, store.KindUnknown)
	}
}

func TestWrongPassword(t *testing.T) {
	s := testserver.Redis(t, "--requirepass", "right")
	for _, user := range []string{":secret@", "nobody:secret@", ""} {
		url := strings.Replace(s.URL, "//", "//"+user, 1)
		_, err := open(t, url).Get(t.Context(), key)
		wantError(t, err, store.KindAuthentication)
		c, _ := ParseURL(url)
		_, err = healthy(t, c)
		wantError(t, err, store.KindAuthentication)
		if err != nil && !strings.Contains(err.Error(), s.Addr) {
			t.Errorf("Health's error does not name the server: %v", err)
		}
	}
	b := open(t, strings.Replace(s.URL, "//", "//:right@", 1))
	if err := b.Set(t.Context(), key, nil, time.Hour); err != nil {
		t.Error(err)
	}
}

func TestWrongDatabase(t *testing.T) {
	c, err := ParseURL("redis://" + testserver.SharedRedis(t).Addr + "/99")
	if err != nil {
		t.Fatal(err)
	}
	_, err = healthy(t, c)
	wantError(t, err, store.KindPermanent)
	if err == nil || !strings.Contains(err.Error(), "/99: ") || !strings.Contains(err.Error(),
		"out of range") {
		t.Errorf("%v; want the URL and the reason", err)
	}
}

func TestHealthWithoutAServer(t *testing.T) {
	p := testserver.Proxy(t, "127.0.0.1:1")
	p.Refuse()
	c, err := ParseURL("redis://" + p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = healthy(t, c)
	wantError(t, err, store.KindTransient)
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v to find out", took)
	}
}

func TestAFullServer(t *testing.T) {
	b := open(t, testserver.Redis(t, "--maxmemory-policy", "noeviction").URL)
	bound := func(bytes string) {
		if err := b.client.ConfigSet(t.Context(), "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{key, "other"} {
		if err := b.Set(t.Context(), key, []byte("before"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	bound("1")
	wantError(t, b.Set(t.Context(), key, []byte("after"), time.Hour), store.KindTransient)
	if got, err := b.Get(t.Context(), key); err != store.ErrNotFound {
		t.Errorf("after a Set that was refused, Get finds what was there before: %q, %v", got, err)
	}
	for range 2 { // the first one begins the journal
		if _, err := b.Journal("").Append(t.Context(), store.Mark{Kind: store.MarkKey, Name: "k"}); err != nil {
			t.Errorf("nothing can be invalidated on a full server: %v", err)
		}
	}
	for range 2 {
		renew(t, b.Journal("").(*journal), "a", "b")
	}
	_, _, err := b.TryLock(t.Context(), "lease", time.Hour)
	wantError(t, err, store.KindTransient)
	if n, err := b.Flush(t.Context(), "oth"); err != nil || n != 1 {
		t.Errorf("Flush of a full server: %d, %v", n, err)
	}
	bound("0")
	if err := b.Set(t.Context(), key, []byte("after"), time.Hour); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestAReadOnlyServer(t *testing.T) {
	s := testserver.Redis(t)
	b := open(t, s.URL)
	if err := b.client.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), key); err != store.ErrNotFound {
		t.Errorf("Get: %v, want ErrNotFound", err)
	}
	wantError(t, b.Set(t.Context(), key, nil, time.Hour), store.KindTransient)
	_, err := b.Journal("").Append(t.Context(), store.Mark{Kind: store.MarkKey, Name: "k"})
	wantError(t, err, store.KindTransient)
	err = b.Journal("").(store.Membership).Renew(t.Context(), store.Member{ID: "a"})
	wantError(t, err, store.KindTransient)
}

func TestAnotherProgramsValue(t *testing.T) {
	s := testserver.Redis(t)
	b := open(t, s.URL)
	if err := b.client.HSet(t.Context(), key, "secret", "secret").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := b.Get(t.Context(), key)
	wantError(t, err, store.KindPermanent)
	_, err = b.Exists(t.Context(), key)
	wantError(t, err, store.KindPermanent)
	if err := b.Set(t.Context(), key, []byte("ours"), time.Hour); err != nil {
		t.Error(err)
	}
	if got, err := b.Get(t.Context(), key); string(got) != "ours" || err != nil {
		t.Errorf("after Set: %q, %v", got, err)
	}
	if err := b.client.Set(t.Context(), "for-ever", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if left, err := b.TTL(t.Context(), "for-ever"); err != nil || left < 24*time.Hour {
		t.Errorf("TTL of what has no lifetime: %v, %v", left, err)
	}
	if err := b.client.Set(t.Context(), "{~journal~}", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	_, err = b.Journal("").Append(t.Context())
	wantError(t, err, store.KindPermanent)
}

// A command that the server does not know it quotes in its answer, with the arguments.
func TestErrorsShowNoValue(t *testing.T) {
	s := testserver.Redis(t, "--rename-command", "SET", "", "--rename-command", "GET", "")
	b := open(t, s.URL)
	wantError(t, b.Set(t.Context(), key, []byte("secret"), time.Hour), store.KindPermanent)
	_, err := b.Get(t.Context(), key)
	wantError(t, err, store.KindPermanent)
}

func TestKeysAndValuesOutOfBounds(t *testing.T) {
	s := testserver.Redis(t, "--proto-max-bulk-len", "1mb")
	b := open(t, s.URL)
	for _, bad := range []string{"", strings.Repeat("k", 201), "a b", "a\x00", "a\n", "ключ",
		"~lock~a", "a*"} {
		_, err := b.Get(t.Context(), bad)
		wantError(t, err, store.KindPermanent)
		wantError(t, b.Set(t.Context(), bad, nil, time.Hour), store.KindPermanent)
		_, err = b.Delete(t.Context(), bad)
		wantError(t, err, store.KindPermanent)
		_, _, err = b.TryLock(t.Context(), bad, time.Hour)
		wantError(t, err, store.KindPermanent)
	}
	for _, size := range []int{maxValue + 1, 2 << 20} {
		if err := b.Set(t.Context(), key, []byte("before"), time.Hour); err != nil {
			t.Fatal(err)
		}
		err := b.Set(t.Context(), key, make([]byte, size), time.Hour)
		wantError(t, err, store.KindPermanent)
		if !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%v is not ErrTooLarge", err)
		}
		if got, err := b.Get(t.Context(), key); err != store.ErrNotFound {
			t.Errorf("%d bytes were refused, and what was there before is still found: %q, %v",
				size, got, err)
		}
	}
	if err := b.Set(t.Context(), key, make([]byte, 1<<20), time.Hour); err != nil {
		t.Error(err)
	}
}

func TestAGreatValue(t *testing.T) {
	b := open(t, testserver.Redis(t).URL+"?timeout=10s")
	value := bytes.Repeat([]byte("0123456789abcdef"), 100<<20/16)
	if err := b.Set(t.Context(), key, value, time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Get(t.Context(), key); err != nil || !bytes.Equal(got, value) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestALifetimeOfAnyLength(t *testing.T) {
	b := open(t, testserver.SharedRedis(t).URL)
	for _, ttl := range []time.Duration{31 * 24 * time.Hour, 100 * 365 * 24 * time.Hour,
		1<<63 - 1} {
		if err := b.Set(t.Context(), "long", nil, ttl); err != nil {
			t.Errorf("%v: %v", ttl, err)
		}
		if existed, err := b.Expire(t.Context(), "long", ttl); !existed || err != nil {
			t.Errorf("%v: %t, %v", ttl, existed, err)
		}
		if left, err := b.TTL(t.Context(), "long"); err != nil || left > ttl ||
			ttl-left > time.Minute {
			t.Errorf("%v: %v left, %v", ttl, left, err)
		}
	}
	for ttl, want := range map[time.Duration]time.Duration{
		1: time.Millisecond, time.Millisecond: time.Millisecond, time.Millisecond +
			1: 2 * time.Millisecond, time.Hour: time.Hour,
		forever: forever - 775807, forever - 775807: forever - 775807,
		forever - 775808: forever - 775807,
	} {
		if got := milliseconds(ttl); got != want {
			t.Errorf("%v is rounded to %v, want %v", ttl, got, want)
		}
	}
}

func TestKindsOfReplies(t *testing.T) {
	b := open(t, testserver.Redis(t).URL)
	for reply, want := range map[string]store.ErrorKind{
		"LOADING Redis is loading the dataset in memory":                          store.KindTransient,
		"CLUSTERDOWN The cluster is down":                                         store.KindTransient,
		"MASTERDOWN Link with MASTER is down":                                     store.KindTransient,
		"BUSY Redis is busy running a script":                                     store.KindTransient,
		"MISCONF Redis is configured to save RDB snapshots":                       store.KindTransient,
		"ERR max number of clients reached":                                       store.KindTransient,
		"ERR Error running script (call to f_x): @x: 1: -OOM command not allowed": store.KindTransient,
		"NOPERM this user has no permissions":                                     store.KindAuthentication,
		"ERR Client sent AUTH, but no password is set":                            store.KindAuthentication,
		"ERR DB index is out of range":                                            store.KindPermanent,
		"CROSSSLOT Keys in request don't hash to the same slot":                   store.KindPermanent,
	} {
		err := b.client.Eval(t.Context(), "return redis.error_reply(ARGV[1])", nil, reply).Err()
		var said redis.Error
		if !errors.As(err, &said) {
			t.Fatal(err)
		}
		wantError(t, fail(t.Context(), "get", "k", err), want)
	}
}

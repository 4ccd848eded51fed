package pgstore

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// A time without its zone, as Kinto kept it, was over at once for a session in another zone.
func TestSessionsInDifferentTimeZones(t *testing.T) {
	url := database(t)
	open(t, url)
	sessions := map[string]*Backend{}
	for _, zone := range []string{"UTC", "America/New_York", "Pacific/Kiritimati"} {
		sessions[zone] = made(t, url+"&sweep=0&timezone="+zone)
	}
	for writes, writer := range sessions {
		if err := writer.Set(t.Context(), "key", []byte(writes), time.Hour); err != nil {
			t.Fatal(err)
		}
		for reads, reader := range sessions {
			var zone string
			if err := reader.pool.QueryRow(t.Context(), "SHOW timezone").Scan(&zone); err != nil || zone != reads {
				t.Fatalf("the session's zone is %q, %v; want %q", zone, err, reads)
			}
			if got, err := reader.Get(t.Context(), "key"); err != nil || string(got) != writes {
				t.Errorf("set in %s, read in %s: %q, %v", writes, reads, got, err)
			}
			if ttl, err := reader.TTL(t.Context(), "key"); err != nil || ttl > time.Hour ||
				ttl < 59*time.Minute {
				t.Errorf("set in %s for an hour, asked in %s: %v, %v", writes, reads, ttl, err)
			}
			if n, err := reader.sweepOnce(t.Context()); n != 0 || err != nil {
				t.Errorf("set in %s, swept in %s: %d rows, %v", writes, reads, n, err)
			}
			if ok, err := reader.Expire(t.Context(), "key", time.Hour); !ok || err != nil {
				t.Errorf("Expire in %s: %t, %v", reads, ok, err)
			}
		}
	}
}

// A bouncer that cleans up behind its clients makes the server forget what they have prepared.
func TestPreparedStatementsThatAreForgotten(t *testing.T) {
	b := open(t, database(t))
	if err := b.Set(t.Context(), "key", []byte("value"), time.Hour); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, key := range []string{"key", "other"} {
			want := map[string]error{"other": store.ErrNotFound}[key]
			if value, err := b.Get(t.Context(), key); err != want || err == nil &&
				string(value) != "value" {
				t.Errorf("%s: %q, %v", key, value, err)
			}
		}
		for _, conn := range b.pool.AcquireAllIdle(t.Context()) {
			if _, err := conn.Exec(t.Context(), "DEALLOCATE ALL"); err != nil {
				t.Error(err)
			}
			conn.Release()
		}
	}
}

func TestLifetimesOfEveryLength(t *testing.T) {
	b := open(t, database(t))
	for _, ttl := range []time.Duration{
		time.Minute + time.Microsecond, 90 * time.Second, time.Hour, 31 * 24 * time.Hour,
		100 * 365 * 24 * time.Hour, math.MaxInt64,
	} {
		if err := b.Set(t.Context(), "key", []byte("v"), ttl); err != nil {
			t.Fatalf("Set for %v: %v", ttl, err)
		}
		if left, err := b.TTL(t.Context(), "key"); err != nil || left > ttl ||
			left < ttl-30*time.Second {
			t.Errorf("set for %v, left %v, %v", ttl, left, err)
		}
	}
	for ttl, want := range map[time.Duration]int64{1: 1, 999: 1, 1000: 1, 1001: 2, time.Second: 1e6,
		math.MaxInt64: math.MaxInt64/1000 + 1} {
		if got := microseconds(ttl); got != want {
			t.Errorf("%d ns are %d µs, want %d", ttl, got, want)
		}
	}
}

func TestReadsDoNotWrite(t *testing.T) {
	b := open(t, database(t)+"&sweep=0")
	if err := b.Set(t.Context(), "key", []byte("v"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if _, err := b.Get(t.Context(), "key"); err != store.ErrNotFound {
		t.Errorf("Get: %v", err)
	}
	if n := rows(t, b); n != 1 {
		t.Errorf("%d rows after a read of what has expired, want 1: the sweep removes it", n)
	}
}

func rows(t *testing.T, b *Backend) (n int) {
	t.Helper()
	if err := b.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+b.sql.table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAGreatValue(t *testing.T) {
	b := open(t, database(t)+"&timeout=60")
	value := bytes.Repeat([]byte("0123456789\x00\xff\r\n\\x"), 100<<20/16)
	if err := b.Set(t.Context(), "key", value, time.Hour); err != nil {
		t.Fatal(err)
	}
	got, err := b.Get(t.Context(), "key")
	if err != nil || !bytes.Equal(got, value) {
		t.Errorf("%d bytes came back of %d, %v", len(got), len(value), err)
	}
}

// What means something in a pattern or in SQL means itself in a prefix.
func TestPrefixesAreNoPatterns(t *testing.T) {
	b := open(t, database(t))
	keys := []string{"a_b:1", "a_b:2", "a_b", "axb:1", "a-b:1", "A_B:1", "a_", "a", "b", "a_c:1",
		"a_b.", "a_bz", "a_b:~"[:4] + "z"}
	for _, key := range keys {
		if err := b.Set(t.Context(), key, []byte("v"), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	list := func(prefix string) (found []string) {
		for key, err := range b.List(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, key)
		}
		return found
	}
	for prefix, want := range map[string]string{
		"a_b:": "[a_b:1 a_b:2 a_b:z]", "a_b": "[a_b a_b. a_b:1 a_b:2 a_b:z a_bz]", "a%": "[]",
		"%": "[]", "a\\_b": "[]", "a_b:%": "[]",
		"[": "[]", "a' OR true --": "[]", "ä": "[]", "\xff": "[]", "a\x00": "[]", "A": "[A_B:1]",
		"c": "[]", "~": "[]",
	} {
		if got := fmt.Sprint(list(prefix)); got != want {
			t.Errorf("List(%q) = %s, want %s", prefix, got, want)
		}
	}
	if got := len(list("")); got != len(keys) {
		t.Errorf("List(\"\") yields %d keys, want %d", got, len(keys))
	}
	for _, prefix := range []string{"a%", "%", "a\\_b", "a' OR true --", "\xff"} {
		if n, err := b.Flush(t.Context(), prefix); n != 0 || err != nil {
			t.Errorf("Flush(%q): %d, %v", prefix, n, err)
		}
	}
	if n, err := b.Flush(t.Context(), "a_b:"); n != 3 || err != nil {
		t.Errorf("Flush(a_b:): %d, %v; want 3", n, err)
	}
	if got := len(list("")); got != len(keys)-3 {
		t.Errorf("%d keys are left, want %d", got, len(keys)-3)
	}
}

func TestFlushesAtOnce(t *testing.T) {
	b := open(t, database(t))
	const many = 5000
	if _, err := b.pool.Exec(t.Context(), "INSERT INTO freshet_cache SELECT 'a:' || i, '', now() "+
		"+ '1 hour' FROM generate_series(1, $1::int) i", many); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pool.Exec(t.Context(), "INSERT INTO freshet_cache SELECT 'a:old' || i, '', "+
		"now() FROM generate_series(1, 10) i"); err != nil {
		t.Fatal(err)
	}
	type result struct {
		n   int64
		err error
	}
	results := make(chan result, 4)
	for range cap(results) {
		go func() {
			n, err := b.Flush(t.Context(), "a:")
			results <- result{n, err}
		}()
	}
	total := int64(0)
	for range cap(results) {
		r := <-results
		if total += r.n; r.err != nil {
			t.Error(r.err)
		}
	}
	if n := rows(t, b); total != many || n != 0 {
		t.Errorf("%d removed, %d left; want %d, 0: what has expired is not counted", total, n, many)
	}
}

func TestSweep(t *testing.T) {
	url := database(t)
	open(t, url+"&sweep=0")
	b := made(t, url+"&sweep=0")
	fill := func() {
		t.Helper()
		for _, sql := range []string{
			"INSERT INTO freshet_cache SELECT 'old:' || i, '', now() - i * interval '1 second' " +
				"FROM generate_series(0, 2500) i",
			"INSERT INTO freshet_cache SELECT 'new:' || i, '', now() + '1 hour' FROM " +
				"generate_series(1, 10) i ON CONFLICT DO NOTHING",
		} {
			if _, err := b.pool.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill()
	// Who holds the lease sweeps; the others do nothing.
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock(hashtextextended('~sweep~', "+
		"'freshet_cache'::regclass::oid::bigint))"); err != nil {
		t.Fatal(err)
	}
	if n, err := b.sweepOnce(t.Context()); n != 0 || err != nil {
		t.Errorf("while another sweeps: %d rows, %v", n, err)
	}
	tx.Rollback(t.Context())
	if n, err := b.sweepOnce(t.Context()); n != 2501 || err != nil || rows(t, b) != 10 {
		t.Errorf("%d rows, %v; want 2501, and 10 left", n, err)
	}

	fill()
	sweeper := made(t, url+"&sweep=100ms")
	eventually(t, "what has expired is swept by itself", func() bool { return rows(t, b) == 10 })
	eventually(t, "Health tells of it", func() bool {
		h, err := sweeper.Health(t.Context())
		return err == nil && h.Details["swept"] == "2501" && h.Details["sweep_error"] == ""
	})
	admin(t, url, "ALTER TABLE freshet_cache RENAME TO away")
	eventually(t, "a sweep that fails is told of", func() bool {
		sweeper.swept.Lock()
		defer sweeper.swept.Unlock()
		return sweeper.swept.err != nil
	})
}

// A row that was set anew between the sweep's look and its deletion stays: it is locked and looked
// at again.
func TestSweepLeavesWhatIsLocked(t *testing.T) {
	b := open(t, database(t)+"&sweep=0")
	if _, err := b.pool.Exec(t.Context(), "INSERT INTO freshet_cache VALUES ('one', '', now()), "+
		"('two', '', now())"); err != nil {
		t.Fatal(err)
	}
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE freshet_cache SET expires = now() + '1 hour' WHERE "+
		"key = 'one'"); err != nil {
		t.Fatal(err)
	}
	if n, err := b.sweepOnce(t.Context()); n != 1 || err != nil {
		t.Errorf("%d rows, %v; want 1", n, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "one"); err != nil {
		t.Errorf("what was set anew: %v", err)
	}
}

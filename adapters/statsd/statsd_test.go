package statsd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/tracestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire is a connection that keeps what is written to it, or fails, or hangs.
type wire struct {
	net.Conn
	mu      sync.Mutex
	packets []string
	err     error
	hangs   chan struct{} // not nil: a Write waits for it
}

func (w *wire) Close() error                     { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func (w *wire) Write(p []byte) (int, error) {
	if w.hangs != nil {
		<-w.hangs
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.packets = append(w.packets, string(p))
	return len(p), nil
}

func (w *wire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// lines are the metrics that arrived, without those whose value is a time of this machine's.
func (w *wire) lines() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.packets {
		all = append(all, strings.Split(p, "\n")...)
	}
	return all
}

func (w *wire) options() Options {
	return Options{URL: "statsd://127.0.0.1", Log: slog.New(slog.DiscardHandler),
		dial: func(context.Context, string, string) (net.Conn, error) { return w, nil }}
}

func start(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// call traces a call that takes so long.
func call(c *Client, op tracestore.Op, took time.Duration) {
	_, end := c.Trace(context.Background(), op)
	time.Sleep(took)
	end(nil)
}

func TestCallsAreTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		c := start(t, w.options())
		for _, op := range []tracestore.Op{tracestore.Get, tracestore.Set, tracestore.Delete,
			tracestore.Exists, tracestore.TTL, tracestore.Expire, tracestore.Health} {
			call(c, op, 1500*time.Microsecond)
		}
		time.Sleep(flushAfter)
		synctest.Wait()
		want := "freshet.cache.get:1.5|ms\nfreshet.cache.set:1.5|ms\nfreshet.cache.delete:1.5|ms\n" +
			"freshet.cache.exists:1.5|ms\nfreshet.cache.ttl:1.5|ms\nfreshet.cache.expire:1.5|ms\n" +
			"freshet.cache.ping:1.5|ms"
		if !slices.Equal(w.packets, []string{want}) {
			t.Errorf("packets: %q, want one: %q", w.packets, want)
		}
		c.Close()
		if s := c.Stats(); s != (Stats{Sent: 7}) {
			t.Errorf("%+v", s)
		}
	})
}

func TestAPacketTravelsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		c := start(t, w.options())
		const many = 1000
		for range many {
			call(c, tracestore.Get, 0)
			synctest.Wait()
		}
		c.Close()
		for _, p := range w.packets {
			if len(p) > maxPacket {
				t.Errorf("a packet of %d bytes", len(p))
			}
		}
		if n := len(w.lines()); n != many || len(w.packets) > many*30/maxPacket+1 {
			t.Errorf("%d timers in %d packets", n, len(w.packets))
		}
	})
}

// While the server takes nothing, requests do not wait, and what is kept for it is bounded.
func TestNobodyWaitsForAServerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wire{hangs: make(chan struct{})}
		c := start(t, w.options())
		call(c, tracestore.Get, 0)
		time.Sleep(flushAfter)
		synctest.Wait() // the goroutine hangs in Write
		before := time.Now()
		for range 3 * maxWaiting {
			call(c, tracestore.Get, 0)
		}
		if took := time.Since(before); took > 0 {
			t.Errorf("calls waited for %v", took)
		}
		if s := c.Stats(); s.Dropped != 2*maxWaiting {
			t.Errorf("%+v, want %d dropped", s, 2*maxWaiting)
		}
		close(w.hangs)
		c.Close()
		if s := c.Stats(); s.Sent != maxWaiting+2 { // and statsd.dropped
			t.Errorf("%+v", s)
		}
	})
}

// A server that is gone, or has no address, is one line of the log, and one when it is back.
func TestAServerThatIsGoneIsOneLineOfTheLog(t *testing.T) {
	for _, s := range []struct {
		name string
		fail func(*wire, *error, error)
	}{
		{"it refuses", func(w *wire, _ *error, err error) { w.fail(err) }},
		{"it has no address", func(_ *wire, dial *error, err error) { *dial = err }},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w wire
				var log strings.Builder
				var dialed error
				dials := 0
				o := w.options()
				o.Log = slog.New(slog.NewTextHandler(&log, nil))
				o.dial = func(context.Context, string, string) (net.Conn, error) {
					dials++
					return &w, dialed
				}
				s.fail(&w, &dialed, fmt.Errorf("write: %w", syscall.ECONNREFUSED))
				c := start(t, o)
				for range 600 { // ten minutes
					call(c, tracestore.Get, time.Second)
				}
				synctest.Wait()
				if n := strings.Count(log.String(), "\n"); n != 1 ||
					!strings.Contains(log.String(), "WARN") {
					t.Errorf("%d lines:\n%s", n, log.String())
				}
				if dials > 61 {
					t.Errorf("looked up %d times in ten minutes", dials)
				}
				sent := c.Stats()
				if sent.Sent != 0 || sent.Dropped < 600 {
					t.Errorf("%+v", sent)
				}
				s.fail(&w, &dialed, nil)
				for range 120 {
					call(c, tracestore.Get, time.Second)
				}
				synctest.Wait()
				if n := strings.Count(log.String(), "\n"); n != 2 ||
					!strings.Contains(log.String(), "takes metrics again") {
					t.Errorf("%d lines:\n%s", n, log.String())
				}
				c.Close()
				if c.Stats().Sent < 100 {
					t.Errorf("%+v", c.Stats())
				}
			})
		})
	}
}

// A look-up that hangs ends with Close.
func TestCloseEndsALookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		o := w.options()
		o.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		c := start(t, o)
		call(c, tracestore.Get, 0)
		time.Sleep(2 * flushAfter)
		began := time.Now()
		c.Close()
		c.Close()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		call(c, tracestore.Get, 0) // waits for nobody
	})
}

// app is a Cache whose pages take a second to make.
func app(meter *metrics.Meter) (cache *middleware.Cache, ask func(path string), end func()) {
	m := memstore.New(1 << 20)
	cache = middleware.New(m, middleware.Options{Observe: meter.Observe})
	h := cache.With(policy.Policy{TTL: time.Minute, MaxBody: 1 << 10, Tags: nil})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			if r.URL.Path == "/personal" {
				w.Header().Set("Cache-Control", "no-store")
			}
			io.WriteString(w, "ten bytes.")
		}))
	return cache, func(path string) {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}, m.Close
}

func TestReports(t *testing.T) {
	for _, s := range []struct {
		tags        bool
		first, then []string // what there is among others
	}{
		{false, []string{
			"freshet.requests.hit:2|c", "freshet.requests.stored:1|c", "freshet.requests.unstored:1|c",
			"freshet.reasons.no-store:1|c", "freshet.cache_hits:2|c", "freshet.cache_misses:2|c",
			"freshet.response_bytes.hit:20|c", "freshet.saved_ms:2000|c",
			"freshet.request_ms.p99.stored:1000|g", "freshet.fill_ms.p50:1000|g",
			"freshet.served_age_ms.p50:1000|g",
			"freshet.fills:0|g", "freshet.journal.in_touch:1|g",
			"freshet.journal.behind:0|g", "freshet.journal.behind_ms:0|g", "freshet.journal.members:0|g",
			"freshet.journal.awaited:0|g", "freshet.store_entries.memory:1|g",
			"freshet.store_max_bytes.memory:1048576|g",
		}, []string{"freshet.requests.hit:1|c", "freshet.cache_hits:1|c"}},
		{true, []string{
			"freshet.requests:2|c|#result:hit", "freshet.requests:1|c|#result:unstored,reason:no-store",
			"freshet.cache_hits:2|c", "freshet.request_ms.p99:1000|g|#result:stored",
			"freshet.store_entries:1|g|#tier:memory",
		}, []string{"freshet.requests:1|c|#result:hit"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var w wire
			o := w.options()
			o.Tags = s.tags
			c := start(t, o)
			meter := metrics.New()
			cache, ask, end := app(meter)
			defer end()
			c.Report(meter, cache.Stats)
			for _, path := range []string{"/", "/", "/", "/personal"} {
				ask(path)
			}
			time.Sleep(defaultInterval)
			synctest.Wait()
			has(t, w.lines(), s.first)
			w.packets = nil
			ask("/")
			c.Close()
			lines := w.lines()
			has(t, lines, s.then)
			for _, line := range lines {
				if strings.Contains(line, "|c") && !strings.Contains(line, "hit") &&
					!strings.Contains(line, "_bytes") && !strings.Contains(line, "saved") {
					t.Errorf("%q is sent a second time", line)
				}
			}
		})
	}
}

func has(t *testing.T, lines, want []string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(lines, line) {
			t.Errorf("no %q among\n%s", line, strings.Join(lines, "\n"))
		}
	}
}

// Counters of a tier are what has come since the last report; what a tier does not know is not sent.
func TestTiersAreReported(t *testing.T) {
	var w wire
	o := w.options()
	c := start(t, o)
	defer c.Close()
	out := newSender(target{}, &o)
	redis := store.NewTierStats("redis")
	redis.Calls, redis.Failed, redis.Breaker = 7, 2, "half-open"
	redis.EncryptionFaults = store.EncryptionFaults{Unsealed: 3, Altered: 1}
	for _, want := range []string{
		".store_calls.redis:7|c\n.store_failed.redis:2|c\n" +
			".store_encryption_faults.redis.unsealed:3|c\n.store_encryption_faults.redis.altered:1|c\n" +
			".store_breaker.redis:1|g",
		".store_calls.redis:3|c\n.store_encryption_faults.redis.altered:4|c\n.store_breaker.redis:2|g",
	} {
		c.reportTiers(reporter{t.Context(), out, false}, []store.TierStats{redis})
		if got := string(out.packet); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		out.packet = out.packet[:0]
		redis.Calls, redis.Breaker = 10, "open"
		redis.EncryptionFaults.Altered = 5
	}
}

// What a policy or a driver is called becomes a name that statsd reads.
func TestNamesAreClean(t *testing.T) {
	var w wire
	o := w.options()
	c := start(t, o)
	r := reporter{context.Background(), newSender(target{}, &o), false}
	r.gauge("store", 1, tag{"tier", "my store:1|c\n" + strings.Repeat("x", 1000)})
	got := string(r.out.packet)
	if !strings.HasPrefix(got, ".store.my_store_1_c_xxx") || len(got) > 150 ||
		strings.ContainsAny(strings.TrimSuffix(got, ":1|g"), ":|\n ") {
		t.Errorf("%q", got)
	}
	c.Close()
}

// Any number of paths, hosts and resources does not make a report longer than the Meter's bound.
func TestAFloodOfLabels(t *testing.T) {
	var w wire
	o := w.options()
	c := start(t, o)
	meter := metrics.New()
	r := httptest.NewRequest("GET", "/", nil)
	for i := range 20 * metrics.MaxSeries {
		name := strconv.Itoa(i)
		r.Host, r.URL.Path = name, "/"+name
		meter.Observe(r, middleware.Event{Resource: name, Outcome: policy.Outcome{
			Detail: policy.Reason(name)}})
	}
	c.Report(meter, nil)
	c.Close()
	lines := w.lines()
	if len(lines) > 4*metrics.MaxSeries+50 || len(lines) < metrics.MaxSeries {
		t.Errorf("%d lines", len(lines))
	}
	if n := len(c.before.series); n > 2*metrics.MaxSeries+8 {
		t.Errorf("%d series remembered", n)
	}
}

func TestABackendIsTraced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w wire
		c := start(t, w.options())
		b := memstore.NewBackend(1 << 20)
		defer b.Close()
		traced := c.Backend(b)
		if _, err := traced.Get(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		m := memstore.New(1 << 20)
		defer m.Close()
		c.Store(m).Delete(t.Context(), "a")
		c.Close()
		has(t, w.lines(), []string{"freshet.cache.get:0|ms", "freshet.cache.delete:0|ms"})
	})
}

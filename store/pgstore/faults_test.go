package pgstore

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/storetest"
)

// through is the URL with a proxy in place of the server.
func through(t testing.TB, url string) (string, *testserver.FaultProxy) {
	t.Helper()
	addr := testserver.SharedPostgres(t).Addr
	p := testserver.Proxy(t, addr)
	return strings.Replace(url, addr, p.Addr, 1), p
}

func TestDead(t *testing.T) {
	url := database(t)
	open(t, url)
	// Closing waits for connections on which the server is silent.
	for name, spoil := range map[string]func(*testserver.FaultProxy){
		"refuses": (*testserver.FaultProxy).Refuse, "hangs": (*testserver.FaultProxy).Hang,
	} {
		t.Run(name, func(t *testing.T) {
			storetest.RunDead(t, func(t *testing.T) store.Backend {
				url, p := through(t, url)
				b := made(t, url)
				if _, err := b.Exists(t.Context(), "key"); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(p.Refuse) // before b is closed
				spoil(p)
				return b
			})
		})
	}
}

func TestServerKilledAndBack(t *testing.T) {
	server := testserver.Postgres(t)
	b := open(t, server.URL+"&sweep=0")
	set := func() error { return b.Set(t.Context(), "key", []byte("v"), time.Hour) }
	if err := set(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	wantKind(t, set(), store.KindTransient)
	_, err := b.Health(t.Context())
	wantKind(t, err, store.KindTransient)
	server.Start()
	eventually(t, "it works again", func() bool { return set() == nil })
	if got, err := b.Get(t.Context(), "key"); err != nil || string(got) != "v" {
		t.Errorf("Get: %q, %v", got, err)
	}
}

func TestWrongAtStart(t *testing.T) {
	url := database(t)
	admin(t, url, "CREATE ROLE app_"+suffix(url)+" LOGIN PASSWORD 'right'")
	t.Cleanup(func() { admin(t, url, "DROP ROLE app_"+suffix(url)) })
	user := func(u string) string { return strings.Replace(url, "freshet@", u+"@", 1) }
	for _, tt := range []struct {
		name, url string
		kind      store.ErrorKind
		says      string
	}{
		{"password", user("app_" + suffix(url) + ":secret"), store.KindAuthentication,
			"password authentication failed"},
		{"user", user("nobody:secret"), store.KindAuthentication, "authentication failed"},
		{"database", strings.Replace(url, suffix(url), "nowhere", 1), store.KindPermanent,
			"does not exist"},
		{"port", strings.Replace(url, testserver.SharedPostgres(t).Addr, "127.0.0.1:1", 1),
			store.KindTransient, "127.0.0.1:1"},
		{"host", strings.Replace(url, testserver.SharedPostgres(t).Addr, "nowhere.invalid", 1),
			store.KindTransient, "nowhere.invalid"},
		{"no tables", url, store.KindPermanent, "freshet migrate --store URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseURL(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			b, err := healthy(t, c)
			if err == nil {
				b.Close()
			}
			wantKind(t, err, tt.kind)
			if err == nil || !strings.Contains(err.Error(), tt.says) ||
				!strings.HasPrefix(err.Error(), "pgstore: health: ") {
				t.Errorf("error %v; want one that says %q", err, tt.says)
			}
		})
	}
	open(t, url)
	c, _ := ParseURL(url)
	b, err := healthy(t, c)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	_, err = b.Get(t.Context(), "key")
	wantKind(t, err, store.KindPermanent)
	if err := b.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

// suffix is the part of a database's URL that no other has.
func suffix(url string) string {
	_, after, _ := strings.Cut(url, "/test_")
	name, _, _ := strings.Cut(after, "?")
	return name
}

func TestReadOnly(t *testing.T) {
	url := database(t)
	if err := open(t, url).Set(t.Context(), "key", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	b := made(t, url+"&sweep=0&options=-c%20default_transaction_read_only%3Don")
	if got, err := b.Get(t.Context(), "key"); err != nil || string(got) != "v" {
		t.Errorf("Get: %q, %v; reads must not write", got, err)
	}
	if _, err := b.Exists(t.Context(), "key"); err != nil {
		t.Error(err)
	}
	if _, err := b.TTL(t.Context(), "key"); err != nil {
		t.Error(err)
	}
	wantKind(t, b.Set(t.Context(), "key", []byte("secret"), time.Hour), store.KindTransient)
	h, err := b.Health(t.Context())
	if err != nil || h.Details["writable"] != "false" {
		t.Errorf("Health: %+v, %v", h, err)
	}
}

func TestTheServersOwnTimeout(t *testing.T) {
	url := database(t)
	b := open(t, url+"&sweep=0&statement_timeout=100")
	blocked(t, b, url, "row")
	wantKind(t, b.Set(t.Context(), "row", []byte("secret"), time.Hour), store.KindTimeout)
}

func TestOurTimeout(t *testing.T) {
	url := database(t)
	b := open(t, url+"&sweep=0&timeout=200ms")
	blocked(t, b, url, "row")
	err := b.Set(context.Background(), "row", []byte("secret"), time.Hour)
	if wantKind(t, err, store.KindTimeout); err != nil && !strings.Contains(err.Error(), "200ms (timeout)") {
		t.Errorf("error %v; want one that names the option", err)
	}
}

func TestHang(t *testing.T) {
	url, p := through(t, database(t))
	b := open(t, url+"&sweep=0")
	t.Cleanup(p.Refuse)
	reason := errors.New("the reason")
	for range 3 {
		p.Hang()
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, reason)
		start := time.Now()
		_, err := b.Get(ctx, "key")
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("Get returned %v after its deadline of 100 ms", took)
		}
		cancel()
		wantKind(t, err, store.KindTimeout)
		if !errors.Is(err, reason) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v; want the context's error and its cause in it", err)
		}
		p.Pass()
		if _, err := b.Get(t.Context(), "key"); err != store.ErrNotFound {
			t.Errorf("when it answers again: %v", err)
		}
	}
}

// What a guard reads of an answer that was still coming is that the server is well: when a caller's
// time is up, and when that of the backend is.
func TestALongAnswerThatWasStillComing(t *testing.T) {
	url, p := through(t, database(t))
	b := open(t, url)
	if err := b.Set(t.Context(), "long", make([]byte, 1<<20), time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, own := range []bool{false, true} {
		testserver.WhileItComes(t, p, 128<<10, func(ctx context.Context) error {
			if end, _ := ctx.Deadline(); own {
				b.config.Timeout, ctx = time.Until(end), t.Context()
			}
			_, err := b.Get(ctx, "long")
			wantKind(t, err, store.KindTimeout)
			return err
		})
	}
}

// pgx says goodbye on a connection that has failed, with a deadline of its own. Without that
// deadline, a goroutine and a socket stay for as long as the server is silent.
func TestAConnectionThatEndsKeepsItsDeadline(t *testing.T) {
	url, p := through(t, database(t))
	open(t, url)
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan struct{})
	var conn *toldOfDeadlines
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if conn != nil {
			<-failed // pgx dials once more to cancel what was asked
			return c, err
		}
		conn = &toldOfDeadlines{Conn: c}
		return conn, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	t.Cleanup(p.Refuse) // before the pool is closed
	b, err := NewFrom(pool, Config{Timeout: time.Minute, Sweep: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(context.Background(), "key"); err != store.ErrNotFound {
		t.Fatal(err)
	}
	if !conn.last().IsZero() {
		t.Errorf("a connection that lies idle has the deadline %v", conn.last())
	}
	p.Hang()
	b.config.Timeout = 100 * time.Millisecond
	_, err = b.Get(context.Background(), "key")
	wantKind(t, err, store.KindTimeout)
	if conn.last().IsZero() {
		t.Error("a connection that has failed has lost its deadline")
	}
	close(failed)
}

// toldOfDeadlines remembers the last deadline that it was given.
type toldOfDeadlines struct {
	net.Conn
	deadline atomic.Pointer[time.Time]
}

func (c *toldOfDeadlines) SetDeadline(at time.Time) error {
	c.deadline.Store(&at)
	return c.Conn.SetDeadline(at)
}

func (c *toldOfDeadlines) last() time.Time { return *c.deadline.Load() }

func TestCutInTheMiddleOfAReply(t *testing.T) {
	url, p := through(t, database(t))
	b := open(t, url+"&sweep=0")
	value := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	if err := b.Set(t.Context(), "key", value, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 5, 100, 5000, 65_000} {
		p.CutAfter(n)
		got, err := b.Get(t.Context(), "key")
		if wantKind(t, err, store.KindTransient); got != nil {
			t.Errorf("cut after %d bytes: Get returned %d bytes", n, len(got))
		}
		p.Pass()
		if got, err := b.Get(t.Context(), "key"); err != nil || !bytes.Equal(got, value) {
			t.Errorf("afterwards: %d bytes, %v", len(got), err)
		}
	}
}

func TestWhatIsNotPostgreSQL(t *testing.T) {
	url, p := through(t, database(t))
	b := made(t, url+"&timeout=1&sweep=0")
	p.Alter(func(reply []byte) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") })
	_, err := b.Get(t.Context(), "key")
	wantKind(t, err, store.KindTransient, store.KindTimeout, store.KindUnknown)
}

func TestKindsOfStates(t *testing.T) {
	for state, want := range map[string]store.ErrorKind{
		"08006": store.KindTransient, "53100": store.KindTransient, "53300": store.KindTransient,
		"57P01": store.KindTransient, "57P03": store.KindTransient,
		"25006": store.KindTransient, "40001": store.KindTransient, "40P01": store.KindTransient,
		"58030": store.KindTransient,
		"28P01": store.KindAuthentication, "28000": store.KindAuthentication,
		"42501": store.KindAuthentication,
		"57014": store.KindTimeout, "55P03": store.KindTimeout,
		"22021": store.KindPermanent, "42P01": store.KindPermanent, "3D000": store.KindPermanent,
		"54000": store.KindPermanent,
		"XX000": store.KindUnknown, "": store.KindUnknown,
	} {
		if got := kindOfState(state); got != want {
			t.Errorf("%s: %v, want %v", state, got, want)
		}
	}
}

package statsd

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// peerVersion is the npm package statsd that the tests run; `make tools` installs it.
const peerVersion = "0.9.0"

// stats returns the path of statsd's program, in the folder for what the tests install.
func stats(t *testing.T) string {
	t.Helper()
	cache := cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(os.Getenv("HOME"), ".cache"))
	path := filepath.Join(cache, "freshet-tools", "statsd-"+peerVersion, "node_modules", "statsd",
		"stats.js")
	if _, err := os.Stat(path); err != nil {
		testserver.Missing(t, "the npm package statsd "+peerVersion)
	}
	return path
}

// peer is a running statsd, which flushes nothing: what it got stays to be read.
type peer struct{ metrics, console string }

// startPeer starts a statsd on an address, "127.0.0.1" or "::1". Its ports may be another's by the
// time it binds them; then it is started once more.
func startPeer(t *testing.T, address string) peer {
	t.Helper()
	node, program := testserver.Require(t, "node"), stats(t)
	var log strings.Builder
	for range 5 {
		log.Reset()
		p := peer{freeUDP(t, address), freeTCP(t)}
		if p.start(t, node, program, &log) {
			return p
		}
	}
	t.Fatalf("statsd does not start:\n%s", log.String())
	return peer{}
}

func freeUDP(t *testing.T, address string) string {
	t.Helper()
	c, err := net.ListenPacket("udp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

func freeTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p peer) start(t *testing.T, node, program string, log io.Writer) bool {
	t.Helper()
	host, port, _ := net.SplitHostPort(p.metrics)
	_, console, _ := net.SplitHostPort(p.console)
	config := filepath.Join(t.TempDir(), "config.js")
	text := fmt.Sprintf(`{port: %s, address: %q, address_ipv6: %t, mgmt_port: %s,
		mgmt_address: "127.0.0.1", flushInterval: 3600000, backends: []}`, port, host,
		strings.Contains(host, ":"), console)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(node, program, config)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); command.Wait() }()
	stop := func() { command.Process.Kill(); <-ended }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		if _, err := p.ask("health"); err == nil {
			t.Cleanup(stop)
			return true
		}
		select {
		case <-ended:
			return false
		case <-ctx.Done():
			stop()
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ask asks the management console.
func (p peer) ask(command string) (string, error) {
	c, err := net.Dial("tcp", p.console)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintln(c, command) // what comes in one packet is one command
	answer := ""
	for lines := bufio.NewScanner(c); lines.Scan() && lines.Text() != "END"; {
		if answer += lines.Text() + "\n"; command == "health" {
			break
		}
	}
	if answer == "" {
		err = errors.New("statsd's console says nothing")
	}
	return answer, err
}

// await waits until the console's answer has all of the words.
func (p peer) await(t *testing.T, command string, words ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		answer, err := p.ask(command)
		if err != nil {
			t.Fatal(err)
		}
		missing := ""
		for _, w := range words {
			if !strings.Contains(answer, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("statsd has no %s among its %s:\n%s", missing, command, answer)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A real statsd reads all that an app sends, by IPv4 and IPv6, with names alone and with tags.
func TestARealStatsd(t *testing.T) {
	for _, s := range []struct {
		name, address, scheme string
		tags                  bool
		timers                []string
		counters, gauges      []string
	}{
		{"names", "127.0.0.1", "statsd", false,
			[]string{"shop.cache.get", "shop.cache.set"},
			[]string{"'shop.requests.hit': 2", "'shop.requests.stored': 1",
				"'shop.reasons.no-store': 1", "'shop.cache_hits': 2", "'shop.cache_misses': 2",
				"'shop.resources.page.hit': 2", "'statsd.bad_lines_seen': 0"},
			[]string{"'shop.store_max_bytes.memory': 1048576", "'shop.journal.in_touch': 1"}},
		// statsd 0.9 makes tags part of the names that its console shows
		{"tags", "::1", "udp6", true,
			[]string{"shop.cache.get", "shop.cache.set"},
			[]string{"shop.requests;resource=page;result=hit': 2",
				"shop.requests;resource=page;result=unstored;reason=no-store': 1",
				"'statsd.bad_lines_seen': 0"},
			[]string{"shop.store_max_bytes;tier=memory': 1048576"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			p := startPeer(t, s.address)
			c := start(t, Options{URL: s.scheme + "://" + p.metrics, Prefix: "shop", Tags: s.tags,
				Log: slog.New(slog.DiscardHandler)})
			m := memstore.New(1 << 20)
			defer m.Close()
			meter := metrics.New()
			expires, err := policy.NewExpires([]string{"page"})
			if err != nil {
				t.Fatal(err)
			}
			cache := middleware.New(c.Store(m), middleware.Options{Observe: meter.Observe,
				Expires: expires})
			c.Report(meter, cache.Stats)
			h := cache.With(policy.Policy{TTL: time.Minute, Resource: "page", MaxBody: 1 << 10})(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/personal" {
						w.Header().Set("Cache-Control", "no-store")
					}
					io.WriteString(w, "ten bytes.")
				}))
			for _, path := range []string{"/", "/", "/", "/personal"} {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
			}
			inner := memstore.NewBackend(1 << 20)
			defer inner.Close()
			b := c.Backend(inner)
			b.Health(t.Context())
			b.Exists(t.Context(), "a")
			b.Delete(t.Context(), "a")
			b.(store.TTLer).TTL(t.Context(), "a")
			b.(store.Expirer).Expire(t.Context(), "a", time.Minute)
			c.Close()
			p.await(t, "timers", append(s.timers, "shop.cache.ping", "shop.cache.exists",
				"shop.cache.delete", "shop.cache.ttl", "shop.cache.expire")...)
			p.await(t, "counters", s.counters...)
			p.await(t, "gauges", s.gauges...)
			if got := c.Stats(); got.Dropped != 0 || got.Sent == 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

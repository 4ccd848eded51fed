package servertest

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
	"github.com/freshet-go/freshet/store/sealedstore"
	"github.com/freshet-go/freshet/store/storetest"
)

func sealedKey(t testing.TB, letter byte) sealedstore.Key {
	t.Helper()
	key, err := sealedstore.NewKey([]byte("0123456789abcdef0123456789abcde" + string(letter)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sealedOver opens the backend of a URL, sealed or, for a control, in the clear.
func sealedOver(t testing.TB, rawURL string, o open.Options) (store.Backend, string) {
	t.Helper()
	b, prefix, end, err := open.Backend(rawURL, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	if _, err := store.Migrate(t.Context(), b, false); err != nil {
		t.Fatal(err)
	}
	return b, prefix
}

// empties empties a server of everything but journals.
var empties = map[string]func(t *testing.T, s *testserver.Server){
	"redis":      func(t *testing.T, s *testserver.Server) { redisDo(t, s, "FLUSHDB") },
	"postgresql": func(t *testing.T, s *testserver.Server) { postgresDo(t, s, "TRUNCATE freshet_cache") },
	"memcached":  func(t *testing.T, s *testserver.Server) { s.Kill(); s.Start() },
}

// A sealed backend on each server keeps the whole contract.
func TestSealedBackendsOnServers(t *testing.T) {
	for _, k := range serverKinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel() // most of the time passes in waiting for what lives a second
			o, query := storetest.Options{AllAbilities: true, Keys: 300, Rounds: 30}, ""
			switch k.name {
			case "memcached":
				o.TTL, o.Margin = time.Second, 2*time.Second
				query = "?timeout=10s&dial_timeout=10s"
				o.MaxValue = 1_000_000
			case "postgresql":
				query = "&pool_size=40"
			}
			server := k.start(t)
			storetest.RunBackend(t, func(t *testing.T) store.Backend {
				b, _ := sealedOver(t, server.URL+query, open.Options{Prefix: "storetest:",
					Encrypt: sealedstore.Keys{Key: sealedKey(t, 'a')},
					OnFault: func(f sealedstore.Fault) { t.Errorf("a fault: %v", f) }})
				empties[k.name](t, server)
				return b
			}, o)
		})
	}
}

// A server that is dead fails the calls of a sealed backend as its driver says.
func TestSealedBackendsOfDeadServers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, rawURL := range []string{"redis://" + address, "memcached://" + address,
		"postgres://freshet@" + address + "/d?sslmode=disable"} {
		t.Run(rawURL[:5], func(t *testing.T) {
			storetest.RunDead(t, func(t *testing.T) store.Backend {
				b, _, end, err := open.Backend(rawURL, open.Options{Encrypt: sealedstore.Keys{
					Key: sealedKey(t, 'a'), Old: []sealedstore.Key{sealedKey(t, 'b')}}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { end() })
				return b
			})
		})
	}
}

// Two processes with one key share pages and invalidations on each server, through all that package
// open puts before a backend.
func TestTwoProcessesShareASealedServer(t *testing.T) {
	t.Setenv("TEST_MASTER_KEY", strings.Repeat("0123456789abcdef", 4))
	for _, k := range serverKinds {
		t.Run(k.name, func(t *testing.T) {
			server := k.start(t)
			migrated(t, server.URL)
			const options = "near=1MiB&encryption_key=env:TEST_MASTER_KEY"
			a := &app{t: t}
			a.serve(server.URL, options)
			a.asks("/page", "hit")
			b := &app{t: t}
			b.serve(server.URL, options)
			b.asks("/page", "hit")
			if n := b.runs.Load(); n > 0 {
				t.Errorf("the second process ran the handler %d times", n)
			}
			if b.log.String() != "" || a.log.String() != "" {
				t.Errorf("the logs:\n%s%s", a.log.String(), b.log.String())
			}
		})
	}
}

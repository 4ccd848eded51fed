package heartbeat_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/freshet-go/freshet/adapters/heartbeat"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
	_ "github.com/freshet-go/freshet/store/memcachestore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/open"
	_ "github.com/freshet-go/freshet/store/pgstore"
	_ "github.com/freshet-go/freshet/store/redisstore"
)

var servers = map[string]func(testing.TB, ...string) *testserver.Server{
	"redis": testserver.Redis, "memcached": testserver.Memcached, "postgres": testserver.Postgres,
}

// With a server that works the answer is true, and with a dead one it is false, each of 20 times:
// no probe takes a value that is not there for the one that it removed. When the server is back the
// answer is true again.
func TestRealServers(t *testing.T) {
	for name, begin := range servers {
		t.Run(name, func(t *testing.T) {
			server := begin(t)
			options := open.Options{Log: slog.New(slog.DiscardHandler), StartAnyway: true}
			pages, err := open.URL(t.Context(), server.URL, options)
			if err != nil {
				t.Fatal(err)
			}
			defer pages.Close()
			if _, err := store.Migrate(t.Context(), pages.Backend, false); err != nil {
				t.Fatal(err)
			}
			b := heartbeat.New(heartbeat.Options{
				Log: slog.New(slog.DiscardHandler), Timeout: 30 * time.Second,
				Probes: map[string]heartbeat.Probe{"cache": heartbeat.Store(pages)},
			})
			for range 20 {
				wants(t, send(b, "GET", heartbeat.Path), 200, `{"cache":true}`)
			}
			server.Kill()
			for range 20 {
				wants(t, send(b, "GET", heartbeat.Path), 503, `{"cache":false}`)
				wants(t, send(heartbeat.Alive(), "GET", heartbeat.AlivePath), 200, `{}`)
			}
			server.Start()
			for send(b, "GET", heartbeat.Path).Code != 200 {
				if t.Context().Err() != nil {
					t.Fatal("the server is back, and the answer still false")
				}
			}
		})
	}
}

// Stores without a server are tried as they are.
func TestStoreWithoutABackend(t *testing.T) {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	backend := memstore.NewBackend(1 << 20)
	defer backend.Close()
	memory, err := open.URL(t.Context(), "memory://", open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	for name, s := range map[string]store.Store{
		"memory": pages, "guarded memory": guardstore.New(pages, guardstore.Options{}),
		"memory://":           memory,
		"a backend in memory": store.New(backend, store.Options{}),
	} {
		if err := heartbeat.Store(s)(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := pages.Len(); n != 0 {
		t.Errorf("the probes left %d entries", n)
	}
	for _, broken := range []store.Store{forgetful{pages}, keeping{pages}} {
		if err := heartbeat.Store(broken)(t.Context()); err == nil {
			t.Errorf("%T passes for well", broken)
		}
	}
}

// forgetful takes entries and has none.
type forgetful struct{ *memstore.Store }

func (forgetful) Get(context.Context, string) (*store.Entry, error) {
	return nil, store.ErrNotFound
}

// keeping does not remove anything.
type keeping struct{ *memstore.Store }

func (keeping) Delete(context.Context, string) error { return nil }

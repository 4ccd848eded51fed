package servertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/open"
)

// pair is a server and another that follows it and can take its place.
type pair struct {
	name string
	// start starts both, in step. detach has the second get nothing more from the first; promote
	// makes it a server of its own.
	start func(t *testing.T) (first, second *testserver.Server, detach, promote func())
	// how often the process that comes last appends again what was lost; otherwise the journal
	// begins anew for it
	again int
}

var pairs = []pair{
	{"redis", func(t *testing.T) (first, second *testserver.Server, detach, promote func()) {
		first = testserver.Redis(t, "--repl-diskless-sync-delay", "0")
		second = testserver.RedisReplica(t, first)
		// of nobody, it is a master: it has what it had until then
		detach = func() {
			client := redis.NewClient(&redis.Options{Addr: first.Addr, PoolSize: 1})
			defer client.Close()
			client.Set(t.Context(), "flowed", "2", time.Minute)
			if n, err := client.Do(t.Context(), "WAIT", 1, 5000).Int(); n != 1 || err != nil {
				t.Fatalf("the replica is not in step: %d, %v", n, err)
			}
			redisDo(t, second, "REPLICAOF", "NO", "ONE")
		}
		return first, second, detach, func() {}
	}, 1},
	{"postgresql", func(t *testing.T) (first, second *testserver.Server, detach, promote func()) {
		first = testserver.SharedPostgres(t)
		migrated(t, first.URL)
		link := testserver.Proxy(t, first.Addr)
		second = testserver.PostgresStandby(t, first, link.Addr)
		detach = func() {
			flowed(t, first)
			link.Refuse()
		}
		return first, second, detach, second.Promote
	}, 0},
}

// flowed waits until a standby has all that its primary has written.
func flowed(t *testing.T, primary *testserver.Server) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), primary.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		var all bool
		err := conn.QueryRow(t.Context(), `SELECT coalesce(bool_and(replay_lsn >= pg_current_wal_lsn()), false)
			FROM pg_stat_replication`).Scan(&all)
		if err == nil && all {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the standby is not in step: %v", err)
		}
	}
}

// site is what the processes of one app show: a page with the number of its content.
type site struct {
	version atomic.Int64
	prefix  string
}

// node is one process of the app, which reaches the server through a proxy of its own.
type node struct {
	t     *testing.T
	proxy *testserver.FaultProxy
	cache *middleware.Cache
	h     http.Handler
	log   logged
}

func (s *site) node(t *testing.T, server *testserver.Server) *node {
	t.Helper()
	n := &node{t: t, proxy: testserver.Proxy(t, server.Addr)}
	url := strings.Replace(server.URL, server.Addr, n.proxy.Addr, 1)
	join := "?"
	if strings.Contains(url, "?") {
		join = "&"
	}
	log := slog.New(slog.NewTextHandler(&n.log, nil))
	opened, err := open.URL(t.Context(), url+join+"near=1MiB&guard_retry=100ms&prefix="+s.prefix,
		open.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	n.cache = middleware.New(opened, middleware.Options{Log: log, MaxLag: time.Hour})
	n.h = n.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprintf(w, "version %d", s.version.Load())
	}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := n.cache.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		opened.Close()
	})
	return n
}

const pageURL = "http://example.com/page"

// shows returns what a node answers with, and whether from the cache.
func (n *node) shows() (body string, hit bool) {
	n.t.Helper()
	w := httptest.NewRecorder()
	n.h.ServeHTTP(w, httptest.NewRequest("GET", pageURL, nil))
	text, _ := io.ReadAll(w.Result().Body)
	return string(text), strings.Contains(w.Header().Get("Cache-Status"), "hit")
}

// hits waits until a node answers from the cache with a body, as it must before long.
func (n *node) hits(want string) {
	n.t.Helper()
	n.eventually("a hit of "+want, func() bool {
		body, hit := n.shows()
		return hit && body == want
	})
}

func (n *node) eventually(what string, ask func() bool) {
	n.t.Helper()
	for end := time.Now().Add(10 * time.Second); !ask(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			body, hit := n.shows()
			n.t.Fatalf("not in ten seconds: %s; it shows %q, hit %t; the log:\n%s", what, body, hit,
				n.log.String())
		}
	}
}

// number is the newest number of the journal that a node knows of.
func (n *node) number() uint64 { return n.cache.Stats().Journal.Number }

func (n *node) invalidates() {
	n.t.Helper()
	if _, err := n.cache.InvalidateURL(n.t.Context(), pageURL); err != nil {
		n.t.Fatal(err)
	}
}

// A server takes over that lacks the newest invalidations, and holds the pages that they cover. A
// process that begins then serves nothing that was invalidated, and the others go on by themselves.
// One of them still has the old server, which takes its invalidation, while the others fill the new
// one with what was true before. When it comes over, it serves nothing that it has invalidated, and
// soon nobody does.
func TestAFailover(t *testing.T) {
	for _, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			first, second, detach, promote := p.start(t)
			s := &site{prefix: fmt.Sprintf("failover-%d:", prefixes.Add(1))}
			migrated(t, first.URL)
			a, b, c := s.node(t, first), s.node(t, first), s.node(t, first)
			at := func(version int64, nodes ...*node) {
				t.Helper()
				s.version.Store(version)
				for _, n := range nodes {
					n.invalidates()
				}
				for _, n := range []*node{a, b, c} {
					n.hits(fmt.Sprint("version ", version))
				}
			}
			at(0)
			detach()
			at(1, a) // the second server has version 0
			before := a.number()
			// a journal that begins anew does so at the clock
			began := func(n *node) bool { return n.number() > before+1000 }
			promote()

			fresh := s.node(t, second)
			if body, hit := fresh.shows(); body != "version 1" {
				t.Errorf("a process that begins serves %q, hit %t", body, hit)
			}
			for _, n := range []*node{b, c} {
				n.proxy.To(second.Addr)
				n.eventually("a page that the new server holds", func() bool {
					body, hit := n.shows()
					return hit && body == "version 1" && began(n)
				})
			}

			s.version.Store(2)
			a.invalidates()
			a.hits("version 2")
			// the new server gives out greater numbers than the old one did
			if _, err := b.cache.InvalidateTag(t.Context(), "unrelated"); err != nil {
				t.Fatal(err)
			}
			a.proxy.To(second.Addr)
			a.eventually("what happened on the new server", func() bool {
				if body, _ := a.shows(); body != "version 2" {
					t.Fatalf("the process that invalidated serves %q", body)
				}
				return began(a)
			})
			for _, n := range []*node{a, b, c, fresh} {
				n.hits("version 2")
			}
			if got := strings.Count(a.log.String(), "appended again"); got != p.again {
				t.Errorf("%d lines of the log say that marks are appended again, want %d:\n%s", got,
					p.again, a.log.String())
			}
			at(3, a, b, c)
			fresh.hits("version 3")
		})
	}
}

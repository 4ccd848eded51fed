package servertest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
)

// Sentinels, and the nodes of a Cluster, notice that the server with the journal is gone, and have
// its replica take over. Meanwhile each request gets the handler's answer in time, and what was
// invalidated is not served. Then hits come back by themselves, and invalidations reach all:
//
//	FRESHET_TEST_SOAK=1 go test -race ./store/open/servertest -run TestRedisTakesOver -v
func TestRedisTakesOver(t *testing.T) {
	if os.Getenv("FRESHET_TEST_SOAK") == "" {
		return // it lasts as long as they take to agree
	}
	for name, start := range map[string]func(t *testing.T, key string) (s, master *testserver.Server){
		"sentinels": func(t *testing.T, _ string) (s, master *testserver.Server) {
			sentinels, name, master := testserver.RedisSentinel(t)
			return &testserver.Server{Addr: sentinels[0], URL: "redis+sentinel://" +
				strings.Join(sentinels, ",") + "/0?master=" + name}, master
		},
		"cluster": func(t *testing.T, key string) (s, master *testserver.Server) {
			masters, _ := testserver.RedisClusterWithReplicas(t)
			var addrs []string
			for _, each := range masters {
				addrs = append(addrs, each.Addr)
			}
			client := redis.NewClient(&redis.Options{Addr: masters[0].Addr})
			defer client.Close()
			slot, err := client.ClusterKeySlot(t.Context(), key).Result()
			if err != nil {
				t.Fatal(err)
			}
			of := int(slot) * len(masters) / 16384
			other := masters[(of+1)%len(masters)]
			return &testserver.Server{Addr: other.Addr, URL: "redis+cluster://" +
				strings.Join(addrs, ",")}, masters[of]
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{prefix: fmt.Sprintf("takeover-%d:", prefixes.Add(1))}
			server, master := start(t, "{~journal~"+s.prefix+"}")
			a, b := s.node(t, server), s.node(t, server)
			agree := func(version int64) {
				t.Helper()
				want := fmt.Sprint("version ", version)
				s.version.Store(version)
				a.eventually("an invalidation that is taken", func() bool {
					_, err := a.cache.InvalidateURL(t.Context(), pageURL)
					if err != nil && !errors.Is(err, middleware.ErrUnsent) {
						t.Fatal(err)
					}
					if body, hit := a.shows(); body != want {
						t.Errorf("who has invalidated shows %q, hit %t; want %s", body, hit, want)
					}
					return err == nil
				})
				for _, n := range []*node{a, b} {
					n.hits(want)
				}
			}
			agree(1)
			master.Kill()
			killed, longest := time.Now(), time.Duration(0)
			s.version.Store(2)
			if _, err := a.cache.InvalidateURL(t.Context(), pageURL); err == nil {
				t.Error("an invalidation is taken by a server that is gone")
			}
			for time.Since(killed) < time.Second {
				began := time.Now()
				if body, hit := a.shows(); body != "version 2" {
					t.Errorf("who has invalidated shows %q, hit %t", body, hit)
				}
				b.shows()
				longest = max(longest, time.Since(began))
			}
			if longest > 2*budget {
				t.Errorf("two requests took %v; the budget of one is %v", longest, budget)
			}
			for _, n := range []*node{a, b} {
				n.hits("version 2")
			}
			t.Logf("hits again %v after the end of the master; two requests took %v at most",
				time.Since(killed), longest)
			agree(3)
			fresh := s.node(t, server)
			fresh.hits("version 3")
		})
	}
}

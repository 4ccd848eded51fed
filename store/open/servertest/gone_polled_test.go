package servertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

// TestPolledUntilGone prints how soon a process no longer uses what another one has invalidated, on
// stores that announce nothing by themselves: after a quiet while, and with an invalidation every
// 100 ms; and beside it what a value needs that one sets and the other reads:
//
//	FRESHET_TEST_SOAK=1 go test ./store/open/servertest -run TestPolledUntilGone -v
func TestPolledUntilGone(t *testing.T) {
	if os.Getenv("FRESHET_TEST_SOAK") == "" {
		return // it only prints what is
	}
	for name, url := range map[string]string{
		"memcached": testserver.Memcached(t).URL,
		"files":     "file://" + t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) { printPolled(t, url) })
	}
}

func printPolled(t *testing.T, url string) {
	quiet := slog.New(slog.DiscardHandler)
	version := 0
	type process struct {
		http.Handler
		cache *middleware.Cache
		store *open.Store
	}
	var all []process
	for range 2 {
		s, err := open.URL(t.Context(), url, open.Options{Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		c := middleware.New(s, middleware.Options{Log: quiet})
		t.Cleanup(func() {
			c.Shutdown(context.Background())
			s.Close()
		})
		all = append(all, process{c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			fmt.Fprint(w, version)
		})), c, s})
	}
	get := func(p process) string {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("GET", "http://a.example/page", nil))
		body, _ := io.ReadAll(w.Body)
		return string(body)
	}
	gone := func() time.Duration {
		get(all[0])
		get(all[1])
		version++
		if _, err := all[0].cache.InvalidateURL(t.Context(), "http://a.example/page"); err != nil {
			t.Fatal(err)
		}
		for began := time.Now(); ; time.Sleep(50 * time.Microsecond) {
			if get(all[1]) == fmt.Sprint(version) {
				return time.Since(began)
			}
		}
	}
	raw := func(i int) time.Duration {
		key, value := fmt.Sprint("raw-", i), []byte(strings.Repeat("v", 100))
		began := time.Now()
		if err := all[0].store.Backend.Set(t.Context(), key, value, time.Minute); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := all[1].store.Backend.Get(t.Context(), key); err != store.ErrNotFound {
				return time.Since(began)
			}
		}
	}
	for _, tt := range []struct {
		what  string
		times int
		pause func() time.Duration
		do    func(int) time.Duration
	}{
		{"after a quiet while", 40, func() time.Duration {
			return 1500*time.Millisecond + rand.N(500*time.Millisecond)
		}, func(int) time.Duration { return gone() }},
		{"with one every 100 ms", 200, func() time.Duration { return rand.N(200 * time.Millisecond) },
			func(int) time.Duration { return gone() }},
		{"a bare set and get", 200, func() time.Duration { return 0 }, raw},
	} {
		var took []time.Duration
		for i := range tt.times {
			time.Sleep(tt.pause())
			took = append(took, tt.do(i))
		}
		slices.Sort(took)
		t.Logf("%s: %v at the median, %v at the 90th percentile, %v at worst of %d", tt.what,
			took[len(took)/2], took[len(took)*9/10], took[len(took)-1], len(took))
	}
}

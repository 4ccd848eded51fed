package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// aheadStore stores what a process would whose clock is ahead.
type aheadStore struct {
	store.Store
	by time.Duration
}

func (s *aheadStore) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	other := *e
	other.Received, other.Requested = e.Received.Add(s.by), e.Requested.Add(s.by)
	return s.Store.Set(ctx, key, &other, ttl)
}

// What a process with a clock ahead has stored is made anew, once, and does not stay fresh for as
// long as the clock is ahead. Some seconds are nothing: no two clocks are the same.
func TestAClockThatIsAhead(t *testing.T) {
	for ahead, runs := range map[time.Duration]int64{time.Hour: 2, time.Minute: 2,
		5 * time.Second: 1} {
		t.Run(ahead.String(), func(t *testing.T) {
			var log bytes.Buffer
			memory := memstore.New(1 << 20)
			defer memory.Close()
			s := &aheadStore{Store: memory, by: ahead}
			c := middleware.New(s, middleware.Options{
				Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, fmt.Sprint(o.runs.Load()))
			}
			h := c.With(policy.Policy{TTL: 5 * time.Minute})(o)
			get(h, "/")
			s.by = 0
			for range 3 {
				want(t, "page", body(get(h, "/")), fmt.Sprint(runs))
			}
			want(t, "runs", o.runs.Load(), runs)
			want(t, "lines of the log", int64(strings.Count(log.String(), "clocks of processes")),
				runs-1)
		})
	}
}

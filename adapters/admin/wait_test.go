package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// A purge may wait until all processes have applied it, and says which have not.
func TestAPurgeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages, watch, journal := memstore.New(1<<20), admin.NewWatch(), memjournal.New()
		defer pages.Close()
		cache := freshet.New(pages, freshet.Options{Observe: watch.Observe, Journal: journal, ProcessName: "web-1"})
		defer cache.Shutdown(context.Background())
		door := admin.New(cache, watch, admin.Options{Authenticate: admin.Tokens(token)})
		ask := func(method, target, body string) (int, string) {
			r := httptest.NewRequest(method, target, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Freshet-Door", "1")
			w := httptest.NewRecorder()
			door.ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		purge := func(wait string) (int, string) { return ask("POST", "/purge?wait="+wait, `{"tags": ["a", "b"]}`) }
		if status, body := purge("1s"); status != http.StatusOK || !strings.Contains(body, `"everywhere":true`) {
			t.Errorf("nobody else is there: %d %s", status, body)
		}
		if status, body := purge(""); status != http.StatusOK || strings.Contains(body, "everywhere") {
			t.Errorf("it does not wait: %d %s", status, body)
		}
		for _, wait := range []string{"soon", "-1s", "0s", "61s"} {
			if status, body := purge(wait); status != http.StatusBadRequest || !strings.Contains(body, "such as 2s") {
				t.Errorf("%s: %d %s", wait, status, body)
			}
		}
		journal.Renew(t.Context(), store.Member{ID: "x", Name: "web-2"})
		began := time.Now()
		status, body := purge("1500ms")
		var got struct {
			Everywhere bool
			Why        string
			Behind     []struct {
				Name    string
				Applied uint64
				Age     float64
			}
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || got.Everywhere ||
			len(got.Behind) != 1 || got.Behind[0].Name != "web-2" || got.Behind[0].Age < 1 ||
			!strings.Contains(got.Why, "1 process has not applied") || time.Since(began) != 1500*time.Millisecond {
			t.Errorf("web-2 is behind: %d %s %v after %v", status, body, err, time.Since(began))
		}
		time.Sleep(6 * time.Second)
		_, body = ask("GET", "/stats", "")
		for _, want := range []string{`"name":"web-1","applied":`, `"name":"web-2","applied":0`,
			`"behind":0`, `"awaits":[]`} {
			if !strings.Contains(body, want) {
				t.Errorf("no %s in %s", want, body)
			}
		}
	})
}

// owed is what a target in front has not taken yet, as cdn.OwedError says it.
type owed struct{ since time.Time }

func (owed) Error() string { return "edge has not taken 2 names" }

func (o owed) Each(yield func(string, int, time.Time, error) bool) {
	if yield("edge", 2, o.since, errors.New("503")) {
		yield("far", 1, o.since, nil)
	}
}

// A purge that waits says which caches in front have not taken it.
func TestAPurgeWaitsForTheCachesInFront(t *testing.T) {
	began := time.Date(2026, 11, 30, 12, 0, 0, 0, time.FixedZone("CET", 3600))
	for story, c := range map[string]struct {
		owes error
		want string
	}{
		"all have": {nil, `"everywhere":true}`},
		"some have": {owed{began}, `"everywhere":true,"in_front":{"why":"edge has not taken 2 names",` +
			`"owed":[{"target":"edge","names":2,"since":"2026-11-30T11:00:00Z","error":"503"},` +
			`{"target":"far","names":1,"since":"2026-11-30T11:00:00Z"}]}}`},
		"of a hook that names none": {errors.New("no"), `"everywhere":true,"in_front":{"why":"no"}}`},
	} {
		t.Run(story, func(t *testing.T) {
			pages, watch := memstore.New(1<<20), admin.NewWatch()
			defer pages.Close()
			waits := 0
			cache := freshet.New(pages, freshet.Options{Observe: watch.Observe,
				OnInvalidate: func(context.Context, middleware.Invalidation) func(context.Context) error {
					return func(ctx context.Context) error {
						if _, bounded := ctx.Deadline(); !bounded {
							t.Error("the wait has no end")
						}
						waits++
						return c.owes
					}
				}})
			defer cache.Shutdown(context.Background())
			door := admin.New(cache, watch, admin.Options{Authenticate: admin.Tokens(token),
				Log: slog.New(slog.DiscardHandler)})
			for i, wait := range []string{"", "?wait=1s"} {
				r := httptest.NewRequest("POST", "/purge"+wait, strings.NewReader(`{"tags": ["a", "b"]}`))
				r.Header.Set("Authorization", "Bearer "+token)
				r.Header.Set("Freshet-Door", "1")
				w := httptest.NewRecorder()
				door.ServeHTTP(w, r)
				if body := w.Body.String(); w.Code != 200 || waits != i ||
					strings.HasSuffix(body, c.want+"\n") != (i == 1) {
					t.Errorf("%s: %d %s, %d waits", wait, w.Code, body, waits)
				}
			}
		})
	}
}

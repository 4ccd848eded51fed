package attacktest_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/middleware/attacktest"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bound = 32 << 20

// site is Freshet in front of the corpus's app, as an operator would mount it who gives silent
// pages a minute.
func site(t *testing.T, says string) attacktest.Site {
	keeper := memstore.New(bound)
	t.Cleanup(keeper.Close)
	lives := policy.Policy{
		TTL: time.Minute, MaxWait: time.Second, Heuristic: true, StaleWhileRevalidate: time.Minute,
		StaleIfError: time.Minute,
		Key:          policy.KeyOptions{DropParams: []string{"utm_*"}},
	}
	cache := newCache(t, keeper, &lives)
	origin := attacktest.NewOrigin()
	origin.Says = says
	app := cache.Handler(origin)
	cache.Root(app)
	return attacktest.Site{
		Handler: app, Origin: origin, Held: keeper.Bytes, Bound: bound, InProcess: true,
		Around: func(outside func(http.Handler) http.Handler, page http.Handler) http.Handler {
			one := newCache(t, keeper, &lives)
			return outside(one.Handler(one.With(policy.Policy{TTL: time.Minute,
				Key: policy.KeyOptions{Headers: []string{"X-Other"}}})(page)))
		},
		Two: func(first, second http.Handler) (http.Handler, http.Handler) {
			one := newCache(t, keeper, &lives)
			return one.Handler(first), one.Handler(second)
		},
	}
}

func newCache(t *testing.T, keeper *memstore.Store, lives *policy.Policy) *middleware.Cache {
	cache := middleware.New(keeper, middleware.Options{Policy: func(*http.Request) *policy.Policy {
		return lives
	}, MaxFillBytes: bound, MaxReadBytes: bound, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		if err := cache.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return cache
}

// No attack of the corpus succeeds, but for the limits that the docs name.
func TestAttacks(t *testing.T) {
	for name, says := range map[string]string{"by the operator's lifetime": "",
		"by the app's own": "max-age=60"} {
		t.Run(name, func(t *testing.T) {
			at := site(t, says)
			if says != "" { // memory fills the same whichever side names the lifetime
				for _, a := range attacktest.Corpus() {
					if a.Class != "memory" && !slices.Contains(at.Classes, a.Class) {
						at.Classes = append(at.Classes, a.Class)
					}
				}
			}
			report, err := attacktest.Run(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			var table strings.Builder
			report.Print(&table)
			t.Log("\n" + table.String())
			for _, won := range report.Succeeded() {
				t.Errorf("%s: %s: %s", won.Class, won.Name, won.Gained)
			}
			for _, result := range report {
				if result.Err != nil {
					t.Errorf("%s: %s: %v", result.Class, result.Name, result.Err)
				}
			}
		})
	}
}

// The corpus has its size and its classes, and no attack stands in it twice.
func TestCorpus(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range attacktest.Corpus() {
		name := a.Class + ": " + a.Name
		if seen[name] {
			t.Errorf("%s stands there twice", name)
		}
		seen[name] = true
	}
	if len(seen) < 300 {
		t.Errorf("%d attacks, want at least 300", len(seen))
	}
}

// Each documented limit is a sentence of the docs.
func TestLimitsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/caching.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := strings.Join(strings.Fields(string(page)), " ")
	for _, a := range attacktest.Corpus() {
		if !strings.Contains(strings.ReplaceAll(docs, "`", ""), a.Limit) {
			t.Errorf("%s: %s: docs/caching.md lacks the limit %q", a.Class, a.Name, a.Limit)
		}
	}
}

// leaky is a cache as they are written in an afternoon: it keys on the path, and keeps everything.
type leaky struct {
	next http.Handler
	kept sync.Map // of *httptest.ResponseRecorder, by path
}

func (c *leaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	made := httptest.NewRecorder()
	if kept, ok := c.kept.Load(r.URL.Path); ok {
		made = kept.(*httptest.ResponseRecorder)
	} else {
		c.next.ServeHTTP(made, r)
		c.kept.Store(r.URL.Path, made)
	}
	for name, values := range made.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(made.Code)
	io.WriteString(w, made.Body.String())
}

// The attacks bite: most of those on what is stored succeed against a cache that thinks of none of
// them.
func TestAttacksOnALeakyCache(t *testing.T) {
	least := map[string]int{
		"poisoning": 50, "host forms": 10, "target forms": 5, "cloaking": 20, "deception": 10,
		"denial": 20, "identity": 50, "cookies": 30,
	}
	origin := attacktest.NewOrigin()
	report, err := attacktest.Run(t.Context(), attacktest.Site{
		Handler: &leaky{next: origin}, Origin: origin, Classes: slices.Collect(maps.Keys(least)),
	})
	if err != nil {
		t.Fatal(err)
	}
	won := map[string]int{}
	for _, result := range report {
		if result.Succeeded() {
			won[result.Class]++
		}
	}
	for class, n := range least {
		if won[class] < n {
			t.Errorf("%s: %d attacks succeed against a leaky cache, want at least %d", class,
				won[class], n)
		}
	}
	t.Log(won)
}

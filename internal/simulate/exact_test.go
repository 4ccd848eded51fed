package simulate

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/internal/accesslog"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings/routes"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is an app behind the real cache, in the virtual time of synctest, that writes an access log.
type app struct {
	settings Settings
	takes    func(path string) time.Duration
	answer   func(w http.ResponseWriter, r *http.Request)

	mu       sync.Mutex
	log      strings.Builder
	real     Counts
	requests int
}

// visit is a request of a client.
type visit struct {
	after  time.Duration // since the visit before
	method string
	target string
	header http.Header
}

// run serves the visits, each in a goroutine of its own, and returns what the real cache made of
// them and the log.
func (a *app) run(t *testing.T, visits []visit) (real Counts, log string) {
	t.Helper()
	a.log.Reset()
	synctest.Test(t, func(t *testing.T) {
		entries := memstore.New(a.settings.memory())
		defer entries.Close()
		policies, byRule := a.settings.policies(), (*routes.Set)(nil)
		if a.settings.Rules != nil {
			byRule = a.settings.Rules(a.settings.Policy)
		}
		cache := middleware.New(entries, middleware.Options{
			Log: slog.New(slog.DiscardHandler),
			Policy: func(r *http.Request) *policy.Policy {
				if byRule != nil {
					return byRule.Policy(r)
				}
				return policies[a.settings.rule(r.URL.Path)]
			},
			Observe: func(_ *http.Request, e middleware.Event) {
				a.mu.Lock()
				defer a.mu.Unlock()
				a.count(&e)
			},
		})
		root := cache.Root(cache.Handler(http.HandlerFunc(a.handle)))
		var clients sync.WaitGroup
		for _, v := range visits {
			time.Sleep(v.after)
			if a.takes(v.target) == 0 {
				a.visit(root, v)
				continue
			}
			synctest.Wait()
			clients.Go(func() { a.visit(root, v) })
			synctest.Wait()
		}
		clients.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := cache.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return a.real, a.log.String()
}

func (a *app) count(e *middleware.Event) {
	c := &a.real
	if e.Hit || e.Collapsed {
		c.Hits++
	}
	if e.Hit && e.Stale {
		c.Stale++
	}
	if e.Collapsed {
		c.Collapsed++
	}
}

func (a *app) handle(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.requests++ // runs of the handler
	a.mu.Unlock()
	time.Sleep(a.takes(r.URL.Path))
	a.answer(w, r)
}

// visit asks, and logs what the app without a cache would have logged: as long as the handler
// takes.
func (a *app) visit(root http.Handler, v visit) {
	r := httptest.NewRequest(v.method, v.target, nil)
	for name, values := range v.header {
		r.Header[name] = values
	}
	began := time.Now()
	bare := httptest.NewRecorder()
	a.answer(bare, r)
	a.mu.Lock()
	a.real.Requests++
	header := bare.Result().Header
	fmt.Fprintf(&a.log,
		`{"time":%q,"msg":"request","method":%q,"uri":%q,"host":"example.com","status":%d,`+
			`"bytes":%d,"took":%q,"user_agent":%q,"content_type":%q,"remote_user":%q,`+
			`"http_accept_language":%q,"http_cookie":%q,"sent_http_cache_control":%q,`+
			`"sent_http_vary":%q,"sent_http_etag":%q}`+"\n",
		began.Add(a.takes(r.URL.Path)).Format(time.RFC3339Nano), v.method, v.target, bare.Code,
		bare.Body.Len(), a.takes(r.URL.Path).String(), r.UserAgent(),
		header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header.Get("Accept-Language"),
		r.Header.Get("Cookie"),
		header.Get("Cache-Control"), header.Get("Vary"), strings.ReplaceAll(header.Get("Etag"), `"`,
			""))
	a.mu.Unlock()
	root.ServeHTTP(httptest.NewRecorder(), r)
}

// zipf makes visits of so many pages, popular ones more often.
func zipf(
	n, pages int, between time.Duration, target func(r *rand.Rand, page uint64) visit,
) []visit {
	r := rand.New(rand.NewPCG(1, 2))
	popular := rand.NewZipf(r, 1.1, 5, uint64(pages-1))
	visits := make([]visit, n)
	for i := range visits {
		visits[i] = target(r, popular.Uint64())
		visits[i].after = time.Duration(r.ExpFloat64() * float64(between))
	}
	return visits
}

func page(r *rand.Rand, n uint64) visit {
	return visit{method: http.MethodGet, target: fmt.Sprintf("/page/%d", n)}
}

// sized answers with a page whose size its path tells.
func sized(most int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		h := uint32(2166136261)
		for _, c := range []byte(r.URL.Path) {
			h = (h ^ uint32(c)) * 16777619
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(make([]byte, 100+int(h)%most))
	}
}

// Replaying what an app has served through the real cache predicts what the real cache did, within
// a point: hits, stale ones, those that were collapsed, and runs of the handler.
func TestReplayPredictsTheRealCache(t *testing.T) {
	instant := func(string) time.Duration { return 0 }
	slow := func(string) time.Duration { return 300 * time.Millisecond }
	for _, tt := range []struct {
		story  string
		app    *app
		visits []visit
	}{
		{
			story: "a TTL, and room for all",
			app: &app{settings: Settings{Policy: policy.Policy{TTL: time.Minute}},
				takes: instant, answer: sized(20_000)},
			visits: zipf(2500, 500, 200*time.Millisecond, page),
		},
		{
			story: "too little memory",
			app: &app{settings: Settings{Memory: 4 << 20, Policy: policy.Policy{TTL: time.Hour}},
				takes: instant, answer: sized(10_000)},
			visits: zipf(5_000, 2000, 200*time.Millisecond, page),
		},
		{
			story: "pages that are too large to be kept",
			app: &app{settings: Settings{Memory: 2 << 20, Policy: policy.Policy{TTL: time.Hour}},
				takes: instant, answer: func(w http.ResponseWriter, r *http.Request) {
					if strings.HasSuffix(r.URL.Path, "13") {
						w.Write(make([]byte, 600<<10))
						return
					}
					sized(5000)(w, r)
				}},
			visits: zipf(5_000, 2000, 200*time.Millisecond, page),
		},
		{
			story: "small pages, so that what keeping them costs counts",
			app: &app{settings: Settings{Memory: 1 << 20, Policy: policy.Policy{TTL: time.Hour}},
				takes: instant, answer: sized(200)},
			visits: zipf(5_000, 2000, 200*time.Millisecond, page),
		},
		{
			story: "Vary, by a field that the log has",
			app: &app{settings: Settings{Policy: policy.Policy{TTL: time.Minute}}, takes: slow,
				answer: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Vary", "Accept-Language")
					sized(5000)(w, r)
				}},
			visits: zipf(2500, 200, 100*time.Millisecond, func(r *rand.Rand, n uint64) visit {
				v := page(r, n)
				v.header = http.Header{"Accept-Language": {[]string{"de", "en", "fr",
					"en-GB"}[r.IntN(4)]}}
				return v
			}),
		},
		{
			story: "Vary, with too little memory",
			app: &app{settings: Settings{Memory: 2 << 20, Policy: policy.Policy{TTL: time.Minute}},
				takes: instant, answer: func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Vary", "User-Agent")
					sized(5000)(w, r)
				}},
			visits: zipf(4_000, 1000, 50*time.Millisecond, func(r *rand.Rand, n uint64) visit {
				v := page(r, n)
				v.header = http.Header{"User-Agent": {[]string{"a", "b", "c"}[r.IntN(3)]}}
				return v
			}),
		},
		{
			story: "a crowd before a slow handler",
			app: &app{settings: Settings{Policy: policy.Policy{TTL: 2 * time.Second}},
				takes: slow, answer: sized(5000)},
			visits: zipf(2500, 50, 20*time.Millisecond, page),
		},
		{
			story: "stale while it is renewed",
			app: &app{
				settings: Settings{Policy: policy.Policy{TTL: 2 * time.Second,
					StaleWhileRevalidate: 3 * time.Second}},
				takes: slow, answer: sized(5000),
			},
			visits: zipf(2500, 100, 50*time.Millisecond, page),
		},
		{
			story: "parameters that do not count, and some paths that are not cached",
			app: &app{
				settings: Settings{
					Policy: policy.Policy{TTL: time.Minute,
						Key: policy.KeyOptions{DropParams: []string{"utm_*"}}},
					TTLs: []TTL{{"/page/1*", 0}, {"/page/2*", 3 * time.Second}},
				},
				takes: instant, answer: sized(5000),
			},
			visits: zipf(2500, 300, 200*time.Millisecond, func(r *rand.Rand, n uint64) visit {
				v := page(r, n)
				v.target += fmt.Sprintf("?utm_source=%d", r.IntN(1000))
				return v
			}),
		},
		{
			story: "rules by path, type and cookie",
			app: &app{
				settings: Settings{
					Policy: policy.Policy{TTL: time.Second},
					Rules: rulesOf(t, "/page/1* = pass", "/page/2* = 3s, stale 2s",
						"/page/3* type text/html = 9s", "/page/4* = drop-query utm_*",
						"/page/5* = off", "/page/6* = 1h, ignore-cookies a",
						"/page/7* = 1h, max-body 4000", "* cookie a = pass"),
				},
				takes: instant, answer: sized(5000),
			},
			visits: zipf(2500, 300, 200*time.Millisecond, func(r *rand.Rand, n uint64) visit {
				v := page(r, n)
				v.target += fmt.Sprintf("?utm_source=%d", r.IntN(3))
				if r.IntN(3) == 0 {
					v.header = http.Header{"Cookie": {"a=1"}}
				}
				return v
			}),
		},
		{
			story: "changes, and lifetimes that the handler states",
			app: &app{settings: Settings{}, takes: slow, answer: func(w http.ResponseWriter,
				r *http.Request) {
				switch {
				case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "3"):
					w.WriteHeader(http.StatusForbidden)
				case r.Method == http.MethodPost:
					w.WriteHeader(http.StatusNoContent)
				case strings.HasSuffix(r.URL.Path, "7"):
					w.Header().Set("Cache-Control", "no-store")
				case strings.HasSuffix(r.URL.Path, "8"):
					w.WriteHeader(http.StatusNotFound)
				default:
					w.Header().Set("Cache-Control", "max-age=20")
				}
				if r.Method != http.MethodPost {
					sized(5000)(w, r)
				}
			}},
			visits: zipf(2500, 100, 100*time.Millisecond, func(r *rand.Rand, n uint64) visit {
				v := page(r, n)
				switch r.IntN(20) {
				case 0:
					v.method = http.MethodPost
				case 1:
					v.method = http.MethodHead
				case 2:
					v.header = http.Header{"Authorization": {"Basic eA=="}}
				}
				return v
			}),
		},
	} {
		t.Run(tt.story, func(t *testing.T) {
			var simulated Counts
			var wrong []string
			// evictions draw lots: what is off for no other reason is not off in the mean
			for range 3 {
				real, log := tt.app.run(t, tt.visits)
				got := average(replay(t, log, tt.app.settings, tt.app.settings, tt.app.settings,
					tt.app.settings))
				simulated.Add(&got)
				if wrong = tt.app.compare(&real, &simulated); wrong == nil {
					return
				}
			}
			t.Errorf("%s", strings.Join(wrong, "\n"))
		})
	}
}

// compare says what of all runs so far differs by more than a point of the requests.
func (a *app) compare(real, got *Counts) (wrong []string) {
	for _, pair := range []struct {
		what            string
		real, simulated int64
	}{
		{"requests", real.Requests, got.Requests}, {"hits", real.Hits, got.Hits},
		{"stale", real.Stale, got.Stale},
		{"collapsed", real.Collapsed, got.Collapsed}, {"runs", int64(a.requests),
			got.OriginRequests()},
	} {
		if off := math.Abs(float64(pair.real-pair.simulated)) / float64(real.Requests) * 100; off > 1 {
			wrong = append(wrong, fmt.Sprintf("%s: %d in the real cache, %d in the simulation: "+
				"%.1f points",
				pair.what, pair.real, pair.simulated, off))
		}
	}
	return wrong
}

// average returns the mean of simulations that are the same but for the lot that evictions draw.
func average(r *Result) (mean Counts) {
	n := int64(len(r.Outcomes))
	for i := range r.Outcomes {
		mean.Add(&r.Outcomes[i].Total)
	}
	for _, sum := range []*int64{&mean.Requests, &mean.Hits, &mean.Stale, &mean.Collapsed,
		&mean.Misses, &mean.Passed, &mean.Refreshes} {
		*sum /= n
	}
	return mean
}

func replay(t testing.TB, log string, s ...Settings) *Result {
	t.Helper()
	var all []Alternative
	for _, one := range s {
		all = append(all, Alternative{"", one})
	}
	w := accesslog.NewWindow(accesslog.NewReader("log", strings.NewReader(log)).Next)
	result, err := Replay(t.Context(), w.Next, all, false)
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return result
}

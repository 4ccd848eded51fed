package prometheus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	freshetprometheus "github.com/freshet-go/freshet/adapters/prometheus"
	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/tieredstore"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func Example() {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	meter := metrics.New()
	cache := freshet.New(pages, freshet.Options{Observe: meter.Observe})
	registry := prometheus.NewRegistry()
	registry.MustRegister(freshetprometheus.NewCollector(meter, cache))

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	minute := cache.With(freshet.Policy{TTL: time.Minute, MaxBody: 1 << 10})
	mux.Handle("/", minute(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "a page")
	})))
	app := cache.Root(mux)
	for range 3 {
		app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "freshet_requests_total") {
			fmt.Print(line)
		}
	}
	// Output:
	// freshet_requests_total{reason="",resource="",result="hit"} 2
	// freshet_requests_total{reason="",resource="",result="stored"} 1
}

// app is a small app with a store in two tiers behind a breaker, whose metrics are at /metrics.
func app(t *testing.T) *httptest.Server {
	t.Helper()
	near, far := memstore.New(8<<20), memstore.New(8<<20)
	guarded := guardstore.New(server{far}, guardstore.Options{Name: "redis"})
	var pages store.Store = tieredstore.New(near, guarded, tieredstore.Options{})
	meter := metrics.New()
	cache := freshet.New(pages, freshet.Options{Observe: meter.Observe})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(freshetprometheus.NewCollector(meter, cache))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	page := cache.With(freshet.Policy{TTL: time.Minute, MaxBody: 1 << 10})
	mux.Handle("/page/", page(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/personal") {
			w.Header().Set("Cache-Control", "no-store")
		}
		fmt.Fprintln(w, "a page")
	})))
	s := httptest.NewServer(cache.Root(mux))
	t.Cleanup(func() {
		s.Close()
		cache.Shutdown(context.Background())
		near.Close()
		far.Close()
	})
	return s
}

// server is a store that could be elsewhere.
type server struct{ store.Store }

func (server) Local() bool { return false }

func fetch(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %s, %v\n%s", url, res.Status, err, body)
	}
	return string(body)
}

// use asks the app for a few pages: hits, misses, and one that is not stored.
func use(t *testing.T, base string) {
	for _, page := range []string{"1", "1", "2", "2", "2", "personal"} {
		fetch(t, base+"/page/"+page)
	}
}

// The pedantic registry fails on metrics that are doubled, undescribed or inconsistent; promtool
// looks at names and help texts.
func TestMetricsAreWellFormed(t *testing.T) {
	s := app(t)
	use(t, s.URL)
	text := fetch(t, s.URL+"/metrics")
	for _, want := range []string{
		`freshet_requests_total{reason="",resource="",result="hit"} 3`,
		`freshet_requests_total{reason="no-store",resource="",result="unstored"} 1`,
		`freshet_request_duration_seconds_count{resource="",result="hit"} 3`,
		`freshet_fill_duration_seconds_count{resource=""} 3`,
		`freshet_store_entries{tier="memory"} 2`,
		`freshet_store_calls_total{result="failed",tier="redis"} 0`,
		`freshet_store_breaker_state{state="closed",tier="redis"} 1`,
		`freshet_journal_in_touch 1`, `freshet_journal_behind 0`, `freshet_journal_behind_seconds 0`,
		`freshet_journal_members 0`, `freshet_journal_awaited 0`,
		`freshet_fills 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// Any number of paths, hosts and resources makes no more series than the Meter may have.
func TestAFloodOfLabels(t *testing.T) {
	meter := metrics.New()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(freshetprometheus.NewCollector(meter, nil))
	r := httptest.NewRequest("GET", "/", nil)
	for i := range 20 * metrics.MaxSeries {
		name := strconv.Itoa(i)
		r.Host, r.URL.Path = name, "/"+name
		meter.Observe(r, freshet.Event{Resource: name, Outcome: policy.Outcome{
			Detail: policy.Reason(name)}})
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	for _, f := range families {
		series += len(f.Metric)
	}
	if series > 10*metrics.MaxSeries || series < metrics.MaxSeries {
		t.Errorf("%d series", series)
	}
}

// encrypted is a store in which values have been altered.
type encrypted struct{ store.Store }

func (encrypted) EncryptionFaults() store.EncryptionFaults {
	return store.EncryptionFaults{UnknownKey: 2, Altered: 3}
}

// What did not open is counted by its cause, and a tier that is not encrypted has no such counter.
func TestEncryptionFaults(t *testing.T) {
	pages := memstore.New(8 << 20)
	defer pages.Close()
	for of, want := range map[store.Store]string{
		encrypted{pages}: `freshet_store_encryption_faults_total{cause="altered",tier="redis"} 3
freshet_store_encryption_faults_total{cause="other-version",tier="redis"} 0
freshet_store_encryption_faults_total{cause="unknown-key",tier="redis"} 2
freshet_store_encryption_faults_total{cause="unsealed",tier="redis"} 0`,
		pages: "",
	} {
		cache := freshet.New(guardstore.New(of, guardstore.Options{Name: "redis"}), freshet.Options{})
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(freshetprometheus.NewCollector(metrics.New(), cache))
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		var got []string
		for line := range strings.SplitSeq(w.Body.String(), "\n") {
			if strings.HasPrefix(line, "freshet_store_encryption_faults_total") {
				got = append(got, line)
			}
		}
		if all := strings.Join(got, "\n"); all != want {
			t.Errorf("got\n%s\nwant\n%s", all, want)
		}
		cache.Shutdown(context.Background())
	}
}

func TestAlertRulesAreWellFormed(t *testing.T) {
	if out, err := exec.Command("promtool", "check", "rules", "alerts.yml").CombinedOutput(); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
	if out, err := exec.Command("promtool", "test", "rules",
		"testdata/alerts_test.yml").CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// panels returns the expressions of the dashboard by the titles of their panels.
func panels(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all[p.Title] = append(all[p.Title], strings.ReplaceAll(target.Expr, "$__rate_interval",
				"1m"))
		}
	}
	return all
}

// A real Prometheus scrapes the app, and answers what every panel of the dashboard asks.
func TestARealPrometheusAnswersEveryPanel(t *testing.T) {
	s := app(t)
	p := startPrometheus(t, s.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	asked := panels(t)
	if len(asked) < 10 {
		t.Fatalf("the dashboard has panels with expressions: %v", asked)
	}
	for title, exprs := range asked {
		for _, expr := range exprs {
			// a rate needs two scrapes between which something happened
			for !answers(t, p, title, expr) {
				use(t, s.URL)
				select {
				case <-ctx.Done():
					t.Fatalf("%s: Prometheus has no answer to %s", title, expr)
				case <-time.After(200 * time.Millisecond):
				}
			}
		}
	}
}

// answers reports whether Prometheus has a value for an expression. An error in it ends the test.
func answers(t *testing.T, base, title, expr string) bool {
	t.Helper()
	res, err := http.Get(base + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "success" {
		t.Fatalf("%s: %s: %s", title, expr, answer.Error)
	}
	// Of a breaker and a journal without faults there may be nothing to tell but zeros; a rate of
	// what never happens is there as well, since its counter is.
	return len(answer.Data.Result) > 0
}

// startPrometheus returns the URL of a Prometheus that scrapes an app each second.
func startPrometheus(t *testing.T, target string) string {
	t.Helper()
	dir := t.TempDir()
	at, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n"+
		"  - job_name: app\n    static_configs: [{targets: [%q]}]\n", rules, at.Host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	var log bytes.Buffer
	server := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+
		filepath.Join(dir, "data"),
		"--web.listen-address="+address)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatalf("the tests need Debian's prometheus: %v", err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
		if t.Failed() {
			t.Logf("Prometheus said:\n%s", log.String())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		res, err := http.Get("http://" + address + "/-/ready")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == 200 {
				return "http://" + address
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("Prometheus is not ready: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

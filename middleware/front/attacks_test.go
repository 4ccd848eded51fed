package front

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/middleware/attacktest"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// No attack of the corpus succeeds where hits are answered in front from the second request on, but
// for the limits that the docs name.
func TestAttacks(t *testing.T) {
	const bound = 32 << 20
	keeper := memstore.New(bound)
	defer keeper.Close()
	lives := policy.Policy{
		TTL: time.Minute, MaxWait: time.Second, Heuristic: true, StaleWhileRevalidate: time.Minute,
		StaleIfError: time.Minute, Key: policy.KeyOptions{DropParams: []string{"utm_*"}},
	}
	cache := middleware.New(keeper, middleware.Options{
		Policy:       func(*http.Request) *policy.Policy { return &lives },
		MaxFillBytes: bound, MaxReadBytes: bound, Log: slog.New(slog.DiscardHandler),
	})
	defer cache.Shutdown(background())
	origin := attacktest.NewOrigin()
	srv := &http.Server{Handler: cache.Root(cache.Handler(origin)),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	s, err := new(Front).prepare(srv, cache)
	if err != nil {
		t.Fatal(err)
	}
	s.hits.LearnAtOnce()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(s.listen(l, nil))
	defer srv.Close()
	site := attacktest.Site{URL: "http://" + l.Addr().String(), Origin: origin, Held: keeper.Bytes, Bound: bound,
		InProcess: true}
	if os.Getenv("FRESHET_TEST_SOAK") == "" { // memory fills as it does without a front
		for _, a := range attacktest.Corpus() {
			if a.Class != "memory" && a.Class != "floods" && !slices.Contains(site.Classes, a.Class) {
				site.Classes = append(site.Classes, a.Class)
			}
		}
	}
	report, err := attacktest.Run(t.Context(), site)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	report.Print(&table)
	t.Log("\n"+table.String(), s.answered(), "hits in front")
	for _, won := range report.Succeeded() {
		t.Errorf("%s: %s: %s", won.Class, won.Name, won.Gained)
	}
	for _, result := range report {
		if result.Err != nil {
			t.Errorf("%s: %s: %v", result.Class, result.Name, result.Err)
		}
	}
	if s.answered() < 300 {
		t.Errorf("%d hits were answered in front", s.answered())
	}
}

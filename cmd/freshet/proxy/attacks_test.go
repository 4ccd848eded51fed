package proxy_test

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/middleware/attacktest"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// No attack of the corpus succeeds against the proxy before an app that says nothing of caching,
// but for the limits that the docs name.
func TestAttacks(t *testing.T) {
	const bound = 64 << 20
	origin := attacktest.NewOrigin()
	upstream := httptest.NewUnstartedServer(origin)
	upstream.Config.ErrorLog = log.New(io.Discard, "", 0)
	upstream.Start()
	defer upstream.Close()
	u, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	keeper := memstore.New(bound)
	defer keeper.Close()
	lives := policy.Policy{TTL: time.Minute, MaxWait: time.Second,
		Key: policy.KeyOptions{DropParams: []string{"utm_*"}}}
	cache := middleware.Options{Policy: func(*http.Request) *policy.Policy { return &lives }}
	quiet := slog.New(slog.DiscardHandler)
	p, err := proxy.New(u, proxy.Options{Store: keeper, Cache: cache, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	report, err := attacktest.Run(t.Context(),
		attacktest.Site{Handler: p, Origin: origin, Held: keeper.Bytes, Bound: bound})
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report {
		if result.Err != nil || result.Succeeded() && result.Limit == "" {
			t.Errorf("%s: %s: %s %v", result.Class, result.Name, result.Gained, result.Err)
		}
	}
}

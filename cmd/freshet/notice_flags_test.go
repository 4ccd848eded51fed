package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/heartbeat"
	"github.com/freshet-go/freshet/adapters/notices"
	"github.com/freshet-go/freshet/store/memstore"
)

// After the end of the service an explanation says that the proxy answers each page, and why.
func TestExplainPastTheEnd(t *testing.T) {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{Policy: func(*http.Request) *freshet.Policy {
		return &freshet.Policy{MaxBody: 1000}
	}})
	defer cache.Shutdown(t.Context())
	var board notices.Board
	app := new(noticeFlags).around(&board, pages, nil, heartbeat.Options{})(
		cache.Handler(http.NotFoundHandler()))
	cache.Root(app)
	for past, want := range map[bool]string{true: "with 410, and nothing is cached: the date of --eos " +
		"(2001-01-01T00:00:00Z) is past", false: "would"} {
		eos := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		if !past {
			eos = time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		if err := board.Set(notices.Fields{EOS: eos}); err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequest("GET", "http://a.example/", nil)
		x, err := cache.Explain(t.Context(), r, freshet.ExplainOptions{})
		if err != nil || !strings.Contains(x.Verdict, want) {
			t.Errorf("%v %q, want %q", err, x.Verdict, want)
		}
	}
}

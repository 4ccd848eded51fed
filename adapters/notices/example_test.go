package notices_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/notices"
	"github.com/freshet-go/freshet/store/memstore"
)

// The load rises, and falls again: hits say so at once.
func Example() {
	pages := memstore.New(64 << 20)
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{})
	defer cache.Shutdown(context.Background())
	page := cache.With(freshet.Policy{TTL: time.Hour})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page") }))

	var board notices.Board
	app := cache.Root(board.Handler(page))
	ask := func() {
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Printf("Backoff: %q  Cache-Status: %s\n", w.Header().Get("Backoff"),
			w.Header().Get("Cache-Status"))
	}

	ask()
	if err := board.Set(notices.Fields{Backoff: new(10 * time.Second)}); err != nil {
		fmt.Println(err)
	}
	ask()
	board.Set(notices.Fields{})
	ask()
	// Output:
	// Backoff: ""  Cache-Status: Freshet; fwd=uri-miss; fwd-status=200; stored
	// Backoff: "10"  Cache-Status: Freshet; hit; ttl=3599
	// Backoff: ""  Cache-Status: Freshet; hit; ttl=3599
}

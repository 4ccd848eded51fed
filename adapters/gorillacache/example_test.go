package gorillacache_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gorilla/mux"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/gorillacache"
	"github.com/freshet-go/freshet/store/memstore"
)

// A router that chooses between two routes of one URL by a header field, in a cache around all of
// them.
func ExampleRoute() {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	r := mux.NewRouter()
	minute := &freshet.Policy{TTL: time.Minute}
	cache := freshet.New(pages, freshet.Options{
		Route:  gorillacache.Route(r),
		Policy: func(*http.Request) *freshet.Policy { return minute },
	})
	defer cache.Shutdown(context.Background())

	says := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, text) }
	}
	r.Use(cache.Handler)
	r.HandleFunc("/", says("the app's")).Headers("X-App", "yes")
	r.HandleFunc("/", says("the site's"))
	app := cache.Root(r)

	for _, field := range []string{"yes", "", "yes"} {
		w := httptest.NewRecorder()
		request := httptest.NewRequest("GET", "/", nil)
		request.Header.Set("X-App", field)
		app.ServeHTTP(w, request)
		fmt.Println(w.Body)
	}
	// Output:
	// the app's
	// the site's
	// the app's
}

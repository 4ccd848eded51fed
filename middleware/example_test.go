package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// An adapter for a framework whose handlers are no http.Handler makes a mount at start, and calls
// Serve for each request.
func ExampleCache_Mount() {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	cache := middleware.New(pages, middleware.Options{})
	defer cache.Shutdown(context.Background())

	type handler func(w http.ResponseWriter, r *http.Request) error // of the framework
	mount := cache.Mount("framework", &policy.Policy{TTL: time.Minute})
	cached := func(h handler) handler {
		return func(w http.ResponseWriter, r *http.Request) (err error) {
			mount.Serve(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				err = h(w, r)
			}))
			return err
		}
	}

	runs := 0
	page := cached(func(w http.ResponseWriter, r *http.Request) error {
		runs++
		_, err := fmt.Fprint(w, "run ", runs)
		return err
	})
	for range 2 {
		w := httptest.NewRecorder()
		err := page(w, httptest.NewRequest("GET", "/", nil))
		fmt.Println(w.Body, err)
	}
	// Output:
	// run 1 <nil>
	// run 1 <nil>
}

// A handler says what HTTP has no field for: a tag, a lifetime that clients do not see, or that it
// has no answer.
func ExampleFromContext() {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	cache := middleware.New(pages, middleware.Options{})
	defer cache.Shutdown(context.Background())

	price := 10
	stock := cache.With(policy.Policy{})(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		say := middleware.FromContext(r.Context())
		say.Tag("prices")
		say.SetTTL(time.Hour)
		fmt.Fprint(w, price)
	}))
	ask := func() {
		w := httptest.NewRecorder()
		stock.ServeHTTP(w, httptest.NewRequest("GET", "/stock/7", nil))
		fmt.Println(w.Body)
	}
	ask()
	price = 12
	ask()
	cache.InvalidateTag(context.Background(), "prices")
	ask()
	// Output:
	// 10
	// 10
	// 12
}

package echocache_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/store/memstore"
)

// The whole app: handlers say in their own headers what may be kept, and policies are chosen by
// echo's routes.
func ExampleMiddleware() {
	kept := memstore.New(64 << 20)
	defer kept.Close()
	e := echo.New()

	item := &freshet.Policy{TTL: time.Minute}
	cache := freshet.New(kept, freshet.Options{Policy: func(r *http.Request) *freshet.Policy {
		if strings.HasPrefix(r.Pattern, "/items/") { // echo's c.Path()
			return item
		}
		return nil
	}})
	app := cache.Root(e)
	e.Use(echocache.Middleware(cache))

	runs := 0
	e.GET("/items/:id", func(c echo.Context) error {
		runs++
		return c.String(http.StatusOK, "item "+c.Param("id"))
	})
	for range 3 {
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest("GET", "/items/7", nil))
		fmt.Println(w.Code, w.Body, w.Header().Get("Cache-Control"))
	}
	fmt.Println("runs:", runs)
	// Output:
	// 200 item 7 max-age=60
	// 200 item 7 max-age=60
	// 200 item 7 max-age=60
	// runs: 1
}

// One route.
func ExampleWith() {
	kept := memstore.New(64 << 20)
	defer kept.Close()
	e := echo.New()

	cache := freshet.New(kept, freshet.Options{})
	e.GET("/lost", func(c echo.Context) error {
		fmt.Println("the handler runs")
		c.Response().Header().Set("Cache-Control", "max-age=10")
		return echo.NewHTTPError(http.StatusNotFound, "lost")
	}, echocache.With(cache, freshet.Policy{NoValidators: true}))

	for range 2 {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest("GET", "/lost", nil))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// the handler runs
	// 404 {"message":"lost"}
	// 404 {"message":"lost"}
}

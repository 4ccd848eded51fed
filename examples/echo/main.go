// Command echo caches a slow page of an echo app: for ten seconds as it is, and for a minute more
// while it is made anew behind.
//
//	go run ./examples/echo
//	curl -i http://127.0.0.1:8080/report/7
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/store/memstore"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "the `address` to serve on")
	flag.Parse()
	log.Printf("try, several times: curl -i http://%s/report/7", *listen)
	log.Fatal(http.ListenAndServe(*listen, newApp(memstore.New(64<<20), time.Second)))
}

// newApp is the app; a report takes the time of work.
func newApp(kept *memstore.Store, work time.Duration) http.Handler {
	e := echo.New()
	cache := freshet.New(kept, freshet.Options{})

	// What runs for each request goes outside of the cache: mount it before.
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := time.Now()
			err := next(c)
			status := c.Response().Header().Get("Cache-Status")
			log.Printf("%s %d %v %s", c.Request().URL, c.Response().Status,
				time.Since(start).Round(time.Millisecond), status)
			return err
		}
	})

	e.GET("/report/:id", func(c echo.Context) error {
		time.Sleep(work)
		if c.Param("id") == "0" {
			// its page is not cached
			return echo.NewHTTPError(http.StatusNotFound, "there is no report 0")
		}
		return c.String(http.StatusOK, fmt.Sprintf("report %s, of %s\n", c.Param("id"),
			time.Now().Format("15:04:05.000")))
	}, echocache.With(cache, freshet.Policy{TTL: 10 * time.Second,
		StaleWhileRevalidate: time.Minute}))
	return cache.Root(e) // where refreshes in the background enter
}

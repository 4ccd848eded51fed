package echocache_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
)

// echo uses a Context again as soon as its request has returned. Whatever ran a handler later, with
// the Context of a request that is over, would find another request's parameters in it, and store
// one resource's page under another's key. Here every page is stale at once and refreshed behind,
// clients read along, and requests past the cache keep the pool busy.
func TestNoWorkOutlivesItsContext(t *testing.T) {
	const ids, clients, rounds = 4, 8, 150
	for _, size := range []int{10, 64 << 10} { // held back, and streamed to the client from beside
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			a := newApp(t)
			a.Use(echocache.Middleware(a.cache))
			a.GET("/page/:id", func(c echo.Context) error {
				id := c.Param("id")
				c.Set("id", id)
				c.Response().Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=600")
				runtime.Gosched()
				text := strings.Repeat(id, size)
				for half := range 2 {
					if _, err := c.Response().Write([]byte(text[half*size/2 : (half+1)*size/2])); err != nil {
						return err
					}
					runtime.Gosched()
				}
				if c.Param("id") != id || c.Get("id") != id ||
					!strings.HasSuffix(c.Request().URL.Path, id) {
					t.Errorf("the Context changed hands while the handler had it: %s is now %s", id,
						c.Param("id"))
				}
				return nil
			})
			a.GET("/other/:name", func(c echo.Context) error {
				c.Set("id", "other")
				c.Response().Header().Set("Cache-Control", "no-store")
				return c.String(http.StatusOK, c.Param("name"))
			})

			var all sync.WaitGroup
			for client := range clients {
				all.Go(func() {
					for i := range rounds {
						id := fmt.Sprint((client + i) % ids)
						if body := a.ask("GET", "/page/"+id).Body.String(); body != strings.Repeat(id, size) {
							t.Errorf("asked for %s, got %d bytes of %.1s", id, len(body), body)
						}
						name := fmt.Sprintf("n%d-%d", client, i)
						want(t, "past the cache", a.ask("POST", "/other/"+name).Code,
							http.StatusMethodNotAllowed)
						want(t, "past the cache", a.ask("GET", "/other/"+name).Body.String(), name)
					}
				})
			}
			all.Wait()
			for id := range ids { // what is stored, each under its own key
				r := a.ask("GET", fmt.Sprint("/page/", id), "Cache-Control",
					"max-stale, only-if-cached")
				want(t, "stored", r.Body.String() == strings.Repeat(fmt.Sprint(id), size), true)
			}
			if a.entered.Load() < 2*ids {
				t.Errorf("%d refreshes came in at the root: too few to show anything",
					a.entered.Load())
			}
		})
	}
}

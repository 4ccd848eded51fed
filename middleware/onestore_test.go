package middleware_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// Two Caches may have one store in memory: a public app's and an admin's. Their handlers have one
// name, and each Cache numbers its own invalidations.
func TestTwoCachesWithOneStoreAreApart(t *testing.T) {
	s := memstore.New(64 << 20)
	defer s.Close()
	app := func(page string) (*middleware.Cache, http.Handler) {
		c := middleware.New(s, middleware.Options{Log: discard})
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, page)
		})
		return c, c.With(policy.Policy{TTL: time.Minute})(mux)
	}
	public, publicApp := app("public")
	_, adminApp := app("admin")

	want(t, "admin's page", body(get(adminApp, "/")), "admin")
	want(t, "the public's", body(get(publicApp, "/")), "public")
	status(t, get(publicApp, "/"), "hit")
	for name, purge := range map[string]func() error{
		"a URL": func() error {
			return failed(public.InvalidateURL(context.Background(), "http://example.com/"))
		},
		"all": func() error { return failed(public.InvalidateAll(context.Background())) },
	} {
		if err := purge(); err != nil {
			t.Fatal(err)
		}
		status(t, get(publicApp, "/"), "stored")
		status(t, get(adminApp, "/"), "hit")
		t.Log(name, "was purged")
	}
}

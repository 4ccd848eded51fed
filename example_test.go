package freshet_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store/memstore"
)

// ask is a client of an app. It prints the page, and what the cache did.
func ask(app http.Handler, target string) {
	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	did, _, _ := strings.Cut(w.Header().Get("Cache-Status"), "; ttl=") // which counts down
	fmt.Printf("%s: %s (%s)\n", target, w.Body, did)
}

// A page that says nothing of caching lives for a minute.
func Example() {
	pages := memstore.New(64 << 20) // at most 64 MiB of responses
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{})
	defer cache.Shutdown(context.Background()) // before the store

	runs := 0
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		fmt.Fprint(w, "run ", runs)
	})
	mux := http.NewServeMux()
	mux.Handle("/slow", cache.With(freshet.Policy{TTL: time.Minute})(slow))
	app := cache.Root(mux) // what http.ListenAndServe would get

	ask(app, "/slow")
	ask(app, "/slow")
	// Output:
	// /slow: run 1 (Freshet; fwd=uri-miss; fwd-status=200; stored)
	// /slow: run 1 (Freshet; hit)
}

// A purge by tag covers the pages under a policy with the tag, and those whose handlers named it.
func ExampleCache_invalidateTag() {
	pages := memstore.New(64 << 20)
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{})
	defer cache.Shutdown(context.Background())

	title := "Hello"
	article := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, title) }
	front := func(w http.ResponseWriter, r *http.Request) {
		freshet.FromContext(r.Context()).Tag("articles")
		fmt.Fprint(w, "Today: ", title)
	}
	mux := http.NewServeMux()
	hour := cache.With(freshet.Policy{TTL: time.Hour})
	articles := cache.With(freshet.Policy{TTL: time.Hour, Tags: []string{"articles"}})
	mux.Handle("/{$}", hour(http.HandlerFunc(front)))
	mux.Handle("/articles/{id}", articles(http.HandlerFunc(article)))
	app := cache.Root(mux)

	ask(app, "/")
	ask(app, "/articles/1")
	title = "Good day"
	if _, err := cache.InvalidateTag(context.Background(), "articles"); err != nil {
		fmt.Println(err)
	}
	ask(app, "/")
	ask(app, "/articles/1")
	// Output:
	// /: Today: Hello (Freshet; fwd=uri-miss; fwd-status=200; stored)
	// /articles/1: Hello (Freshet; fwd=uri-miss; fwd-status=200; stored)
	// /: Today: Good day (Freshet; fwd=uri-miss; fwd-status=200; stored)
	// /articles/1: Good day (Freshet; fwd=uri-miss; fwd-status=200; stored)
}

// The operator says how long the responses of a resource live, in a file and the environment.
func Example_settings() {
	folder, err := os.MkdirTemp("", "freshet")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "app.ini")
	os.WriteFile(file, []byte("record_cache_expires_seconds = "+
		"60\nblog.record_cache_expires_seconds = 0\n"), 0o600)

	set, err := settings.Load(file, os.Environ(), "record")
	if err != nil {
		fmt.Println(err) // which names the key, the value, where it came from and what is allowed
		return
	}
	pages := memstore.New(64 << 20)
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{Expires: set.Expires()})
	defer cache.Shutdown(context.Background())

	record := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.PathValue("id")) }
	route := cache.With(freshet.Policy{
		Resource: "record",
		Scope:    func(r *http.Request) []string { return []string{r.PathValue("bucket")} },
	})
	mux := http.NewServeMux()
	mux.Handle("/buckets/{bucket}/records/{id}", route(http.HandlerFunc(record)))
	app := cache.Root(mux)

	ask(app, "/buckets/shop/records/1")
	ask(app, "/buckets/blog/records/1")
	// Output:
	// /buckets/shop/records/1: 1 (Freshet; fwd=uri-miss; fwd-status=200; stored)
	// /buckets/blog/records/1: 1 (Freshet; fwd=bypass; fwd-status=200; detail=off)
}

package admin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/store/memstore"
)

func Example() {
	pages := memstore.New(64 << 20)
	defer pages.Close()
	watch := admin.NewWatch()
	cache := freshet.New(pages, freshet.Options{Observe: watch.Observe})
	door := admin.New(cache, watch, admin.Options{Authenticate: admin.Tokens(
		"correct horse battery staple")})

	mux := http.NewServeMux()
	mux.Handle("/__freshet__/", http.StripPrefix("/__freshet__", door))
	mux.Handle("/", cache.With(freshet.Policy{TTL: time.Minute})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "a page") })))
	app := cache.Root(mux)

	purge := httptest.NewRequest("POST", "/__freshet__/purge",
		strings.NewReader(`{"url": "http://example.com/"}`))
	purge.Header.Set("Authorization", "Bearer correct horse battery staple")
	purge.Header.Set("Freshet-Door", "1")
	w := httptest.NewRecorder()
	app.ServeHTTP(w, purge)
	fmt.Println(w.Code, strings.Split(w.Body.String(), ",")[0])
	// Output: 200 {"purged":"the URL http://example.com/"
}

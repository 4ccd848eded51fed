package routes_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/settings/routes"
	"github.com/freshet-go/freshet/store/memstore"
)

// An app takes its policies from its operator's file: the section [rules] of what routes.Load
// reads.
func Example() {
	rules, err := routes.Parse("freshet.ini", `
[rules]
/account/*         = pass
/articles/*        = 60s, stale 1h, tags articles
/* type image/*    = 1d
`, routes.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	memory := memstore.New(64 << 20)
	defer memory.Close()
	cache := freshet.New(memory, freshet.Options{Policy: rules.Policy})
	app := cache.Root(cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a page")
	})))
	for _, path := range []string{"/articles/1", "/articles/1", "/articles/..%2faccount/",
		"/account/"} {
		w := httptest.NewRecorder()
		app.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		outcome, _, _ := strings.Cut(w.Header().Get("Cache-Status"), "; ttl=")
		fmt.Println(path, outcome)
	}
	// Output:
	// /articles/1 Freshet; fwd=uri-miss; fwd-status=200; stored
	// /articles/1 Freshet; hit
	// /articles/..%2faccount/ Freshet; fwd=bypass; fwd-status=200; detail=pass-policy
	// /account/ Freshet; fwd=bypass; fwd-status=200; detail=pass-policy
}

// An error says where, which word, and what is allowed.
func ExampleParse() {
	_, err := routes.Parse("freshet.ini", "[rules]\n/api/* = 60s, stale soon\n", routes.Options{})
	fmt.Println(err)
	// Output:
	// rules: freshet.ini:2: /api/*: "stale soon": allowed is a length of time from 1s to 24855d such as 60s, 5m, 1h, 7d or 2w, or none
}

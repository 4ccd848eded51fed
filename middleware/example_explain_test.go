package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

func ExampleCache_Explain() {
	keeps := memstore.New(1 << 20)
	defer keeps.Close()
	cache := middleware.New(keeps, middleware.Options{})
	account := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		fmt.Fprint(w, "your account")
	}
	cache.Root(cache.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(account)))

	r, _ := http.NewRequest("GET", "https://shop.example/account", nil)
	x, err := cache.Explain(context.Background(), r, middleware.ExplainOptions{Fetch: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(x.Verdict)
	fmt.Println(x.RFC)
	fmt.Println(x.Advice)
	// Output:
	// Would not be stored: The response says private: it is for one user.
	// RFC 9111 section 5.2.2.7
	// Take private away, if the response is the same for all.
}

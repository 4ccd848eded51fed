package attacktest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/middleware/attacktest"
	"github.com/freshet-go/freshet/store/memstore"
)

// An app is attacked with the weak origin of the corpus in its place. One class takes less than
// all.
func Example() {
	ctx := context.Background()
	pages := memstore.New(16 << 20)
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{})
	defer cache.Shutdown(ctx)

	origin := attacktest.NewOrigin()
	minute := cache.With(freshet.Policy{TTL: time.Minute,
		Key: freshet.KeyOptions{DropParams: []string{"utm_*"}}})
	report, err := attacktest.Run(ctx, attacktest.Site{
		Handler: cache.Root(minute(origin)), Origin: origin, Classes: []string{"cookies"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, result := range report {
		if result.Succeeded() && result.Limit == "" {
			fmt.Println(result.Name, "gained", result.Gained)
		}
	}
	fmt.Println("no other attack succeeded")
	// Output: no other attack succeeded
}

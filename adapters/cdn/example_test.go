package cdn_test

import (
	"context"
	"fmt"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/store/memstore"
)

// printed is a target that prints what it takes.
type printed struct{}

func (printed) Name() string { return "edge" }

func (printed) Purge(_ context.Context, p cdn.Purge) error {
	fmt.Println("edge:", p.Tags, p.URLs)
	return nil
}

func Example() {
	outbox, err := cdn.New(cdn.Options{
		Targets: []cdn.Target{printed{}},
		Hosts:   map[string][]string{"app.internal:8080": {"https://www.example.com"}},
		Delay:   -1, // one process
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	pages := memstore.New(64 << 20)
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{OnInvalidate: outbox.OnInvalidate})

	ctx := context.Background()
	receipt, err := cache.InvalidateURL(ctx, "http://app.internal:8080/posts/1")
	if err == nil {
		err = receipt.WaitInFront(ctx) // until each target has taken it
	}
	fmt.Println(err)
	fmt.Println(outbox.Close(ctx))
	// Output:
	// edge: [] [https://www.example.com/posts/1]
	// <nil>
	// <nil>
}

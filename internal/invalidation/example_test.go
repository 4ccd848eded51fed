package invalidation_test

import (
	"context"
	"fmt"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
)

// An invalidation covers what was filled before it, also if the filling ends after it.
func Example() {
	ctx := context.Background()
	journal := memjournal.New()
	replica := invalidation.NewReplica(0)

	slow := &store.Entry{Key: "GET https://a.example/news", Tags: []string{"news"},
		Number: replica.Head()}

	// While the handler works on it, an editor changes the news.
	mark := store.Mark{Kind: store.MarkTag, Name: "news"}
	number, err := journal.Append(ctx, mark)
	if err != nil {
		panic(err)
	}
	replica.Apply(store.Numbered{Mark: mark, Number: number})

	next := &store.Entry{Key: slow.Key, Tags: slow.Tags, Number: replica.Head()}
	for _, e := range []*store.Entry{slow, next} {
		fmt.Printf("filled at %d: %v\n", e.Number, replica.Covers(e))
	}
	// Output:
	// filled at 0: hard
	// filled at 1: none
}

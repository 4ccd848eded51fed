package guardstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
)

// down is a store whose server refuses connections.
type down struct{ store.Store }

func (down) Get(context.Context, string) (*store.Entry, error) {
	return nil, errors.New("connection refused")
}

func Example() {
	s := guardstore.New(down{}, guardstore.Options{Name: "redis", Failures: 3,
		Log: slog.New(slog.DiscardHandler)})
	for range 1000 {
		if _, err := s.Get(context.Background(), "page"); !errors.Is(err, store.ErrUnavailable) {
			panic(err)
		}
	}
	st := s.Stats()
	fmt.Println(st.State, st.Calls, "calls made,", st.Rejected, "not")
	// Output:
	// open 3 calls made, 997 not
}

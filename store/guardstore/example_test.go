package guardstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/storetest"
)

func Example() {
	memory := memstore.New(64 << 20)
	defer memory.Close()
	broken := storetest.Faulty(memory, storetest.Refuse(errors.New("connection refused")))

	s := guardstore.New(broken, guardstore.Options{Name: "redis", Failures: 3, Log: slog.New(slog.DiscardHandler)})
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

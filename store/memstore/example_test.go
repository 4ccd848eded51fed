package memstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

func Example() {
	ctx := context.Background()
	s := memstore.New(64 << 20) // 64 MiB
	defer s.Close()

	page := &store.Entry{Key: "GET https://a.example/", Status: 200, Body: []byte("Hello")}
	if err := s.Set(ctx, page.Key, page, time.Minute); err != nil {
		panic(err)
	}
	e, err := s.Get(ctx, page.Key)
	fmt.Println(string(e.Body), err, s.Len())

	_, err = s.Get(ctx, "GET https://a.example/other")
	fmt.Println(err)
	// Output:
	// Hello <nil> 1
	// store: not found
}

package memstore_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

func ExampleNewBackend() {
	ctx := context.Background()
	b := memstore.NewBackend(16 << 20) // 16 MiB
	defer b.Close()
	s := store.New(b, store.Options{Prefix: "blog:", Compress: 1024})

	page := &store.Entry{Key: "GET https://a.example/", Status: 200,
		Body: []byte(strings.Repeat("Hello ", 1000))}
	if err := s.Set(ctx, page.Key, page, time.Minute); err != nil {
		panic(err)
	}
	e, err := s.Get(ctx, page.Key)
	fmt.Println(len(e.Body), err, b.Bytes() < 1000)

	removed, err := store.Flush(ctx, b, "blog:")
	fmt.Println(removed, err, b.Len())
	// Output:
	// 6000 <nil> true
	// 1 <nil> 0
}

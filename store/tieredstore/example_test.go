package tieredstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/tieredstore"
)

// Memory before a server, and a guard between them.
func Example() {
	ctx := context.Background()
	server := memstore.NewBackend(64 << 20) // in its place: redisstore, pgstore, …
	defer server.Close()
	near := memstore.New(64 << 20)
	defer near.Close()

	far := guardstore.New(store.New(server, store.Options{Prefix: "blog:"}),
		guardstore.Options{Name: "redis"})
	s := tieredstore.New(near, far, tieredstore.Options{})

	page := &store.Entry{Key: "GET https://a.example/", Status: 200, Body: []byte("Hello"),
		Received: time.Now(), Fresh: time.Minute}
	if err := s.Set(ctx, page.Key, page, page.TTL()); err != nil {
		panic(err)
	}
	for range 2 {
		e, err := s.Get(ctx, page.Key)
		fmt.Println(string(e.Body), err)
	}
	fmt.Printf("%+v, %d calls to the server\n", s.Stats(), far.Stats().Calls)
	// Output:
	// Hello <nil>
	// Hello <nil>
	// {NearHits:2 FarHits:0 Misses:0 Failed:0}, 1 calls to the server
}

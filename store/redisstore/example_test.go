package redisstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/redisstore"
)

func Example() {
	ctx := context.Background()
	c,
		err := redisstore.ParseURL(
		"redis://:password@cache.example:6379/1?pool_size=20&timeout=500ms")
	if err != nil {
		panic(err)
	}
	b, err := redisstore.New(c)
	if err != nil {
		panic(err)
	}
	defer b.Close()
	if _, err := b.Health(ctx); err != nil { // to know at the start
		panic(err)
	}

	s := store.New(b, store.Options{Prefix: "blog:"})
	page := &store.Entry{Key: "GET https://a.example/", Status: 200, Body: []byte("Hello")}
	if err := s.Set(ctx, page.Key, page, time.Minute); err != nil {
		panic(err)
	}
	removed, err := b.Flush(ctx, "blog:")
	fmt.Println(removed, err)
}

func ExampleParseURL() {
	c, err := redisstore.ParseURL("redis+sentinel://:password@a.example,b.example/1?master=cache")
	fmt.Println(c, err)

	_, err = redisstore.ParseURL("redis://:password@a.example?pool_size=none")
	fmt.Println(err)
	// Output:
	// redis+sentinel://:***@a.example:26379,b.example:26379/1?master=cache <nil>
	// redisstore: redis://***@a.example?pool_size=none: option pool_size="none": a whole number, 1 or more, is allowed
}

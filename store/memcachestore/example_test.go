package memcachestore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memcachestore"
)

func Example() {
	ctx := context.Background()
	b, err := memcachestore.New(memcachestore.Config{
		Servers:  []string{"a.example", "b.example"}, // written alike by all who share them
		Oversize: memcachestore.OversizeSplit,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Health(ctx); err != nil { // to know at the start
		log.Fatal(err)
	}

	s := store.New(b, store.Options{Prefix: "blog:"})
	page := &store.Entry{Key: "GET https://a.example/", Status: 200, Body: []byte("Hello")}
	if err := s.Set(ctx, page.Key, page, time.Minute); err != nil {
		log.Fatal(err)
	}
}

func ExampleParseURL() {
	c,
		err := memcachestore.ParseURL(
		"memcached://a.example,b.example:11212?timeout=250ms&oversize=split")
	fmt.Println(c.Servers, c.Timeout, c.Oversize, err)

	_, err = memcachestore.ParseURL("memcached://a.example?timeout=soon")
	fmt.Println(err)
	// Output:
	// [a.example b.example:11212] 250ms split <nil>
	// memcachestore: url "memcached://a.example" with options: option timeout="soon": a number of seconds or a duration such as 500ms, more than 0, is allowed
}

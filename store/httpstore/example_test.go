package httpstore_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/httpstore"
)

func Example() {
	ctx := context.Background()
	b, err := httpstore.New(httpstore.Config{
		URL:           "https://values.example/blog",
		Authorization: "Bearer token",
		Allow:         []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, // where the server is
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
	c, err := httpstore.ParseURL("https+store://values.example/blog?ttl_query=ttl&allow=10.0.0.0/8")
	fmt.Println(c.URL, c.TTLQuery, c.Allow, err)

	_, err = httpstore.ParseURL("https+store://user:password@values.example?timeout=soon")
	fmt.Println(err)
	// Output:
	// https://values.example/blog ttl [10.0.0.0/8] <nil>
	// httpstore: url "https+store://***@values.example" with options: option timeout="soon": a number of seconds or a duration such as 500ms, more than 0, is allowed
}

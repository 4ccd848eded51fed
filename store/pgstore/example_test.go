package pgstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/pgstore"
)

func Example() {
	ctx := context.Background()
	b, err := pgstore.New(pgstore.Config{Conn: "postgres://app@db.example/app", PoolSize: 20,
		MaxOverflow: -1})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	// once, by a role that may create tables
	if _, err := store.Migrate(ctx, b, false); err != nil {
		log.Fatal(err)
	}
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
		err := pgstore.ParseURL(
		"postgres://app@db.example/app?sslmode=verify-full&pool_size=20&max_overflow=0")
	fmt.Println(c.Conn, c.PoolSize, c.MaxOverflow, err)

	_, err = pgstore.ParseURL("postgres://app:password@db.example/app?pool_size=none")
	fmt.Println(err)
	// Output:
	// postgres://app@db.example/app?sslmode=verify-full 20 -1 <nil>
	// pgstore: postgres://app:***@db.example/app?pool_size=none: option pool_size="none": a whole number, 1 or more, is allowed
}

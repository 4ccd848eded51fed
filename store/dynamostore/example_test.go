package dynamostore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/dynamostore"
)

func Example() {
	ctx := context.Background()
	b, err := dynamostore.New(dynamostore.Config{Region: "eu-west-1", Table: "pages"})
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
	c, err := dynamostore.ParseURL("dynamodb://eu-west-1/pages?consistent=false&timeout=500ms")
	fmt.Println(c.Region, c.Table, c.EventualReads, c.Timeout, err)

	_, err = dynamostore.ParseURL("dynamodb://eu-west-1/pages?consistent=perhaps")
	fmt.Println(err)
	// Output:
	// eu-west-1 pages true 500ms <nil>
	// dynamostore: url "dynamodb://eu-west-1/pages" with options: option consistent="perhaps": true or false is allowed
}

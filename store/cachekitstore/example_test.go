package cachekitstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/cachekitstore"
)

func Example() {
	ctx := context.Background()
	b, err := cachekitstore.New(cachekitstore.Config{APIKey: os.Getenv("CACHEKIT_API_KEY")})
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
	c, err := cachekitstore.ParseURL("cachekit://api.cachekit.io?token_file=/run/secrets/cachekit")
	fmt.Println(c.URL, c.APIKeyFile, err)

	_, err = cachekitstore.ParseURL("cachekit://ck_live_1@values.example")
	fmt.Println(err)
	// Output:
	// https://api.cachekit.io /run/secrets/cachekit <nil>
	// cachekitstore: url "cachekit://***@values.example": the host "values.example" is not the service's: api.cachekit.io, api.staging.cachekit.io and what is below them are allowed, and with allow_custom_host any, which then gets the key
}

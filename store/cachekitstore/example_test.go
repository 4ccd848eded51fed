package cachekitstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
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
	what, _, _ := strings.Cut(err.Error(), ": api.cachekit.io") // then what is allowed
	fmt.Println(what)
	// Output:
	// https://api.cachekit.io /run/secrets/cachekit <nil>
	// cachekitstore: url "cachekit://***@values.example": the host "values.example" is not the service's
}

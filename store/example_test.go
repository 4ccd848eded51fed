package store_test

import (
	"fmt"

	"github.com/freshet-go/freshet/store"
)

// A wrapper lets its callers see through it.
type counting struct {
	store.Backend
	gets int
}

func (c *counting) Unwrap() any { return c.Backend }

// flusher is an ability that some backends have.
type flusher interface{ Flush(prefix string) int }

type shelf struct{ store.Backend }

func (shelf) Flush(string) int { return 12 }

func ExampleAs() {
	s := store.New(&counting{Backend: shelf{}}, store.Options{Prefix: "blog:"})
	if f, ok := store.As[flusher](s); ok {
		fmt.Println("removed", f.Flush("blog:"))
	}
	// Output: removed 12
}

func ExampleBackendKey() {
	fmt.Println(store.BackendKey("blog:", "GET https://a.example/news"))
	// Output: blog:5d67d7e64efd64de4b5d4b113d6ce1686ab724a7b13a4906b68f24867d641b8f
}

func ExampleEncode() {
	b := store.Encode(nil, &store.Entry{Key: "GET https://a.example/", Status: 200, Body: []byte("Hello")})
	e, err := store.Decode(b)
	fmt.Println(e.Key, e.Status, string(e.Body), err)

	b[len(b)-1] ^= 1
	_, err = store.Decode(b)
	fmt.Println(err)
	// Output:
	// GET https://a.example/ 200 Hello <nil>
	// store: corrupt entry: wrong checksum (85 bytes)
}

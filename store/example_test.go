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

func ExampleOptions_BackendKey() {
	fmt.Println(store.Options{Prefix: "blog:"}.BackendKey("GET https://a.example/news"))
	// Output: blog:5d67d7e64efd64de4b5d4b113d6ce1686ab724a7b13a4906b68f24867d641b8f
}

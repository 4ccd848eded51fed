package drivers_test

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/open"
)

// A package of yours registers its driver in an init function. A program that imports it, if only
// for that, opens its URLs as those of Freshet's own drivers.
func ExampleRegister() {
	drivers.Register(drivers.Driver{
		Kind:    "drawer",
		Schemes: []string{"drawer"},
		Open: func(rawURL string) (store.Backend, error) {
			// a store.Backend of yours; its five methods suffice
			return memstore.NewBackend(1 << 20), nil
		},
	})

	ctx := context.Background()
	s, err := open.URL(ctx, "drawer://left?prefix=blog:", open.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	page := &store.Entry{Key: "GET https://a.example/", Status: 200, Body: []byte("Hello")}
	if err := s.Set(ctx, page.Key, page, time.Minute); err != nil {
		fmt.Println(err)
		return
	}
	found, err := s.Get(ctx, page.Key)
	fmt.Println(s.Kind, string(found.Body), err)
	// Output: drawer Hello <nil>
}

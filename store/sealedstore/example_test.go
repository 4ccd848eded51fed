package sealedstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/sealedstore"
)

func Example() {
	ctx := context.Background()
	key, err := sealedstore.ParseKey(
		"b5a2c96250612366ea272ffac6d9744aaf4b45aacd96aa7cfcb931ee3b558259")
	if err != nil {
		fmt.Println(err)
		return
	}
	inner := memstore.NewBackend(64 << 20) // or of redisstore, pgstore, filestore, memcachestore
	defer inner.Close()
	b, err := sealedstore.New(inner, sealedstore.Options{
		Keys: sealedstore.Keys{Key: key}, Prefixes: []string{"blog:"},
		OnFault: func(f sealedstore.Fault) { fmt.Println("alarm:", f) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	b.Set(ctx, "blog:page", []byte("a page"), time.Hour)

	for name := range inner.List(ctx, "blog:") {
		sealed, _ := inner.Get(ctx, name)
		fmt.Println("below, it has", len(name), "characters and", len(sealed), "bytes")
		inner.Set(ctx, name, []byte("another page"), time.Hour) // somebody tampers with it
	}
	_, err = b.Get(ctx, "blog:page")
	fmt.Println(err == store.ErrNotFound, b.Faults().Unsealed)
	fmt.Println(key)
	// Output:
	// below, it has 37 characters and 101 bytes
	// alarm: sealedstore: the value does not open: not sealed: something that does not have the key has written it
	// true 1
	// sealedstore.Key(b390622224da7106)
}

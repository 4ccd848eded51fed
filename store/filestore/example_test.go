package filestore_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/filestore"
)

func ExampleNew() {
	folder, err := os.MkdirTemp("", "freshet")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)

	ctx := context.Background()
	b, err := filestore.New(filestore.Config{Path: folder, MaxBytes: 64 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	if err := b.Set(ctx, "greeting", []byte("hello"), time.Hour); err != nil {
		fmt.Println(err)
		return
	}
	value, err := b.Get(ctx, "greeting")
	fmt.Printf("%s %v\n", value, err)
	_, err = b.Get(ctx, "farewell")
	fmt.Println(err == store.ErrNotFound)
	// Output:
	// hello <nil>
	// true
}

func ExampleParseURL() {
	c, err := filestore.ParseURL("file:///var/cache/app?max_bytes=10GiB&fsync=true")
	fmt.Println(c.Path, c.MaxBytes>>30, c.Fsync, err)
	_, err = filestore.ParseURL("file://cache/app")
	fmt.Println(err)
	// Output:
	// /var/cache/app 10 true <nil>
	// filestore: file://cache/app: "cache" stands where a host does, and only this one's files can be used; want three slashes, as in file:///var/cache/app
}

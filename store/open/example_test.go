package open_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

// A store in files, with a near tier of 1 MiB in this process's memory.
func Example() {
	folder, err := os.MkdirTemp("", "freshet")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)

	ctx := context.Background()
	pages, err := open.URL(ctx, "file://"+folder+"?max_bytes=64MiB&near=1MiB&prefix=blog:",
		open.Options{})
	if err != nil {
		log.Fatal(err) // one sentence: what is wrong, and what is allowed
	}
	defer pages.Close()

	page := &store.Entry{Key: "GET https://a.example/", Status: 200, Body: []byte("Hello")}
	if err := pages.Set(ctx, page.Key, page, time.Minute); err != nil {
		log.Fatal(err)
	}
	found, err := pages.Get(ctx, page.Key)
	fmt.Println(pages.Kind, pages.Prefix, string(found.Body), err)
	// Output: file blog: Hello <nil>
}

// What is wrong shows at the start, in one sentence.
func ExampleURL() {
	ctx := context.Background()
	_, err := open.URL(ctx, "memory://?max_bytes=lots", open.Options{})
	fmt.Println(err)
	_, err = open.URL(ctx, "file://cache", open.Options{})
	fmt.Println(err)
	// Output:
	// open: memory://?max_bytes=lots: option max_bytes="lots": allowed is a number of bytes from 64KiB, such as 256MiB
	// open: file://cache: filestore: file://cache: "cache" stands where a host does, and only this one's files can be used; want three slashes, as in file:///var/cache/app
}

// The environment may choose the store, if the program does not.
func ExampleResolve() {
	choice, err := open.Resolve("", []string{"FRESHET_CACHE_URL=redis://:secret@cache.example/1"})
	fmt.Println(choice, err)
	choice, err = open.Resolve("", nil)
	fmt.Println(choice, err)
	// Output:
	// redis://:***@cache.example/1 (from the environment variable FRESHET_CACHE_URL) <nil>
	// memory:// (from no setting: memory is the default) <nil>
}

package memcachestore_test

import (
	"fmt"

	"github.com/freshet-go/freshet/store/memcachestore"
)

func ExampleParseURL() {
	c, err := memcachestore.ParseURL("memcached://a.example,b.example:11212?timeout=250ms&oversize=split")
	fmt.Println(c.Servers, c.Timeout, c.Oversize, err)

	_, err = memcachestore.ParseURL("memcached://a.example?timeout=soon")
	fmt.Println(err)
	// Output:
	// [a.example b.example:11212] 250ms split <nil>
	// memcachestore: url "memcached://a.example" with options: option timeout: "soon" is not allowed; 1ms to 1m are allowed
}

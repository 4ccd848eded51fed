// Command records serves buckets of collections of records, whose responses live as long as the
// operator says in freshet.ini and the environment. The handlers say nothing about caching.
//
//	go run ./examples/records
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/settings/reload"
	"github.com/freshet-go/freshet/store/memstore"
)

func main() {
	log.SetFlags(0)
	file := flag.String("config", "examples/records/freshet.ini", "the settings `file`; empty: "+
		"the environment alone")
	flag.String("listen", "127.0.0.1:8080", "the `address` to serve on")
	flag.Parse()

	set, err := load(*file, os.Environ())
	if err != nil {
		log.Fatal(err)
	}
	if err := set.Settings().Flags(flag.CommandLine); err != nil {
		log.Fatal(err)
	}
	listen := flag.Lookup("listen").Value.String()

	log.Printf("records at http://%s; try, twice:", listen)
	log.Printf("  curl -i http://%s/buckets/blog/collections/articles/records/hello", listen)
	log.Printf("then change a lifetime in the file, or send SIGHUP: new settings count without a " +
		"restart")
	go set.Run(context.Background())
	server := &http.Server{Addr: listen, Handler: serve(set, memstore.New(64<<20)),
		ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// load reads the settings that this program has: one expiry for each resource, and where it
// listens. They are loaded anew when the file changes, and on SIGHUP.
func load(file string, environ []string) (*reload.Watcher, error) {
	return reload.Open(reload.Options{
		Loader: settings.Loader{Resources: []string{"record", "collection"},
			Keys: []string{"listen"}},
		File: file, Environ: environ, Signals: []os.Signal{syscall.SIGHUP},
	})
}

// serve is the API behind the cache. Each route names its resource, which is all that the settings
// need.
func serve(set *reload.Watcher, kept *memstore.Store) http.Handler {
	cache := freshet.New(kept, freshet.Options{Expires: set.Settings().Expires()})
	set.OnChange(func(s *settings.Settings) error { return cache.SetExpires(s.Expires()) })
	a := newAPI(cache)

	mux := http.NewServeMux()
	parents := func(r *http.Request) []string {
		return []string{r.PathValue("bucket"), r.PathValue("collection")}
	}
	record := cache.With(freshet.Policy{Resource: "record", Scope: parents})
	collection := cache.With(freshet.Policy{Resource: "collection", Scope: parents})
	mux.Handle("/buckets/{bucket}/collections/{collection}/records/{id}",
		record(http.HandlerFunc(a.record)))
	mux.Handle("/buckets/{bucket}/collections/{collection}",
		collection(http.HandlerFunc(a.collection)))
	return cache.Root(mux)
}

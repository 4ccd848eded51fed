// Command chi caches the notes of a chi app for an hour, and yet nobody reads an old one: a PUT of
// a note invalidates it, and browsers, which no invalidation reaches, ask each time (ClientTTL).
// What they have is mostly the note as it is, so they get a 304, without a run of the handler.
//
//	go run ./examples/chi
//	curl -i http://127.0.0.1:8080/notes/1
//	curl -i http://127.0.0.1:8080/notes/1
//	curl -X PUT -d 'buy more milk' http://127.0.0.1:8080/notes/1
//	curl -i http://127.0.0.1:8080/notes/1
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/store/memstore"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "the `address` to serve on")
	flag.Parse()
	log.Printf("try, twice: curl -i http://%s/notes/1", *listen)
	log.Fatal(http.ListenAndServe(*listen, newApp(memstore.New(64<<20), time.Second)))
}

// newApp is the app; reading a note takes the time of work.
func newApp(kept *memstore.Store, work time.Duration) http.Handler {
	r := chi.NewRouter()
	cache := freshet.New(kept, freshet.Options{})
	n := &notes{work: work, text: map[string]string{"1": "buy milk"}}
	r.Route("/notes/{id}", func(r chi.Router) {
		// reading and writing, so that the one knows of the other
		r.Use(cache.With(freshet.Policy{TTL: time.Hour, ClientTTL: -1}))
		r.Get("/", n.read)
		r.Put("/", n.write)
	})
	return cache.Root(r)
}

type notes struct {
	work time.Duration
	mu   sync.Mutex
	text map[string]string
}

func (n *notes) read(w http.ResponseWriter, r *http.Request) {
	time.Sleep(n.work)
	n.mu.Lock()
	text, found := n.text[chi.URLParam(r, "id")]
	n.mu.Unlock()
	if !found {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintln(w, text)
}

func (n *notes) write(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	n.text[chi.URLParam(r, "id")] = string(text)
	n.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

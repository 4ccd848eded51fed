package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/freshet-go/freshet"
)

// api keeps records in memory, by bucket/collection/id.
type api struct {
	cache *freshet.Cache

	mu      sync.Mutex
	records map[string]json.RawMessage
}

func newAPI(cache *freshet.Cache) *api {
	return &api{cache: cache, records: map[string]json.RawMessage{
		"blog/articles/hello": json.RawMessage(`{"title":"Hello"}`),
		"blog/drafts/soon":    json.RawMessage(`{"title":"Not yet"}`),
		"shop/goods/tea":      json.RawMessage(`{"price":4}`),
	}}
}

// place is where the request's collection is: the beginning of its records' names, and their tag.
func place(r *http.Request) string {
	return r.PathValue("bucket") + "/" + r.PathValue("collection") + "/"
}

func (a *api) record(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	name := place(r) + r.PathValue("id")
	switch r.Method {
	case http.MethodPut:
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil || !json.Valid(body) {
			http.Error(w, "a record is JSON of at most 64 KiB", http.StatusBadRequest)
			return
		}
		a.records[name] = body
		a.changed(w, r)
	case http.MethodDelete:
		delete(a.records, name)
		a.changed(w, r)
	default:
		body, found := a.records[name]
		if !found {
			http.NotFound(w, r)
			return
		}
		answer(w, body)
	}
}

// changed ends a write. The cache sees by itself that what is stored for this URL is outdated; that
// the collection's page is too, it must be told.
func (a *api) changed(w http.ResponseWriter, r *http.Request) {
	if _, err := a.cache.InvalidateTag(r.Context(), place(r)); err != nil {
		http.Error(w, "stored, but old pages may be served: "+err.Error(),
			http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// collection lists the ids of a collection's records. Its page carries the collection's tag.
func (a *api) collection(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	freshet.FromContext(r.Context()).Tag(place(r))
	ids := []string{}
	for _, name := range slices.Sorted(maps.Keys(a.records)) {
		if id, within := strings.CutPrefix(name, place(r)); within {
			ids = append(ids, id)
		}
	}
	body, err := json.Marshal(ids)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, body)
}

func answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "%s\n", body)
}

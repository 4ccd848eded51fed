package mounts_test

import (
	"net/http"
	"testing"

	"github.com/gorilla/mux"

	"github.com/freshet-go/freshet/adapters/gorillacache"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// An app with other routes does not answer by what an earlier build of it stored for a route that
// stood where now another one stands.
func TestRoutesOfGorillaInAnotherBuild(t *testing.T) {
	keeper, journal := memstore.New(1<<20), memjournal.New()
	t.Cleanup(keeper.Close)
	build := func(routes func(r *mux.Router)) http.Handler {
		r := mux.NewRouter()
		c := newCacheOn(t, keeper, middleware.Options{Journal: journal,
			Route: gorillacache.Route(r)})
		r.Use(func(h http.Handler) http.Handler { return c.Handler(h) }, logging)
		routes(r)
		return r
	}
	before := build(func(r *mux.Router) {
		r.HandleFunc("/", admin).Headers("X-Who", "admin")
		r.HandleFunc("/", public)
	})
	after := build(func(r *mux.Router) {
		r.HandleFunc("/health", public)
		r.HandleFunc("/", admin).Headers("X-Who", "admin")
		r.HandleFunc("/", public)
	})
	swapped := build(func(r *mux.Router) {
		r.HandleFunc("/", public).Headers("X-Who", "")
		r.HandleFunc("/", admin)
	})
	want(t, "the admin's, before", get(before, "/", "X-Who", "admin").Body.String(), "admin")
	want(t, "the public's, before", get(before, "/").Body.String(), "public")
	want(t, "the admin's, after", get(after, "/", "X-Who", "admin").Body.String(), "admin")
	want(t, "the public's, after", get(after, "/").Body.String(), "public")
	want(t, "the admin's, swapped", get(swapped, "/").Body.String(), "admin")
	again := build(func(r *mux.Router) {
		r.HandleFunc("/", admin).Headers("X-Who", "admin")
		r.HandleFunc("/", public)
	})
	w := get(again, "/")
	want(t, "the public's, again", w.Body.String(), "public")
	if status := w.Header().Get("Cache-Status"); status[:len("Freshet; hit")] != "Freshet; hit" {
		t.Errorf("the same build does not share what is stored: %s", status)
	}
}

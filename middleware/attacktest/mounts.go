package attacktest

import (
	"fmt"
	"io"
	"net/http"
)

// mounts: one cache before two handlers at one URL, a public one and an admin's.
func mounts() (all []Attack) {
	for _, lifetime := range []string{"", "max-age=60", "public, max-age=60", "no-cache"} {
		for _, first := range []string{"the public one first", "the admin's first"} {
			all = append(all, Attack{Class: "mounts", Name: fmt.Sprintf("two handlers, %q, %s",
				lifetime, first), needs: twoMounts, run: func(a *arena) string {
				return a.mixed(lifetime, first == "the admin's first")
			}})
		}
	}
	return all
}

func (a *arena) mixed(lifetime string, adminFirst bool) string {
	says := func(word string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if lifetime != "" {
				w.Header().Set("Cache-Control", lifetime)
			}
			w.Header().Set("Etag", `"same"`)
			if r.Header.Get("If-None-Match") == `"same"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			io.WriteString(w, word)
		})
	}
	public, admin := a.site.Two(says("for everybody"), says("for the admin"))
	ask := func(h http.Handler) answer {
		server := serve(h)
		defer server.Close()
		b := *a
		b.address = server.Listener.Addr().String()
		return b.get("/page")
	}
	order := []http.Handler{public, admin, public, admin}
	want := []string{"for everybody", "for the admin", "for everybody", "for the admin"}
	if adminFirst {
		order, want = order[1:], want[1:]
	}
	for i, h := range order {
		if got := ask(h); got.body != want[i] {
			return fmt.Sprintf("a client who should get %q got %s", want[i], got)
		}
	}
	return ""
}

package attacktest

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

// outside: a handler around the cache says of a page that it is one visitor's, before the cache is
// called or as the header goes out. The next visitor asks for the page.
func outside() (all []Attack) {
	for name, around := range map[string]func(http.Handler) http.Handler{
		"a cookie, before":               before("Set-Cookie", "session=%d"),
		"a cookie, late":                 late("Set-Cookie", "session=%d"),
		"a token, before":                before("X-Session-Token", "session=%d"),
		"a token, late":                  late("X-Session-Token", "session=%d"),
		"private, before":                before("Cache-Control", "private"),
		"private, late":                  late("Cache-Control", "private"),
		"no-store, late":                 late("Cache-Control", "no-store"),
		"no-store for CDNs, late":        late("Cdn-Cache-Control", "no-store"),
		"Vary, before":                   before("Vary", "X-Visitor"),
		"Vary, late":                     late("Vary", "X-Visitor"),
		"a Vary that the page sets, too": before("Vary", "Accept-Encoding"),
	} {
		for _, page := range []string{"a page", "a page after a hint", "a page that streams",
			"an answer to POST"} {
			all = append(all, Attack{Class: "outside", Name: name + ", " + page, needs: something,
				run: func(a *arena) string {
					return a.around(around, page, name)
				}})
		}
	}
	sortByName(all)
	return all
}

// before sets a field before the cache is called, and late as the header goes out, where %d is the
// visitor.
func before(name, value string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add(name, visitor(value, r))
			next.ServeHTTP(w, r)
		})
	}
}

func late(name, value string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&lateWriter{ResponseWriter: w, name: name, value: visitor(value, r)}, r)
		})
	}
}

func visitor(value string, r *http.Request) string {
	if value == "session=%d" {
		return "session=" + r.Header.Get("X-Visitor")
	}
	return value
}

type lateWriter struct {
	http.ResponseWriter
	name, value string
	wrote       bool
}

func (w *lateWriter) WriteHeader(status int) {
	if !w.wrote {
		w.wrote = true
		w.Header().Add(w.name, w.value)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *lateWriter) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

func (w *lateWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (a *arena) around(around func(http.Handler) http.Handler, kind, name string) string {
	var runs atomic.Int64
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name == "a Vary that the page sets, too" {
			w.Header().Set("Vary", "Accept-Encoding")
		}
		switch kind {
		case "a page after a hint":
			w.WriteHeader(http.StatusEarlyHints)
		case "an answer to POST":
			w.Header().Set("Content-Location", "/page")
			w.Header().Set("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")
		}
		fmt.Fprintf(w, "run %d for %s\n", runs.Add(1), r.Header.Get("X-Visitor"))
		if kind == "a page that streams" {
			http.NewResponseController(w).Flush()
			io.WriteString(w, "and more\n")
		}
	})
	server := serve(a.site.Around(around, page))
	defer server.Close()
	b := *a
	b.address = server.Listener.Addr().String()
	if kind == "an answer to POST" {
		b.do("POST", "/page", "X-Visitor: victim", "Accept-Encoding: victim", "Content-Length: 0")
	} else {
		b.get("/page", "X-Visitor: victim", "Accept-Encoding: victim")
	}
	if got := b.get("/page", "X-Visitor: attacker", "Accept-Encoding: attacker"); got.has("victim") {
		return "the attacker got the victim's page: " + got.String()
	}
	return ""
}

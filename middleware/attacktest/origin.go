package attacktest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Origin is an app with every weakness that the corpus looks for. Make one with [NewOrigin] for
// each [Run]. It is safe for concurrent use.
type Origin struct {
	// Says is the Cache-Control of its pages. Empty: they have none, and the operator's lifetime
	// applies.
	Says string

	mu      sync.Mutex
	cases   map[string]http.HandlerFunc
	running sync.Map // of *atomic.Int64, by case
}

// NewOrigin returns an Origin whose pages say nothing about caching.
func NewOrigin() *Origin { return &Origin{cases: map[string]http.HandlerFunc{}} }

func (o *Origin) set(path string, h http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cases[path] = h
}

// runs returns how many runs of a case are under way.
func (o *Origin) runs(path string) *atomic.Int64 {
	n, _ := o.running.LoadOrStore(path, new(atomic.Int64))
	return n.(*atomic.Int64)
}

// ServeHTTP answers as the app.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	name, _, _ := strings.Cut(rest, "/")
	switch first {
	case "case":
		path := "/case/" + name
		o.mu.Lock()
		h := o.cases[path]
		o.mu.Unlock()
		if h == nil {
			break
		}
		n := o.runs(path)
		n.Add(1)
		defer n.Add(-1)
		h(w, r)
		return
	case "personal":
		o.personal(w, r)
		return
	}
	o.public(w, r) // whatever else is asked for
}

func (o *Origin) says(w http.ResponseWriter) {
	if o.Says != "" {
		w.Header().Set("Cache-Control", o.Says)
	}
}

// public shows everything that came with the request, as debug pages and templates do. It refuses
// what servers refuse, with a page that may be cached.
func (o *Origin) public(w http.ResponseWriter, r *http.Request) {
	if status := refusal(r); status != 0 {
		w.Header().Set("Cache-Control", "max-age=60")
		http.Error(w, "refused", status)
		return
	}
	o.says(w)
	fmt.Fprintf(w, "method=%s host=%s url=%s query=%s\n", r.Method, r.Host, r.URL, r.URL.Query())
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(w, "%s=%q\n", name, r.Header[name])
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	fmt.Fprintf(w, "body=%s\n", body)
}

// refusal is the status with which a server of some kind refuses a request, or 0.
func refusal(r *http.Request) int {
	fields := 0
	for name, values := range r.Header {
		fields += len(values)
		for _, v := range values {
			if len(name)+len(v) >= 4<<10 {
				return http.StatusBadRequest
			}
			if strings.ContainsFunc(v, func(c rune) bool {
				return c < ' ' && c != '\t' || c >= 0x7f
			}) {
				return http.StatusBadRequest
			}
		}
	}
	switch {
	case fields >= 64:
		return http.StatusBadRequest
	case r.Header.Get("Expect") != "" && !strings.EqualFold(r.Header.Get("Expect"), "100-continue"):
		return http.StatusInternalServerError
	case r.Header.Get("X-Http-Method-Override") != "", r.Header.Get("X-Http-Method") != "",
		r.Header.Get("X-Method-Override") != "":
		return http.StatusNotFound
	case r.Header.Get("Upgrade") != "":
		return http.StatusNotImplemented
	case strings.Trim(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "0123456789-,") != "":
		return http.StatusNotFound
	}
	return 0
}

// personal shows who asks, by whatever the request says of that.
func (o *Origin) personal(w http.ResponseWriter, r *http.Request) {
	o.says(w)
	user := "nobody"
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, v := range r.Header[name] {
			if strings.Contains(v, "secret") {
				user = v
			}
		}
	}
	fmt.Fprintf(w, "the mail of %s\n", user)
}

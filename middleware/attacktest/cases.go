package attacktest

import (
	"fmt"
	"net/http"
	"strings"
)

// hostile shows the host and the target as the handler sees them, as apps do that build links.
func hostile(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "host=%s scheme=%s target=%s path=%s raw=%s \n", r.Host, r.URL.Scheme,
		r.RequestURI, r.URL.Path, r.URL.RawPath)
}

// says returns a handler that says so and shows who asks.
func says(header http.Header) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		if tag := header.Get("Etag"); tag != "" && r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if t := header.Get("Last-Modified"); t != "" && r.Header.Get("If-Modified-Since") == t {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, "the mail of %s\n", whoAsks(r))
	}
}

// whoAsks is what a request says of its user.
func whoAsks(r *http.Request) string {
	for _, values := range r.Header {
		for _, v := range values {
			if strings.Contains(v, "secret") {
				return v
			}
		}
	}
	return "nobody"
}

// header makes a header of lines.
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h[name] = append(h[name], value)
		}
	}
	return h
}

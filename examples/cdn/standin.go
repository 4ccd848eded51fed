package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// standIn stands in for Varnish where none is installed. It is a toy: it keeps what has a max-age
// in CDN-Cache-Control for as long as it runs, looks neither at Vary nor at credentials, and takes
// purges by tag alone, as default.vcl has them.
type standIn struct {
	apps [2]*httputil.ReverseProxy
	turn atomic.Int64

	mu    sync.Mutex
	pages map[string]*httptest.ResponseRecorder // by URL
}

func (f *front) startStandIn(_ context.Context, one, two string) (func(), error) {
	s := &standIn{pages: map[string]*httptest.ResponseRecorder{}}
	for i, address := range []string{one, two} {
		to := &url.URL{Scheme: "http", Host: address}
		s.apps[i] = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		}}
	}
	l, err := net.Listen("tcp", f.address)
	if err != nil {
		return nil, err
	}
	server, ended := &http.Server{Handler: s}, make(chan struct{})
	go func() {
		server.Serve(l)
		close(ended)
	}()
	return func() { server.Close(); <-ended }, nil
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case "PURGE":
		s.purge(w, r)
		return
	case http.MethodGet:
	default:
		s.app().ServeHTTP(w, r)
		return
	}
	s.mu.Lock()
	page := s.pages[r.Host+r.RequestURI]
	s.mu.Unlock()
	status := "HIT"
	if page == nil {
		page, status = httptest.NewRecorder(), "MISS"
		s.app().ServeHTTP(page, r)
		if page.Code == 200 && strings.HasPrefix(page.Header().Get("CDN-Cache-Control"), "max-age=") {
			s.mu.Lock()
			s.pages[r.Host+r.RequestURI] = page
			s.mu.Unlock()
		}
	}
	for name, values := range page.Header() {
		w.Header()[name] = values
	}
	w.Header().Del("Xkey")
	w.Header().Del("CDN-Cache-Control")
	w.Header().Set("X-Cache-Status", status)
	member := "Varnish; fwd=miss"
	if status == "HIT" {
		member = "Varnish; hit"
	}
	w.Header().Set("Cache-Status", page.Header().Get("Cache-Status")+", "+member)
	w.WriteHeader(page.Code)
	w.Write(bytes.Clone(page.Body.Bytes()))
}

// app returns the app's processes in turn.
func (s *standIn) app() http.Handler { return s.apps[s.turn.Add(1)%2] }

// purge removes the pages with a tag, and answers with a reason of its own, as Varnish does.
func (s *standIn) purge(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Purge-Key") != secret {
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	gone := 0
	s.mu.Lock()
	for name, page := range s.pages {
		for _, tag := range strings.Fields(r.Header.Get("Xkey")) {
			if strings.Contains(" "+page.Header().Get("Xkey")+" ", " "+tag+" ") {
				delete(s.pages, name)
				gone++
			}
		}
	}
	s.mu.Unlock()
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 200 Invalidated %d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", gone)
}

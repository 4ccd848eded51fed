package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/freshet-go/freshet/internal/testserver"
)

// All servers answer alike, from a store or from a handler, but for the fields that caches add. The
// servers end with the process, as in the measurement.
func TestAllAnswerAlike(t *testing.T) {
	for _, c := range []struct {
		name, kind, store string
		runs              int64 // for three requests
	}{
		{"bare", "bare", "", 3},
		{"origin", "origin", "", 3},
		{"freshet", "freshet", "", 1},
		{"freshet, Redis and near", "freshet", "redis", 1},
		{"freshet, Redis alone", "freshet", "redis?near=0", 1},
		{"root", "root", "", 1},
		{"gofiber", "gofiber", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			storeURL := ""
			if c.store != "" {
				storeURL = testserver.Redis(t).URL + c.store[len("redis"):]
			}
			p := newPage(pageSize)
			serve, err := p.server(t.Context(), c.kind, storeURL)
			if err != nil {
				t.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go serve(l)
			defer l.Close()
			for range 3 {
				response, err := http.Get("http://" + l.Addr().String() + "/articles/1?page=1")
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != 200 || len(body) != pageSize {
					t.Fatalf("%s with %d bytes, %v", response.Status, len(body), err)
				}
				for _, f := range p.fields {
					// fasthttp has its own
					if got := response.Header.Get(f[0]); got != f[1] && f[0] != "Date" {
						t.Errorf("%s: %q, want %q", f[0], got, f[1])
					}
				}
			}
			if runs := p.runs.Load(); runs != c.runs {
				t.Errorf("the handler ran %d times for three requests, want %d", runs, c.runs)
			}
		})
	}
	if _, err := newPage(pageSize).server(t.Context(), "apache", ""); err == nil {
		t.Error("a kind that is none, and no error")
	}
}

func TestTheHandlersRunsAreTold(t *testing.T) {
	p := newPage(pageSize)
	for range 2 {
		p.origin(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	w := httptest.NewRecorder()
	controlled(&p.runs).ServeHTTP(w, httptest.NewRequest("GET", "/runs", nil))
	if w.Body.String() != "2" {
		t.Errorf("after two runs it says %q", w.Body)
	}
}

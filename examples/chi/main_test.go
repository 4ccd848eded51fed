package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store/memstore"
)

func TestNotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := memstore.New(1 << 20)
		defer kept.Close()
		app := newApp(kept, time.Second)
		for _, step := range []struct {
			what, method, target, sent string
			code                       int
			body, cache                string
			took                       time.Duration
		}{
			{"a miss", "GET", "/notes/1", "", 200, "buy milk\n", "fwd=uri-miss", time.Second},
			{"a hit", "GET", "/notes/1", "", 200, "buy milk\n", "hit", 0},
			{"too long a note changes nothing", "PUT", "/notes/1", strings.Repeat("x", 2000), 400,
				"http: request body too large\n", "fwd=method", 0},
			{"and invalidates nothing", "GET", "/notes/1", "", 200, "buy milk\n", "hit", 0},
			{"another text", "PUT", "/notes/1", "buy more milk", 204, "", "fwd=method", 0},
			{"is what is read next", "GET", "/notes/1", "", 200, "buy more milk\n", "fwd=",
				time.Second},
			{"and then from the cache", "GET", "/notes/1", "", 200, "buy more milk\n", "hit", 0},
			{"what is not there", "GET", "/notes/2", "", 404, "404 page not found\n",
				"fwd=uri-miss", time.Second},
			{"is asked for again", "GET", "/notes/2", "", 404, "404 page not found\n",
				"fwd=uri-miss", time.Second},
		} {
			start := time.Now()
			w := httptest.NewRecorder()
			app.ServeHTTP(w, httptest.NewRequest(step.method, step.target,
				strings.NewReader(step.sent)))
			if took := time.Since(start); took != step.took {
				t.Errorf("%s: took %v, want %v", step.what, took, step.took)
			}
			if w.Code != step.code || w.Body.String() != step.body {
				t.Errorf("%s: got %d %q, want %d %q", step.what, w.Code, w.Body, step.code,
					step.body)
			}
			if step.method == "GET" && step.code == 200 {
				if told := w.Header().Get("Cache-Control"); told != "no-cache" {
					t.Errorf("%s: a browser is told %q: it would go on with an old note", step.what,
						told)
				}
			}
			if s := w.Header().Get("Cache-Status"); !strings.Contains(s, step.cache) {
				t.Errorf("%s: Cache-Status is %q, want it to contain %q", step.what, s, step.cache)
			}
		}
	})
}

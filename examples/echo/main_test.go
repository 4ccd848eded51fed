package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store/memstore"
)

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := memstore.New(1 << 20)
		defer kept.Close()
		app := newApp(kept, time.Second)
		first, took, status := ask(app, "/report/7")
		expect(t, "a miss", took, time.Second, status, "fwd=uri-miss")
		second, took, status := ask(app, "/report/7")
		expect(t, "a hit", took, 0, status, "hit")
		if second != first || !strings.HasPrefix(first, "report 7,") {
			t.Errorf("a miss got %q, then a hit got %q", first, second)
		}

		time.Sleep(20 * time.Second)
		stale, took, status := ask(app, "/report/7")
		expect(t, "stale", took, 0, status, "hit")
		if stale != first {
			t.Errorf("while it is made anew: %q", stale)
		}
		time.Sleep(2 * time.Second)
		anew, took, status := ask(app, "/report/7")
		expect(t, "made anew", took, 0, status, "hit")
		if anew == first {
			t.Errorf("it was not made anew: %q", anew)
		}

		for range 2 {
			page, took, status := ask(app, "/report/0")
			expect(t, "an error", took, time.Second, status, "fwd=uri-miss")
			if !strings.Contains(page, "no report 0") {
				t.Errorf("the page of an error is %q", page)
			}
		}
	})
}

func ask(app http.Handler, target string) (body string, took time.Duration, status string) {
	start := time.Now()
	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w.Body.String(), time.Since(start), w.Header().Get("Cache-Status")
}

func expect(t *testing.T, what string, took, wait time.Duration, status, contains string) {
	t.Helper()
	if took != wait || !strings.Contains(status, contains) {
		t.Errorf("%s: took %v with Cache-Status %q, want %v and %q", what, took, status, wait,
			contains)
	}
}

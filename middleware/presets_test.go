package middleware_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/freshettest"
	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// On a developer's machine browsers ask again, whatever the handler said of them, and the log has a
// line for each request.
func TestDevelopment(t *testing.T) {
	pages := memstore.New(64 << 20)
	defer pages.Close()
	var log bytes.Buffer
	c := middleware.New(pages, middleware.Development(slog.New(slog.NewTextHandler(&log, nil))))
	defer c.Shutdown(t.Context())
	says := ""
	h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if says != "" {
			w.Header().Set("Cache-Control", says)
		}
		w.Write([]byte("page"))
	}))
	for path, x := range map[string]struct{ says, sent string }{
		"/silent":    {"", "no-cache"},
		"/lifetime":  {"max-age=60, must-revalidate", "no-cache"},
		"/private":   {"private, max-age=60", "private, no-cache"},
		"/secret":    {"no-store", "no-store"},
		"/unchanged": {"max-age=60, no-transform", "no-cache, no-transform"},
	} {
		says = x.says
		for range 2 {
			resp := freshettest.Get(t, h, path)
			if got := resp.Header.Get("Cache-Control"); got != x.sent || resp.Header.Get("Expires") != "" {
				t.Errorf("%s: Cache-Control %q, want %q; Expires %q", path, got, x.sent, resp.Header["Expires"])
			}
		}
		hit := freshettest.Get(t, h, path)
		if stored := path != "/private" && path != "/secret"; freshettest.StatusOf(hit.Header).Hit != stored {
			t.Errorf("%s: Cache-Status %q", path, hit.Header["Cache-Status"])
		}
		etag := hit.Header.Get("ETag")
		if again := freshettest.Get(t, h, path, "If-None-Match", etag); etag != "" &&
			(again.StatusCode != http.StatusNotModified || again.Header.Get("Cache-Control") != x.sent) {
			t.Errorf("%s: a reload got %d, Cache-Control %q", path, again.StatusCode, again.Header["Cache-Control"])
		}
	}
	log.Reset()
	says = ""
	freshettest.Get(t, h, "/new?q=1")
	freshettest.Get(t, h, "/new?q=1")
	freshettest.Get(t, h, "/new?q=1", "Cookie", "user=ann")
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("the log has %q", lines)
	}
	for i, want := range []string{"its response was stored", "The stored response answered", "detail=cookie"} {
		if !strings.Contains(lines[i], "GET /new?q=1") || !strings.Contains(lines[i], "status=200") ||
			!strings.Contains(lines[i], want) {
			t.Errorf("line %d is %s, want %q in it", i, lines[i], want)
		}
	}
	if !strings.Contains(lines[2], "to change it") {
		t.Errorf("there is no advice in %s", lines[2])
	}
}

// In an app's tests a store that fails does not look like a miss, and one that is slow does not
// fail.
func TestForTests(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("page")) })
	inner := memstore.New(64 << 20)
	defer inner.Close()
	refused := faulty.Store(inner, faulty.Refuse(errors.New("refused")))
	h := newCacheOn(t, refused, middleware.ForTests(slog.New(slog.DiscardHandler))).With(minute)(page)
	if resp := freshettest.Get(t, h, "/"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("with a store that fails: %d", resp.StatusCode)
	}
	synctest.Test(t, func(t *testing.T) {
		pages := memstore.New(64 << 20)
		defer pages.Close()
		slow := faulty.Store(pages, faulty.Slow(10*time.Second))
		c := newCacheOn(t, slow, middleware.ForTests(freshettest.Log(t)))
		h := c.With(policy.Policy{TTL: time.Hour})(page)
		freshettest.Stored(t, freshettest.Get(t, h, "/"))
		synctest.Wait()
		freshettest.Hit(t, freshettest.Get(t, h, "/"))
	})
}

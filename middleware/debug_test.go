package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

var debugKey = []byte("0123456789abcdef0123456789abcdef")

func debugToken(t *testing.T, host, path string) string {
	t.Helper()
	token, err := middleware.DebugToken(debugKey, host, path, time.Now(),
		time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// A request with a good token gets the explanation, and is answered as ever. Neither of the fields
// goes further.
func TestADebugTokenExplains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keeps := memstore.New(1 << 20)
		defer keeps.Close()
		c := middleware.New(keeps, middleware.Options{Log: discard, DebugKey: debugKey})
		defer c.Shutdown(t.Context())
		var runs, saw atomic.Int64
		app := c.Root(c.With(aMinute)(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			runs.Add(1)
			if r.Header.Get("Freshet-Debug") != "" {
				saw.Add(1)
			}
			w.Header().Set("Vary", "Freshet-Debug")
			w.Header().Set("Freshet-Explain", "forged")
			fmt.Fprint(w, "page")
		})))
		ask := func(target string, tokens ...string) http.Header {
			r := requesting("GET", target)
			for _, token := range tokens {
				r.Header.Add("Freshet-Debug", token)
			}
			w := httptest.NewRecorder()
			app.ServeHTTP(w, r)
			return w.Header()
		}
		good := debugToken(t, "SHOP.example", "/page")
		h := ask("/page", good)
		if got := h.Get("Freshet-Explain"); !strings.HasPrefix(got, "fwd=uri-miss; fwd-status=200; stored; rfc=") ||
			!strings.Contains(got, `response-lifetime="1m0s (Policy.TTL)"`) {
			t.Errorf("the explanation is %q", got)
		}
		if got := h.Get("Cache-Control"); !strings.HasPrefix(got, "private") {
			t.Errorf("Cache-Control is %q: caches on the way may keep the explanation", got)
		}
		h = ask("/page", good)
		if got := h.Get("Freshet-Explain"); !strings.HasPrefix(got, "hit; ttl=60") {
			t.Errorf("the explanation of a hit is %q", got)
		}
		h = ask("/page")
		if len(h["Freshet-Explain"]) > 0 || !strings.Contains(h.Get("Cache-Status"), "hit") {
			t.Errorf("the next client gets %v", h)
		}
		time.Sleep(time.Second)
		for what, tokens := range map[string][]string{
			"a wrong one":        {good[:len(good)-2] + "AA"},
			"two":                {good, good},
			"an empty one":       {""},
			"an oversized one":   {strings.Repeat("1", 1<<20)},
			"another path's":     {debugToken(t, "shop.example", "/other")},
			"another host's":     {debugToken(t, "other.example", "/page")},
			"another version's":  {"2" + good[1:]},
			"one without an end": {"1.x." + good[len(good)-43:]},
		} {
			if got := ask("/page", tokens...).Get("Freshet-Explain"); got != "" {
				t.Errorf("%s is taken for good: %s", what, got)
			}
		}
		if h := ask("/page?day=2", good); h.Get("Freshet-Explain") == "" {
			t.Error("a token is not good for another query")
		}
		time.Sleep(2 * time.Minute)
		// the page has expired, too, and its handler answers
		if got := ask("/page", good).Get("Freshet-Explain"); got != "forged" {
			t.Errorf("a token that has expired is taken for good: %s", got)
		}
		want(t, "runs whose handler saw the token", saw.Load(), int64(0))
		want(t, "requests that carry a trace", middleware.Explaining(), int64(0))
	})
}

// A token lives for an hour at most, also one that another program made, and a key has a least
// length.
func TestDebugTokensAreShortLived(t *testing.T) {
	now := time.Now()
	for what, err := range map[string]error{
		"an hour": second(middleware.DebugToken(debugKey, "h", "/", now,
			now.Add(time.Hour+time.Second))),
		"no time": second(middleware.DebugToken(debugKey, "h", "/", now, now)),
		"a short key": second(middleware.DebugToken(debugKey[:15], "h", "/", now,
			now.Add(time.Minute))),
		"no host": second(middleware.DebugToken(debugKey, "", "/", now,
			now.Add(time.Minute))),
		"a path without a slash": second(middleware.DebugToken(debugKey, "h", "x", now,
			now.Add(time.Minute))),
		"a path longer than that": second(middleware.DebugToken(debugKey, "h",
			"/"+strings.Repeat("x", 8<<10), now, now.Add(time.Minute))),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	defer func() {
		if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), "DebugKey has 3 bytes") {
			t.Errorf("a short DebugKey: %v", v)
		}
	}()
	keeps := memstore.New(1 << 20)
	defer keeps.Close()
	middleware.New(keeps, middleware.Options{DebugKey: []byte("abc")})
}

func second(_ string, err error) error { return err }

// Without a token, a key costs a hit nothing.
func TestADebugKeyCostsAHitNothing(t *testing.T) {
	allocations := func(o middleware.Options) float64 {
		h := newCache(t, o).With(aMinute)(http.HandlerFunc(answers()))
		r := requesting("GET", "/page")
		w := blank{make(http.Header, 16)}
		h.ServeHTTP(w, r)
		return testing.AllocsPerRun(100, func() {
			clear(w.header)
			h.ServeHTTP(w, r)
		})
	}
	want(t, "allocations of a hit", allocations(middleware.Options{DebugKey: debugKey}),
		allocations(middleware.Options{}))
}

// Whatever a token is, nothing happens but that it is none.
func FuzzDebugToken(f *testing.F) {
	f.Add("1.99999999999.AAAA", "h", "/")
	f.Add("", "", "")
	keeps := memstore.New(1 << 20)
	f.Cleanup(keeps.Close)
	c := middleware.New(keeps, middleware.Options{Log: discard, DebugKey: debugKey})
	h := c.With(aMinute)(http.HandlerFunc(answers()))
	f.Fuzz(func(t *testing.T, token, host, path string) {
		r := requesting("GET", "/page")
		r.Host, r.RequestURI = host, path
		r.Header["Freshet-Debug"] = []string{token}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Header().Get("Freshet-Explain") != "" {
			t.Errorf("%q is good for %q and %q", token, host, path)
		}
	})
}

package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/httpstore"
	"github.com/freshet-go/freshet/store/memstore"
)

// The base of a store's URL may have a path, as the table of the docs has: two are two stores.
func TestABaseWithAPath(t *testing.T) {
	values := memstore.NewBackend(1 << 20)
	t.Cleanup(func() { values.Close() })
	site := httptest.NewServer(New(values, Options{}))
	t.Cleanup(site.Close)
	all := map[string]*httpstore.Backend{}
	for _, base := range []string{"", "/", "/blog", "/blog/en/"} {
		c, err := httpstore.ParseURL("http+store" + strings.TrimPrefix(site.URL, "http") + base +
			"?allow=127.0.0.1&ttl_header=Freshet-TTL")
		if err != nil {
			t.Fatal(err)
		}
		b, err := httpstore.New(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		if _, err := b.Health(t.Context()); err != nil {
			t.Errorf("base %q: Health: %v", base, err)
		}
		if base == "/" {
			continue // the same as none
		}
		all[base] = b
		if err := b.Set(t.Context(), "page:1", []byte("of "+base), time.Minute); err != nil {
			t.Errorf("base %q: Set: %v", base, err)
		}
	}
	for base, b := range all {
		if got, err := b.Get(t.Context(), "page:1"); err != nil || string(got) != "of "+base {
			t.Errorf("base %q: Get: %q, %v", base, got, err)
		}
	}
	if existed, err := all["/blog"].Delete(t.Context(), "page:1"); err != nil || !existed {
		t.Errorf("Delete: %v, %v", existed, err)
	}
	if _, err := all["/blog"].Get(t.Context(), "page:1"); err != store.ErrNotFound {
		t.Errorf("Get after Delete: %v", err)
	}
	if _, err := all[""].Get(t.Context(), "page:1"); err != nil {
		t.Errorf("Get from another base: %v", err)
	}
}

func TestPathsThatNameNoValue(t *testing.T) {
	values := memstore.NewBackend(1 << 20)
	t.Cleanup(func() { values.Close() })
	h := New(values, Options{})
	for _, path := range []string{"/", "/blog/", "/" + strings.Repeat("a", maxKey+1)} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, path+"?ttl=60", strings.NewReader("x"))
			h.ServeHTTP(w, r)
			if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "1024") {
				t.Errorf("%s %.20s: %d %s", method, path, w.Code, w.Body)
			}
		}
	}
}

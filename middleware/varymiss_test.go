package middleware_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/tieredstore"
)

// Cache-Status says what is stored for the URI: nothing once all of it was invalidated, though an
// index of its variants is left, and nobody knows what once a tag was that one variant had (RFC
// 9211 section 2.2).
func TestWhatIsSaidOfVariantsThatWereInvalidated(t *testing.T) {
	purge := func(m store.Mark) func(*testing.T, *middleware.Cache, http.Handler) {
		return func(t *testing.T, c *middleware.Cache, _ http.Handler) {
			if _, err := c.Invalidate(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range []struct {
		name     string
		purge    func(*testing.T, *middleware.Cache, http.Handler)
		en, then string // what is said to who asks for English, and then for German
	}{
		{"nothing", func(*testing.T, *middleware.Cache, http.Handler) {}, "hit", "fwd=vary-miss"},
		{"the URL", func(t *testing.T, c *middleware.Cache, _ http.Handler) {
			if _, err := c.InvalidateURL(t.Context(), "http://example.com/"); err != nil {
				t.Fatal(err)
			}
		}, "fwd=uri-miss", "fwd=vary-miss"},
		{"a POST", func(t *testing.T, _ *middleware.Cache, h http.Handler) { do(h, "POST", "/") },
			"fwd=uri-miss", "fwd=vary-miss"},
		{"a prefix", purge(store.Mark{Kind: store.MarkPrefix, Name: "http://example.com/"}),
			"fwd=uri-miss", "fwd=vary-miss"},
		{"everything", purge(store.Mark{Kind: store.MarkEverything}), "fwd=uri-miss",
			"fwd=vary-miss"},
		{"a tag", purge(tag("en")), "fwd=miss", "fwd=vary-miss"},
		{"another's tag", purge(tag("fr")), "hit", "fwd=vary-miss"},
		{"another URL", purge(store.Mark{Kind: store.MarkKey, Name: "http://example.com/a"}), "hit",
			"fwd=vary-miss"},
	} {
		for _, tiers := range []bool{false, true} {
			name := s.name
			if tiers {
				name += ", in two tiers"
			}
			t.Run(name, func(t *testing.T) {
				c := newCache(t)
				if tiers {
					near, far := memstore.New(1<<20), memstore.NewBackend(1<<20)
					defer near.Close()
					defer far.Close()
					c = middleware.New(tieredstore.New(near, store.New(far, store.Options{}),
						tieredstore.Options{}), middleware.Options{Log: discard})
					defer c.Shutdown(t.Context())
				}
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == "POST" {
						return
					}
					lang := r.Header.Get("Accept-Language")
					middleware.FromContext(r.Context()).Tag(lang)
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("Vary", "Accept-Language")
					io.WriteString(w, lang)
				}))
				ask := func(lang, says string) {
					t.Helper()
					r := get(h, "/", "Accept-Language", lang)
					want(t, "body", body(r), lang)
					status(t, r, says)
				}
				ask("en", "fwd=uri-miss")
				ask("fr", "fwd=vary-miss")
				s.purge(t, c, h)
				ask("en", s.en)
				ask("de", s.then)
				ask("en", "hit")
			})
		}
	}
}

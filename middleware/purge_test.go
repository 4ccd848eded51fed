package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// purge is one of the verbs, with what it names.
type purge func(c *middleware.Cache, options ...middleware.InvalidateOption) (middleware.Receipt,
	error)

var purges = map[string]purge{
	"a URL": func(c *middleware.Cache, o ...middleware.InvalidateOption) (middleware.Receipt,
		error) {
		return c.InvalidateURL(context.Background(), "https://Example.com:443/notes/1", o...)
	},
	"URLs": func(c *middleware.Cache, o ...middleware.InvalidateOption) (middleware.Receipt,
		error) {
		return c.InvalidateURLs(context.Background(),
			[]string{"http://example.com/nothing", "https://Example.com:443/notes/1"}, o...)
	},
	"a prefix": func(c *middleware.Cache, o ...middleware.InvalidateOption) (middleware.Receipt,
		error) {
		return c.InvalidatePrefix(context.Background(), "http://example.com/notes/", o...)
	},
	"a tag": func(c *middleware.Cache, o ...middleware.InvalidateOption) (middleware.Receipt,
		error) {
		return c.InvalidateTag(context.Background(), "notes", o...)
	},
	"a policy's tag": func(c *middleware.Cache, o ...middleware.InvalidateOption) (
		middleware.Receipt, error) {
		return c.InvalidateTag(context.Background(), "pages", o...)
	},
	"all": func(c *middleware.Cache, o ...middleware.InvalidateOption) (middleware.Receipt, error) {
		return c.InvalidateAll(context.Background(), o...)
	},
}

// Each verb makes what it names unusable, or stale with Soft, and leaves the rest, but for
// InvalidateAll. The receipt's numbers grow.
func TestVerbs(t *testing.T) {
	for name, does := range purges {
		for _, soft := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", soft=", soft), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					o := &origin{}
					o.h = func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/notes/1" {
							middleware.FromContext(r.Context()).Tag("notes")
						}
						fmt.Fprint(w, "run ", o.runs.Load())
					}
					p := policy.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Minute}
					other := c.With(p)(o)
					p.Tags = []string{"pages"}
					h := c.Root(c.With(p)(o))
					want(t, "the note", body(get(h, "/notes/1")), "run 1")
					want(t, "another page", body(get(other, "/about")), "run 2")
					var options []middleware.InvalidateOption
					if soft {
						options = append(options, middleware.Soft)
					}
					first, err := does(c, options...)
					want(t, "error", err, nil)
					after := body(get(h, "/notes/1"))
					synctest.Wait()
					if soft {
						want(t, "the note, stale", after, "run 1")
						want(t, "the note, renewed behind", body(get(h, "/notes/1")), "run 3")
					} else {
						want(t, "the note", after, "run 3")
					}
					if name != "all" {
						want(t, "another page", body(get(other, "/about")), "run 2")
					}
					second, err := does(c)
					if err != nil || first.Number == 0 || second.Number <= first.Number {
						t.Errorf("the receipts have the numbers %d and %d, %v", first.Number,
							second.Number, err)
					}
				})
			})
		}
	}
}

// takesNone is a journal that can be followed and takes no marks.
type takesNone struct{ store.Journal }

func (takesNone) Append(context.Context, ...store.Mark) (uint64, error) {
	return 0, errors.New("no")
}

// An invalidation that the journal does not take holds here, and its error says that others do not
// know.
func TestVerbsSayWhatIsUnsent(t *testing.T) {
	for name, does := range purges {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New(1 << 20)
				defer s.Close()
				c := newCacheOn(t, s, middleware.Options{Journal: takesNone{memjournal.New()}})
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					middleware.FromContext(r.Context()).Tag("notes")
					fmt.Fprint(w, "run ", o.runs.Load())
				}
				h := c.With(policy.Policy{TTL: time.Minute, Tags: []string{"pages"}})(o)
				want(t, "before", body(get(h, "/notes/1")), "run 1")
				receipt, err := does(c)
				if !errors.Is(err, middleware.ErrUnsent) || receipt.Number != 0 {
					t.Errorf("the receipt is %+v, the error %v", receipt, err)
				}
				if !strings.HasPrefix(fmt.Sprint(err), "freshet: Invalidate") {
					t.Errorf("the error does not name the verb: %v", err)
				}
				want(t, "after", body(get(h, "/notes/1")), "run 2")
			})
		})
	}
}

// A prefix covers the URLs that begin with it, byte by byte, however they are written, and no
// others.
func TestPrefixes(t *testing.T) {
	for _, s := range []struct {
		prefix string
		covers map[string]bool // by target
	}{
		{"https://example.com/blog/", map[string]bool{
			"/blog/": true, "/blog/1?a=b": true, "/blog": false, "/blogger": false, "/": false,
		}},
		{"http://example.com/blog", map[string]bool{
			"/blog/": true, "/blog": true, "/blog?p=2": true, "/blogger": true, "/blo": false,
		}},
		{"https://EXAMPLE.com:443", map[string]bool{"/": true, "/blog?p=2": true}},
		{"https://example.co", map[string]bool{"/": false}},
		{"https://example.com/caf%c3%a9/", map[string]bool{
			"/caf%C3%A9/1": true, "/caf%c3%a9/2": true, "/cafe/1": false,
		}},
		{"https://example.com/%7Euser/", map[string]bool{"/~user/1": true, "/%7euser/2": true}},
		{"https://example.com/search?q=", map[string]bool{
			"/search?q=a": true, "/search?p=1&q=a": false, "/search": false,
		}},
		{"https://example.com/search?", map[string]bool{"/search?q=a": true, "/search": false}},
	} {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, o.runs.Load()) }
		h := c.With(policy.Policy{TTL: time.Minute})(o)
		for target := range s.covers {
			get(h, target)
		}
		if _, err := c.InvalidatePrefix(t.Context(), s.prefix); err != nil {
			t.Error(err)
		}
		for target, covered := range s.covers {
			hit := strings.Contains(get(h, target).Header.Get("Cache-Status"), "hit")
			want(t, s.prefix+" covers "+target, !hit, covered)
		}
	}
}

// A prefix covers what policies that fold queries, or make keys of their own, have stored for a URL
// that begins with it, whichever asked for it first.
func TestAPrefixUnderEveryPolicy(t *testing.T) {
	verbs := map[string]func(c *middleware.Cache, prefix string) (middleware.Receipt, error){
		"the verb": func(c *middleware.Cache, prefix string) (middleware.Receipt, error) {
			return c.InvalidatePrefix(t.Context(), prefix)
		},
		"a mark": func(c *middleware.Cache, prefix string) (middleware.Receipt, error) {
			return c.Invalidate(t.Context(), store.Mark{Kind: store.MarkPrefix, Name: prefix})
		},
	}
	for name, key := range map[string]policy.KeyOptions{
		"sorts":    {SortQuery: true},
		"drops":    {DropParams: []string{"p"}},
		"keeps":    {KeepParams: []string{"q"}},
		"replaces": {Replace: func(r *http.Request) string { return "search" }},
	} {
		for _, prefix := range []string{
			"https://example.com/search?q=", "http://example.com/search", "http://example.com/",
		} {
			const named, other = "/search?q=a&p=1", "/search?p=1&q=a"
			for first, then := range map[string]string{named: other, other: named} {
				for verb, purge := range verbs {
					t.Run(name+", "+prefix+", "+first+", "+verb, func(t *testing.T) {
						c := newCache(t)
						o := &origin{}
						o.h = func(w http.ResponseWriter, r *http.Request) {
							fmt.Fprint(w, o.runs.Load())
						}
						h := c.With(policy.Policy{TTL: time.Minute, Key: key})(o)
						get(h, first)
						want(t, "before", body(get(h, then)), "1")
						if _, err := purge(c, prefix); err != nil {
							t.Error(err)
						}
						want(t, "after", body(get(h, then)), "2")
					})
				}
			}
		}
	}
}

// A prefix counts for a run that is under way.
func TestAPrefixBeatsARunUnderWay(t *testing.T) {
	c := newCache(t)
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		if o.runs.Load() == 1 {
			if _, err := c.InvalidatePrefix(r.Context(), "http://example.com/notes/"); err != nil {
				t.Error(err)
			}
		}
		fmt.Fprint(w, o.runs.Load())
	}
	h := c.With(policy.Policy{TTL: time.Minute})(o)
	get(h, "/notes/1")
	want(t, "after", body(get(h, "/notes/1")), "2")
}

// What could cover nothing is an error that says so.
func TestVerbsSayWhatCannotBe(t *testing.T) {
	c := newCache(t)
	for prefix, says := range map[string]string{
		"":                            "absolute",
		"/blog/":                      "absolute",
		"example.com/blog/":           "absolute",
		"https://user@example.com/":   "user",
		"https://bücher.example/":     "xn--",
		"https://example.com/#top":    "fragment",
		"https://example.com/#":       "fragment",
		"https://example.com/caf%C3%": "escape",
		"https://example.com/?q=%":    "within an escape",
		"https://example.com/?q=%7":   "within an escape",
		"https://example.com/" + strings.Repeat("x", rules.MaxKey): "long",
	} {
		receipt, err := c.InvalidatePrefix(t.Context(), prefix)
		if err == nil || !strings.Contains(err.Error(), says) || receipt.Number != 0 {
			t.Errorf("InvalidatePrefix(%.40q) says %v, want it to speak of %q", prefix, err, says)
		}
	}
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, o.runs.Load()) }
	h := c.With(policy.Policy{TTL: time.Minute})(o)
	get(h, "/notes/1")
	for last, says := range map[string]string{"/notes/1": "absolute", "https://a@b/": "user"} {
		receipt, err := c.InvalidateURLs(t.Context(), []string{"http://example.com/notes/1", last})
		if err == nil || !strings.Contains(err.Error(), says) || receipt.Number != 0 {
			t.Errorf("InvalidateURLs(…, %q) says %v, want it to speak of %q", last, err, says)
		}
	}
	if _, err := c.InvalidateURLs(t.Context(), nil); err == nil || !strings.Contains(err.Error(),
		"there is no URL") {
		t.Errorf("InvalidateURLs of none says %v", err)
	}
	want(t, "what a wrong list names, too", body(get(h, "/notes/1")), "1")
	if _, err := c.InvalidateTag(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "without a name") {
		t.Errorf("InvalidateTag of an empty tag says %v", err)
	}
}

package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A page that a 304 renews has the tags that it had, so that a purge by tag still reaches it: also
// when its key has a tag of its own. A handler that names tags with its 304 names more of them: the
// page is the old one.
func TestARenewedPageHasItsTags(t *testing.T) {
	for _, key := range []policy.KeyOptions{{}, {Replace: func(*http.Request) string {
		return "k"
	}}} {
		for _, s := range []struct{ with304, purged, then string }{
			{"", "news", "fwd="}, {"", "sport", "hit"}, {"sport", "sport", "fwd="},
			{"sport", "news", "fwd="},
		} {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				h := c.With(policy.Policy{Key: key})(http.HandlerFunc(func(w http.ResponseWriter,
					r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("ETag", `"1"`)
					if r.Header.Get("If-None-Match") == "" {
						middleware.FromContext(r.Context()).Tag("news")
						return
					}
					if s.with304 != "" {
						middleware.FromContext(r.Context()).Tag(s.with304)
					}
					w.WriteHeader(http.StatusNotModified)
				}))
				get(h, "/")
				time.Sleep(2 * time.Minute)
				status(t, get(h, "/"), "fwd=stale; fwd-status=304")
				status(t, get(h, "/"), "hit")
				if _, err := c.Invalidate(context.Background(), tag(s.purged)); err != nil {
					t.Fatal(err)
				}
				r := get(h, "/")
				if now := r.Header.Get("Cache-Status"); !strings.Contains(now, s.then) {
					t.Errorf("304 with tag %q, then %q was purged, Replace %v: Cache-Status is "+
						"%q, want %s", s.with304, s.purged, key.Replace != nil, now, s.then)
				}
			})
		}
	}
}

// A page of which a tag is purged while a 304 under another one renews it is not served any more,
// nor is one that a HEAD renews; nor one that was put together of a stored part and another.
func TestAPurgeByAnOldTagWhileAPageIsRenewed(t *testing.T) {
	for _, how := range []string{"304", "HEAD", "206"} {
		t.Run(how, func(t *testing.T) {
			c := newCache(t)
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				run := o.runs.Load()
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("ETag", `"1"`)
				if run != 2 {
					middleware.FromContext(r.Context()).Tag("old")
					if how == "206" && run == 1 {
						http.ServeContent(w, r, "", time.Time{}, strings.NewReader("old page"))
						return
					}
					fmt.Fprint(w, "run ", run)
					return
				}
				middleware.FromContext(r.Context()).Tag("new")
				if err := failed(c.InvalidateTag(context.Background(), "old")); err != nil {
					t.Error(err)
				}
				switch how {
				case "304":
					w.WriteHeader(http.StatusNotModified)
				case "206":
					http.ServeContent(w, r, "", time.Time{}, strings.NewReader("old page"))
				}
			}
			h := c.Handler(o)
			switch how {
			case "304":
				get(h, "/")
				get(h, "/", "Cache-Control", "no-cache")
			case "HEAD":
				get(h, "/")
				do(h, "HEAD", "/", "Cache-Control", "no-cache")
			case "206":
				get(h, "/", "Range", "bytes=0-2")
				get(h, "/")
			}
			want(t, "runs before", o.runs.Load(), int64(2))
			want(t, "after the purge", body(get(h, "/")), "run 3")
		})
	}
}

// A handler that names another tag with each 304 has its page made anew from time to time: the tags
// that it had do not grow without bound.
func TestTheTagsOfAPageThatIsRenewedForEver(t *testing.T) {
	c := newCache(t)
	whole, renewals := 0, 0
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"1"`)
		middleware.FromContext(r.Context()).Tag(fmt.Sprint("tag-", renewals))
		if renewals++; r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		whole++
		io.WriteString(w, "page")
	}))
	synctest.Test(t, func(t *testing.T) {
		for range 1000 {
			want(t, "page", body(get(h, "/", "Cache-Control", "no-cache")), "page")
			time.Sleep(2 * time.Second)
		}
	})
	if whole < 2 || whole > 10 {
		t.Errorf("of %d runs %d made the page anew", renewals, whole)
	}
}

// A request after a purge by tag was acknowledged does not get a page that a handler's 304 renews,
// when that handler began before the purge: it may not have seen the change.
func TestAPurgeByTagReachesARenewalInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		var version atomic.Int64
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			etag := fmt.Sprintf(`"%d"`, version.Load())
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("ETag", etag)
			time.Sleep(10 * time.Second)
			if r.Header.Get("If-None-Match") == etag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			middleware.FromContext(r.Context()).Tag("news")
			io.WriteString(w, "version "+etag)
		}))
		get(h, "/")
		time.Sleep(2 * time.Minute)
		var before sync.WaitGroup
		before.Go(func() { want(t, "asked before", body(get(h, "/")), `version "0"`) })
		synctest.Wait()
		version.Store(1)
		if _, err := c.Invalidate(context.Background(), tag("news")); err != nil {
			t.Fatal(err)
		}
		want(t, "asked after", body(get(h, "/")), `version "1"`)
		before.Wait()
		want(t, "later", body(get(h, "/")), `version "1"`)
	})
}

// A page that is completed has the tags of all its parts.
func TestACompletedPageHasTheTagsOfItsParts(t *testing.T) {
	for _, purged := range []string{"first", "last"} {
		c := newCache(t)
		page := strings.Repeat("0123456789", 10)
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("ETag", `"1"`)
			switch r.Header.Get("Range") {
			case "bytes=0-49":
				middleware.FromContext(r.Context()).Tag("first")
			case "bytes=50-":
				middleware.FromContext(r.Context()).Tag("last")
			}
			http.ServeContent(w, r, "page.txt", time.Time{}, strings.NewReader(page))
		}))
		get(h, "/", "Range", "bytes=0-49")
		want(t, "page", body(get(h, "/")), page)
		status(t, get(h, "/"), "hit")
		if _, err := c.Invalidate(context.Background(), tag(purged)); err != nil {
			t.Fatal(err)
		}
		status(t, get(h, "/"), "fwd=")
	}
}

// What a handler sends in the place of the rest that a stored part lacks makes no page, if it is
// not just that or of another version. The handler is asked for all of it then.
func TestAPartThatDoesNotCompleteAPageIsNotServedAsOne(t *testing.T) {
	page := strings.Repeat("0123456789", 10)
	for name, second := range map[string]struct{ etag, part string }{
		"less than was asked for": {`"1"`, "20-29"},
		"another version":         {`"2"`, "20-99"},
		"more than was asked for": {`"1"`, "10-99"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			var asked []string
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Header.Get("Range"))
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("ETag", `"1"`)
				var first, last int
				if r.Header.Get("Range") == "bytes=20-" {
					w.Header().Set("ETag", second.etag)
					fmt.Sscanf(second.part, "%d-%d", &first, &last)
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/100", first, last))
					w.WriteHeader(http.StatusPartialContent)
					io.WriteString(w, page[first:last+1])
					return
				}
				http.ServeContent(w, r, "page.txt", time.Time{}, bytes.NewReader([]byte(page)))
			}))
			get(h, "/", "Range", "bytes=0-19")
			r := get(h, "/")
			want(t, "status", r.StatusCode, 200)
			want(t, "page", body(r), page)
			want(t, "asked for", strings.Join(asked, ", "), "bytes=0-19, bytes=20-, ")
		})
	}
}

// A page that lacks more than one part, or whose part is stale, is asked for as a whole.
func TestAPageThatCannotBeCompletedIsAskedForAsAWhole(t *testing.T) {
	page := strings.Repeat("0123456789", 10)
	for name, s := range map[string]struct {
		parts []string
		later time.Duration
	}{
		"two parts lack": {[]string{"bytes=0-9", "bytes=20-29"}, 0},
		"stale":          {[]string{"bytes=0-9"}, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := ""
				h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter,
					r *http.Request) {
					asked = r.Header.Get("Range")
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("ETag", `"1"`)
					http.ServeContent(w, r, "page.txt", time.Time{}, strings.NewReader(page))
				}))
				for _, part := range s.parts {
					get(h, "/", "Range", part)
					want(t, "part", asked, part)
				}
				time.Sleep(s.later)
				want(t, "page", body(get(h, "/")), page)
				want(t, "asked for", asked, "")
			})
		})
	}
}

// An answer to HEAD says of a stored page that it is still good, or that it is not (RFC 9111
// section 4.3.5). Of a part it makes no page.
func TestHeadRenewsWhatIsStored(t *testing.T) {
	page := strings.Repeat("0123456789", 10)
	for _, s := range []struct{ name, part, then, status string }{
		{"the same page", "", `"1"`, "hit"}, {"another page", "", `"2"`, "fwd="},
		{"a part", "bytes=0-9", `"1"`, "fwd="},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etag := `"1"`
				h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter,
					r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("ETag", etag)
					http.ServeContent(w, r, "page.txt", time.Time{}, strings.NewReader(page))
				}))
				if s.part == "" {
					get(h, "/")
				} else {
					get(h, "/", "Range", s.part)
				}
				time.Sleep(2 * time.Minute)
				etag = s.then
				do(h, "HEAD", "/")
				r := get(h, "/")
				status(t, r, s.status)
				want(t, "page", body(r), page)
			})
		})
	}
}

// A 304 without a lifetime is for the request that it answers: those that waited for it validate
// for themselves.
func TestA304WithoutALifetimeIsForOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		goOn := make(chan struct{})
		var conditional atomic.Int64
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Cache-Control", "max-age=60")
			if r.Header.Get("If-None-Match") != "" {
				conditional.Add(1)
				<-goOn // without a moment's age
				w.Header().Set("Cache-Control", "max-age=0")
				w.WriteHeader(http.StatusNotModified)
				return
			}
			io.WriteString(w, "page")
		}
		h := c.Handler(o)
		get(h, "/")
		time.Sleep(2 * time.Minute)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { want(t, "page", body(get(h, "/")), "page") })
			synctest.Wait()
		}
		close(goOn)
		both.Wait()
		want(t, "runs", o.runs.Load(), int64(3))
		want(t, "runs that validate", conditional.Load(), int64(2))
	})
}

// A request that the handler serves for its client alone comes to it with the client's own
// conditions, whatever is stored beside.
func TestARequestForOneKeepsItsConditions(t *testing.T) {
	for _, s := range []struct{ name, method, field, value, says string }{
		{"HEAD", "HEAD", "Accept", "*/*", "max-age=60"},
		{"no-store", "GET", "Cache-Control", "no-store", "max-age=60"},
		// what is stored is the anonymous visitors'
		{"a user's page", "GET", "Authorization", "Basic YTpi", ""},
		{"a private page", "GET", "Accept", "*/*", "private"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			var matched string
			h := c.With(policy.Policy{TTL: time.Minute})(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					matched = r.Header.Get("If-None-Match")
					w.Header().Set("ETag", `"stored"`)
					if s.says != "" {
						w.Header().Set("Cache-Control", s.says)
					}
					io.WriteString(w, "page") // or else it would not be stored
				}))
			get(h, "/")
			if s.says != "private" {
				time.Sleep(2 * time.Minute) // it is stale
			}
			do(h, s.method, "/", "If-None-Match", `"client's"`, s.field, s.value)
			want(t, s.name, matched, `"client's"`)
		})
	}
}

// Without a root handler the first request renews a stale page itself, and those that come
// meanwhile are served what is stored.
func TestWithoutARootTheFirstRequestRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			run := o.runs.Load()
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "max-age=10, stale-while-revalidate=600")
			fmt.Fprint(w, "run ", run)
		}
		h := c.Handler(o)
		get(h, "/")
		time.Sleep(time.Minute)
		var first sync.WaitGroup
		first.Go(func() {
			r := get(h, "/")
			want(t, "first", body(r), "run 2")
			status(t, r, "fwd=stale")
		})
		synctest.Wait()
		r := get(h, "/")
		want(t, "meanwhile", body(r), "run 1")
		status(t, r, "hit")
		first.Wait()
		want(t, "later", body(get(h, "/")), "run 2")
	})
}

// refusedOnce is an app that refuses its first request with an error.
func refusedOnce(status int) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		requests := 0
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if requests++; requests == 1 {
				w.WriteHeader(status)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
}

// A refresh has as much time as its policy's Timeout gives, or else a minute.
func TestARefreshHasATime(t *testing.T) {
	for timeout, most := range map[time.Duration]time.Duration{0: time.Minute,
		5 * time.Second: 5 * time.Second, time.Hour: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			o := renewable()
			page := o.h
			var took atomic.Int64
			o.h = func(w http.ResponseWriter, r *http.Request) {
				if o.runs.Load() == 2 {
					began := time.Now()
					<-r.Context().Done()
					took.Store(int64(time.Since(began)))
				}
				page(w, r)
			}
			h := c.With(policy.Policy{Timeout: timeout})(o)
			c.Root(h)
			get(h, "/")
			time.Sleep(5 * time.Second)
			status(t, get(h, "/"), "hit")
			time.Sleep(2 * time.Hour)
			want(t, "runs", o.runs.Load(), int64(2))
			want(t, "time", time.Duration(took.Load()), most)
		})
	}
}

// A mount whose refreshes enter an app that it is not in has its clients renew its pages, and says
// once what is wrong. One whose refresh ended on the way in a panic, or in an error of the moment,
// goes on to be renewed in the background.
func TestARefreshThatDoesNotArrive(t *testing.T) {
	for _, s := range []struct {
		name string
		root func(h http.Handler) http.Handler
		says int
		last string // what the third request gets
		how  string
	}{
		{"another app", func(http.Handler) http.Handler { return http.NotFoundHandler() }, 1,
			"run 2", "fwd=stale"},
		{"a panic", func(h http.Handler) http.Handler {
			refreshes := 0
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if refreshes++; refreshes == 1 {
					panic("on the way")
				}
				h.ServeHTTP(w, r)
			})
		}, 0, "run 1", "hit"},
		{"a limit", refusedOnce(http.StatusTooManyRequests), 0, "run 1", "hit"},
		{"maintenance", refusedOnce(http.StatusServiceUnavailable), 0, "run 1", "hit"},
		{"an error", refusedOnce(http.StatusInternalServerError), 0, "run 1", "hit"},
		{"no such page", refusedOnce(http.StatusNotFound), 1, "run 2", "fwd=stale"},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
				o := renewable()
				h := c.Handler(o)
				c.Root(s.root(h))
				get(h, "/")
				time.Sleep(5 * time.Second)
				status(t, get(h, "/"), "hit")
				synctest.Wait()
				time.Sleep(5 * time.Second)
				r := get(h, "/")
				want(t, "page", body(r), s.last)
				status(t, r, s.how)
				synctest.Wait()
				want(t, "runs", o.runs.Load(), int64(2))
				want(t, "the panic is logged", strings.Contains(log.String(), "on the way"),
					s.name == "a panic")
				want(t, "said", strings.Count(log.String(), "did not come to the mount"), s.says)
			})
		})
	}
}

// What a HEAD says counts for the page as far as it may be said of that: not what it says to a user
// of a page that is everybody's, and not what stands outside.
func TestWhatAHEADSaysOfAPage(t *testing.T) {
	t.Run("to a user", func(t *testing.T) {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", fmt.Sprintf("%q", r.Header.Get("Cookie")))
			io.WriteString(w, "page")
		}}
		h := newCache(t).With(policy.Policy{TTL: time.Minute})(o)
		get(h, "/")
		do(h, "HEAD", "/", "Cookie", "user=alice")
		status(t, get(h, "/"), "hit")
		want(t, "runs", o.runs.Load(), int64(2))
	})
	t.Run("beside what stands outside", func(t *testing.T) {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			io.WriteString(w, "page")
		}}
		h := outside(newCache(t).With(policy.Policy{TTL: time.Minute})(o),
			func(*http.Request) (name, value string) {
				return "Cache-Control", "no-transform"
			})
		get(h, "/")
		do(h, "HEAD", "/", "Cache-Control", "no-cache")
		want(t, "runs", o.runs.Load(), int64(2))
		r := get(h, "/")
		status(t, r, "hit")
		want(t, "Cache-Control", r.Header.Get("Cache-Control"), "no-transform")
	})
}

// A handler that sends the whole in the place of the rest that a stored part lacks has sent it; and
// one that says 416 to a request for the whole is not asked again.
func TestTheWholeInThePlaceOfTheRest(t *testing.T) {
	for _, code := range []int{http.StatusOK, http.StatusRequestedRangeNotSatisfiable} {
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("ETag", `"1"`)
			if o.runs.Load() == 1 && code == http.StatusOK {
				http.ServeContent(w, r, "page.txt", time.Time{}, strings.NewReader("0123456789"))
				return
			}
			w.WriteHeader(code)
			io.WriteString(w, "whole")
		}
		h := newCache(t).Handler(o)
		runs := int64(1)
		if code == http.StatusOK {
			get(h, "/", "Range", "bytes=0-3")
			runs = 2
		}
		r := get(h, "/")
		want(t, "status", r.StatusCode, code)
		want(t, "page", body(r), "whole")
		want(t, "runs", o.runs.Load(), runs)
	}
}

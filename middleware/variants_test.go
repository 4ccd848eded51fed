package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// Clients of different variants ask for a cold page at once: one run for each variant. A client
// that waits for the fill of another variant goes on to its own.
func TestOneFillForEachVariant(t *testing.T) {
	for _, streams := range []bool{false, true} {
		t.Run(fmt.Sprint("streams=", streams), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Second)
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("Vary", "Accept-Language")
					io.WriteString(w, r.Header.Get("Accept-Language"))
					if streams {
						w.(http.Flusher).Flush()
						time.Sleep(time.Second)
						io.WriteString(w, "!")
					}
				}}
				h := c.Handler(o)
				ask := func() {
					var all sync.WaitGroup
					for i := range 30 {
						lang := []string{"en", "fr", "de"}[i%3]
						expect := lang
						if streams {
							expect += "!"
						}
						all.Go(func() {
							want(t, "body", body(get(h, "/", "Accept-Language", lang)), expect)
						})
					}
					all.Wait()
				}
				ask()
				want(t, "runs", o.runs.Load(), int64(3))
				ask()
				want(t, "runs when all are stored", o.runs.Load(), int64(3))
				time.Sleep(2 * time.Minute)
				ask()
				want(t, "runs when all are stale", o.runs.Load(), int64(6))
			})
		})
	}
}

// A page that must be validated each time is, with the handler's own validator, also by those who
// asked while the first answer was on its way.
func TestNoCacheIsValidatedEachTime(t *testing.T) {
	c := newCache(t)
	full := 0
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(304)
			return
		}
		full++
		io.WriteString(w, "page")
	}))
	for range 3 {
		want(t, "body", body(get(h, "/")), "page")
	}
	want(t, "whole answers of the handler", full, 1)
	r := get(h, "/", "If-None-Match", `"v1"`)
	want(t, "client's own condition", r.StatusCode, 304)
}

// The operator's lifetime is not taken for the handler's word after a 304: the entry stays for the
// anonymous.
func TestFreshenedEntryStaysForTheAnonymous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		h := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			if r.Header.Get("If-None-Match") == `"v1"` {
				w.WriteHeader(304)
				return
			}
			io.WriteString(w, "for "+r.Header.Get("Cookie"))
		}))
		for range 3 {
			want(t, "anonymous", body(get(h, "/")), "for ")
			r := get(h, "/", "Cookie", "alice")
			want(t, "alice", body(r), "for alice")
			time.Sleep(90 * time.Second)
		}
		r := get(h, "/")
		status(t, r, "fwd-status=304")
		want(t, "Cache-Control", r.Header.Get("Cache-Control"), "max-age=60")
		want(t, "Expires", r.Header.Get("Expires"),
			time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
	})
}

// A 304 that speaks of another tag is no answer: the handler is asked once more, without
// conditions, and what it then says is the answer, whatever it is.
func TestA304OfAnotherTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		var asked []string
		o.h = func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Header.Get("If-None-Match"))
			w.Header().Set("Cache-Control", "max-age=1")
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, o.runs.Load()))
			if o.runs.Load() == 1 {
				io.WriteString(w, "old")
				return
			}
			w.WriteHeader(304)
		}
		h := c.Handler(o)
		get(h, "/")
		time.Sleep(10 * time.Second)
		r := get(h, "/")
		want(t, "status", r.StatusCode, 304)
		want(t, "asked with", fmt.Sprintf("%q", asked), `["" "\"1\"" ""]`)
	})
}

// A soft invalidation makes a variant stale, as it makes any page: those who ask then get the new
// one.
func TestASoftInvalidationOfAVariant(t *testing.T) {
	c := newCache(t)
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		fmt.Fprint(w, o.runs.Load())
	}
	h := c.Handler(o)
	get(h, "/", "Accept-Language", "de")
	want(t, "stored", body(get(h, "/", "Accept-Language", "de")), "1")
	if _, err := c.Invalidate(t.Context(), store.Mark{Kind: store.MarkEverything, Soft: true}); err != nil {
		t.Fatal(err)
	}
	want(t, "invalidated", body(get(h, "/", "Accept-Language", "de")), "2")
}

// A variant that streams is joined by those who want it, once the index says which it is.
func TestAVariantThatStreamsIsJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rest := make(chan struct{})
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "Accept-Language")
			io.WriteString(w, r.Header.Get("Accept-Language"))
			w.(http.Flusher).Flush()
			<-rest
		}}
		h := newCache(t).Handler(o)
		var all sync.WaitGroup
		for _, lang := range []string{"de", "de", "fr", "fr", "de"} {
			all.Go(func() { want(t, "body", body(get(h, "/", "Accept-Language", lang)), lang) })
			synctest.Wait()
		}
		want(t, "runs", o.runs.Load(), int64(2))
		close(rest)
		all.Wait()
	})
}

// A page that was stored before its handler first named a Vary is one of the variants from then on,
// for as long as it is fresh.
func TestAPageWithoutVaryBecomesAVariant(t *testing.T) {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if o.runs.Load() > 1 {
			w.Header().Set("Vary", "Accept-Language")
		}
		fmt.Fprint(w, o.runs.Load())
	}
	h := newCache(t).Handler(o)
	get(h, "/", "Accept-Language", "de")
	want(t, "the new one", body(get(h, "/", "Accept-Language", "de", "Cache-Control", "no-cache")),
		"2")
	want(t, "for others", body(get(h, "/", "Accept-Language", "fr")), "1")
	want(t, "runs", o.runs.Load(), int64(2))
}

// A soft invalidation of a URL as it is written counts for what is stored under the URL with its
// query sorted.
func TestASoftInvalidationOfAURLAsItWasSent(t *testing.T) {
	c := newCache(t)
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, o.runs.Load()) }
	h := c.With(policy.Policy{TTL: time.Minute, Key: policy.KeyOptions{SortQuery: true}})(o)
	const url = "http://example.com/page?b=1&a=2"
	get(h, url)
	want(t, "stored", body(get(h, url)), "1")
	if _, err := c.Invalidate(t.Context(), store.Mark{Kind: store.MarkKey, Name: url, Soft: true}); err != nil {
		t.Fatal(err)
	}
	want(t, "invalidated", body(get(h, url)), "2")
}

// The index of variants is written when it has to say something new, not with each variant.
func TestTheIndexIsWrittenOnce(t *testing.T) {
	inner := memstore.New(1 << 20)
	defer inner.Close()
	var sets atomic.Int64
	c := middleware.New(faulty.Store(inner, func(_ context.Context, call, _ string) error {
		if call == "Set" {
			sets.Add(1)
		}
		return nil
	}), middleware.Options{Log: discard})
	defer c.Shutdown(t.Context())
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
	}))
	for _, lang := range []string{"de", "fr", "it"} {
		get(h, "/", "Accept-Language", lang)
	}
	want(t, "writes of the index and three variants", sets.Load(), int64(4))
}

package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// An invalidation of the URI that a request has sent counts for it, though it comes while the
// request waits for the response to another URI of the same key.
func TestTheURIAsSentIsInvalidatedWhileItIsWaitedFor(t *testing.T) {
	for name, streams := range map[string]bool{"whole": false, "a stream": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				goOn := make(chan struct{})
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					run := o.runs.Load()
					if run == 1 {
						<-goOn
					}
					w.Header().Set("Cache-Control", "max-age=600")
					fmt.Fprint(w, "run ", run)
					if streams {
						w.(http.Flusher).Flush()
					}
				}
				h := c.With(policy.Policy{Key: policy.KeyOptions{SortQuery: true}})(o)
				led, waited := make(chan string), make(chan string)
				go func() { led <- body(get(h, "/?a=1&b=2")) }()
				synctest.Wait()
				go func() { waited <- body(get(h, "/?b=2&a=1")) }()
				synctest.Wait()
				want(t, "runs", o.runs.Load(), int64(1))
				as := store.Mark{Kind: store.MarkKey, Name: "http://example.com/?b=2&a=1"}
				if _, err := c.Invalidate(context.Background(), as); err != nil {
					t.Fatal(err)
				}
				close(goOn)
				want(t, "who led", <-led, "run 1")
				want(t, "who waited", <-waited, "run 2")
			})
		})
	}
}

// A page that is invalidated while a request waits for a newer one is not served in the place of
// the newer one.
func TestNothingStaleIsServedThatWasInvalidatedMeanwhile(t *testing.T) {
	for _, s := range []struct{ name, mark string }{
		{"its key's URI", "http://example.com/?a=1&b=2"},
		{"the URI as sent", "http://example.com/?b=2&a=1"},
	} {
		for why, p := range map[string]policy.Policy{
			"waited":  {MaxWait: 2 * time.Second},
			"timeout": {MaxWait: -1, Timeout: 2 * time.Second},
			"lost":    {MaxWait: -1},
		} {
			t.Run(s.name+", "+why, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := newCache(t)
					o := &origin{}
					o.h = func(w http.ResponseWriter, r *http.Request) {
						run := o.runs.Load()
						w.Header().Set("Cache-Control", "max-age=1")
						if run > 1 && run < 7 {
							time.Sleep(10 * time.Second)
							if why == "lost" && run == 2 {
								panic(http.ErrAbortHandler)
							}
						}
						fmt.Fprint(w, "run ", run)
					}
					p.Retention, p.Key.SortQuery = time.Hour, true
					h := c.With(p)(o)
					get(h, "/?a=1&b=2")
					time.Sleep(5 * time.Second)
					done := make(chan string, 10)
					for range 6 {
						go func() {
							defer func() {
								if recover() != nil {
									done <- "lost"
								}
							}()
							done <- body(get(h, "/?b=2&a=1"))
						}()
						synctest.Wait()
					}
					time.Sleep(time.Second)
					if _, err := c.Invalidate(context.Background(), store.Mark{Kind: store.MarkKey,
						Name: s.mark}); err != nil {
						t.Fatal(err)
					}
					for range 6 {
						if got := <-done; got == "run 1" {
							t.Error("served what was invalidated")
						}
					}
					time.Sleep(time.Minute)
				})
			})
		}
	}
}

// Who asks after an invalidation of the URI as it is sent does not wait for a run that began
// before, whether the invalidation was soft or hard.
func TestTheURIAsSentIsInvalidatedBeforeItIsAskedFor(t *testing.T) {
	for _, soft := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCache(t)
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				run := o.runs.Load()
				w.Header().Set("Cache-Control", "max-age=600")
				time.Sleep(time.Second)
				fmt.Fprint(w, "run ", run)
			}
			h := c.With(policy.Policy{Key: policy.KeyOptions{SortQuery: true}})(o)
			go get(h, "/?a=1&b=2")
			synctest.Wait()
			as := store.Mark{Kind: store.MarkKey, Name: "http://example.com/?b=2&a=1", Soft: soft}
			if _, err := c.Invalidate(context.Background(), as); err != nil {
				t.Fatal(err)
			}
			time.Sleep(500 * time.Millisecond)
			start := time.Now()
			want(t, fmt.Sprint("who comes after, soft=", soft), body(get(h, "/?b=2&a=1")), "run 2")
			want(t, "time", time.Since(start), time.Second)
		})
	}
}

package middleware_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// Clients that open a stream of events and leave leave no handler behind, under any lifetime, and
// none waits for another.
func TestStreamsOfEventsEndWithTheirClients(t *testing.T) {
	for _, s := range []struct{ accept, says, contentType string }{
		{"text/event-stream", "", "text/event-stream"},
		{"*/*", "", "text/event-stream"},
		{"*/*", "public, max-age=60", "text/event-stream"},
		{"*/*", "max-age=60", "multipart/x-mixed-replace; boundary=x"},
		{"*/*", "", "application/x-ndjson"},
	} {
		t.Run(fmt.Sprint(s.contentType, ",", s.accept, ",", s.says), func(t *testing.T) {
			const clients = 200
			var handlers sync.WaitGroup
			var runs atomic.Int64
			h := newCache(t).With(policy.Policy{TTL: time.Hour, Shared: true,
				MaxWait: -1})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handlers.Add(1)
				defer handlers.Done()
				w.Header().Set("Content-Type", s.contentType)
				if s.says != "" {
					w.Header().Set("Cache-Control", s.says)
				}
				fmt.Fprintf(w, "data: %d\n\n", runs.Add(1))
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}))
			url, client := serve(t, h, false)
			client.Transport.(*http.Transport).DisableKeepAlives = true
			var all sync.WaitGroup
			var seen sync.Map
			for range clients {
				all.Go(func() {
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
					r.Header.Set("Accept", s.accept)
					res, err := client.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					defer res.Body.Close()
					line, err := bufio.NewReader(res.Body).ReadString('\n')
					if _, again := seen.LoadOrStore(line, true); again || err != nil {
						t.Errorf("a client got %q, which another has; %v", line, err)
					}
				})
			}
			all.Wait()
			handlers.Wait() // for ever, if one stays
			want(t, "runs", runs.Load(), int64(clients))
		})
	}
}

// A run that streams and has no readers left ends: at once when its body is not kept, after half a
// minute when it may yet be worth storing. What a solo request leads ends likewise.
func TestAStreamThatNobodyReadsEnds(t *testing.T) {
	for _, s := range []struct {
		name    string
		size    int
		cookie  bool
		lasts   time.Duration // of the handler, at most
		ends    time.Duration // ... after its client has left
		becomes string
	}{
		{"kept, and never ends", 100, false, time.Hour, 30 * time.Second, "fwd=uri-miss"},
		{"kept, and ends in time", 100, false, 20 * time.Second, 20 * time.Second, "hit"},
		{"not kept", 1 << 20, false, time.Hour, 0, "fwd=uri-miss"},
		{"for a user, kept, and never ends", 100, true, time.Hour, 30 * time.Second,
			"fwd=uri-miss"},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				ended := make(chan struct{})
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "public, max-age=6000")
					if o.runs.Load() > 1 {
						return
					}
					defer close(ended)
					w.Write(make([]byte, s.size))
					w.(http.Flusher).Flush()
					select {
					case <-r.Context().Done():
					case <-time.After(s.lasts):
					}
				}
				h := c.With(policy.Policy{MaxBody: 64 << 10})(o)
				ctx, leave := context.WithCancel(t.Context())
				r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
				if s.cookie {
					r.Header.Set("Cookie", "u=alice")
				}
				var leader sync.WaitGroup
				leader.Go(func() { cutOff(func() { h.ServeHTTP(httptest.NewRecorder(), r) }) })
				synctest.Wait()
				leave()
				start := time.Now()
				<-ended
				want(t, "ends after", time.Since(start), s.ends)
				leader.Wait()
				status(t, get(h, "/"), s.becomes)
			})
		})
	}
}

// Readers that come and go keep a stream alive.
func TestAStreamLivesAsLongAsItHasReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		var running atomic.Int64
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Add(-1)
			w.Header().Set("Cache-Control", "max-age=6000")
			for r.Context().Err() == nil {
				io.WriteString(w, "more;")
				w.(http.Flusher).Flush()
				time.Sleep(time.Second)
			}
		}))
		var all sync.WaitGroup
		for range 10 {
			ctx, leave := context.WithCancel(t.Context()) // a deadline would be the handler's too
			time.AfterFunc(20*time.Second, leave)
			all.Go(func() {
				cutOff(func() {
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/",
						nil).WithContext(ctx))
				})
			})
			time.Sleep(15 * time.Second)
			want(t, "handlers", running.Load(), int64(1))
		}
		all.Wait()
		time.Sleep(time.Minute)
		want(t, "handlers in the end", running.Load(), int64(0))
	})
}

// A handler that goes on for longer than anybody waits for it, and does not look at its context,
// has its page neither stored nor cut short: the next client gets a whole one.
func TestAPageThatComesTooLateForAllIsNotStored(t *testing.T) {
	for _, begins := range []bool{false, true} {
		t.Run(fmt.Sprint("it has begun to write: ", begins), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=6000")
					for left := 60; left > 0 && o.runs.Load() == 1; left-- {
						if begins {
							io.WriteString(w, "x")
						}
						time.Sleep(time.Second)
					}
					io.WriteString(w, "page")
				}
				h := newCache(t).Handler(o)
				ctx, leave := context.WithCancel(t.Context())
				var leader sync.WaitGroup
				leader.Go(func() {
					h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET",
						"/", nil))
				})
				synctest.Wait()
				leave()
				leader.Wait()
				want(t, "body", body(get(h, "/")), "page")
				r := get(h, "/")
				want(t, "then", body(r), "page")
				status(t, r, "hit")
			})
		})
	}
}

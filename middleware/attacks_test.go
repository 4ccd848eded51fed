package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// A handler may edit the request it gets, as gorilla's CompressHandler does; its response is still
// stored for what the client sent.
func TestAHandlerEditsItsRequestHeader(t *testing.T) {
	for field, says := range map[string]string{"Accept-Encoding": "max-age=60",
		"Cookie": "s-maxage=60"} {
		t.Run(field, func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				sent := r.Header.Get(field)
				r.Header.Del(field)
				w.Header().Set("Cache-Control", says)
				w.Header().Set("Vary", field)
				io.WriteString(w, "for "+sent)
			}}
			h := c.Handler(o)
			for range 2 {
				want(t, "alice's", body(get(h, "/", field, "alice")), "for alice")
				want(t, "nobody's", body(get(h, "/")), "for ")
			}
			want(t, "runs", o.runs.Load(), int64(2))
		})
	}
}

// A handler that edits its URL and is run twice is asked for the same resource twice.
func TestAHandlerEditsItsURLAndRunsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("ETag", `"a"`)
			if r.Header.Get("If-None-Match") != "" { // of something else: the cache asks again
				w.Header().Set("ETag", `"b"`)
				w.WriteHeader(304)
				return
			}
			io.WriteString(w, r.URL.Path)
		}}
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/v1")
			o.ServeHTTP(w, r)
		}))
		want(t, "first", body(get(h, "/v1/v1/x")), "/v1/x")
		time.Sleep(70 * time.Second)
		want(t, "revalidated", body(get(h, "/v1/v1/x")), "/v1/x")
		want(t, "stored", body(get(h, "/v1/v1/x")), "/v1/x")
		want(t, "runs", o.runs.Load(), int64(3))
	})
}

// An inner mount that tells users apart where the outer one does not has nothing stored: the outer
// one could not tell whom it is for.
func TestAnInnerMountKnowsItsUsersDifferently(t *testing.T) {
	user := func(r *http.Request) bool { return r.Header.Get("X-User") != "" }
	for _, s := range []struct {
		name         string
		outer, inner policy.Policy
		field        string
	}{
		{"credentials of its own", policy.Policy{}, policy.Policy{TTL: time.Minute,
			Credentials: user}, "X-User"},
		{"not shared as the outer one is", policy.Policy{Shared: true, TTL: time.Minute},
			policy.Policy{TTL: time.Minute}, "Cookie"},
		{"no key", policy.Policy{TTL: time.Minute},
			policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string {
				return ""
			}}}, "X-User"},
	} {
		t.Run(s.name, func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "mail of "+r.Header.Get(s.field))
			}}
			h := c.With(s.outer)(c.With(s.inner)(o))
			for _, who := range []string{"", "alice", "bob"} {
				want(t, "mail", body(get(h, "/me", s.field, who)), "mail of "+who)
			}
			want(t, "runs", o.runs.Load(), int64(3))
		})
	}
}

// A response to POST below an inner mount that is off is not stored by the outer one.
func TestAnInnerMountThatIsOffGetsAPost(t *testing.T) {
	c := newCache(t)
	h := c.Handler(c.With(policy.Policy{Off: true})(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Location", "/off")
		io.WriteString(w, r.Method)
	})))
	do(h, "POST", "/off")
	want(t, "a later GET", body(get(h, "/off")), "GET")
}

// leaver is a client that takes so many bytes and then leaves.
type leaver struct {
	http.ResponseWriter
	left int
}

func (w *leaver) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	w.ResponseWriter.Write(p[:n])
	if n < len(p) {
		return n, errors.New("the client left")
	}
	return n, nil
}

// A response to a POST that its client did not get whole is not stored for later GETs, though the
// handler ignores the errors of its writes.
func TestAPostIsCutByItsClient(t *testing.T) {
	page := strings.Repeat("0123456789", 10)
	for name, write := range map[string]func(w http.ResponseWriter){
		"in parts": func(w http.ResponseWriter) {
			for i := range 10 {
				io.WriteString(w, page[i*10:i*10+10])
			}
		},
		"copied": func(w http.ResponseWriter) {
			io.Copy(w, struct{ io.Reader }{strings.NewReader(page)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Content-Location", "/doc")
				write(w)
			}))
			h.ServeHTTP(&leaver{httptest.NewRecorder(), 25}, httptest.NewRequest("POST", "/doc",
				nil))
			r := get(h, "/doc")
			want(t, "a later GET", body(r), page)
			status(t, r, "fwd=uri-miss")
		})
	}
}

// What outer handlers say to a POST's client is for that client alone, also when the response is
// stored; its Content-Type is what that client was told.
func TestOuterHeadersOfAPostAreNotStored(t *testing.T) {
	c := newCache(t)
	inner := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Content-Location", "/doc")
		io.WriteString(w, "<html>")
	}))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Greeting", r.Header.Get("Authorization"))
		if r.Method == "POST" {
			w.Header().Set("Access-Control-Allow-Origin", "https://alice.example")
		}
		inner.ServeHTTP(w, r)
	})
	do(h, "POST", "/doc", "Authorization", "alice")
	r := get(h, "/doc", "Authorization", "bob")
	status(t, r, "hit")
	want(t, "X-Greeting", r.Header.Get("X-Greeting"), "bob")
	want(t, "Access-Control-Allow-Origin", r.Header.Get("Access-Control-Allow-Origin"), "")
	want(t, "Content-Type", r.Header.Get("Content-Type"), "text/html; charset=utf-8")
}

// Set-Cookie is no trailer (RFC 9110 section 6.5.1): it reaches nobody else that way, neither from
// the store nor by reading along.
func TestACookieInATrailer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "page")
			w.(http.Flusher).Flush()
			time.Sleep(time.Second)
			w.Header().Set(http.TrailerPrefix+"Set-Cookie", "u=alice")
			w.Header().Set(http.TrailerPrefix+"X-Sum", "42")
		}))
		go get(h, "/")
		for _, how := range []string{"collapsed", "hit"} {
			synctest.Wait() // who comes when the run is just ending may read along with it, too
			r := get(h, "/")
			status(t, r, how)
			want(t, how+": cookie", r.Trailer.Get("Set-Cookie"), "")
			want(t, how+": another trailer", r.Trailer.Get("X-Sum"), "42")
		}
	})
}

// A client that writes to many URLs that are as long as keys may be does not empty the cache.
func TestAFloodOfWritesKeepsTheRest(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
	}}
	h := c.Handler(o)
	const pages, writes = 50, 400
	ask := func() {
		for i := range pages {
			get(h, fmt.Sprint("/hot", i))
		}
	}
	ask()
	pad := strings.Repeat("x", 60<<10)
	for i := range writes {
		do(h, "POST", fmt.Sprint("/?", i, pad))
	}
	before := o.runs.Load()
	want(t, "runs so far", before, int64(pages+writes))
	ask()
	if lost := o.runs.Load() - before; lost > pages/5 {
		t.Errorf("%d of %d pages are lost to writes that do not name them", lost, pages)
	}
}

// hintless is a client that does not take an informational response until it is told to.
type hintless struct {
	http.ResponseWriter
	until chan struct{}
}

func (w *hintless) WriteHeader(status int) {
	if status < 200 {
		<-w.until
	}
	w.ResponseWriter.WriteHeader(status)
}

// A client that takes no early hints keeps nobody waiting but itself: its run waits with it, since
// nobody but the goroutine of its request may touch its header, and the others have a run of their
// own.
func TestEarlyHintsToAClientThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(103)
			io.WriteString(w, "page")
		}}
		h := c.Handler(o)
		slow := &hintless{httptest.NewRecorder(), make(chan struct{})}
		var leader sync.WaitGroup
		leader.Go(func() { h.ServeHTTP(slow, httptest.NewRequest("GET", "/", nil)) })
		synctest.Wait()
		start := time.Now()
		want(t, "follower's", body(get(h, "/")), "page")
		if took := time.Since(start); took > time.Second {
			t.Errorf("the follower waited %v for a client that reads nothing", took)
		}
		close(slow.until)
		leader.Wait()
		want(t, "slow client's", slow.ResponseWriter.(*httptest.ResponseRecorder).Body.String(),
			"page")
		want(t, "runs", o.runs.Load(), int64(2))
		want(t, "later", body(get(h, "/")), "page")
		want(t, "runs", o.runs.Load(), int64(2))
	})
}

// The goroutine that serves a client which takes no early hints does not return before the client
// has them: the middleware outside would use the client's header at the same time.
func TestEarlyHintsUnderWayWhenTheRunEnds(t *testing.T) {
	for story, handler := range map[string]func(w http.ResponseWriter, r *http.Request){
		"the handler panics": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(103)
			panic(http.ErrAbortHandler)
		},
		"the handler runs twice": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(103)
				w.Header().Set("Etag", `"new"`)
				w.WriteHeader(304)
			}
		},
	} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					// nothing stale may stand in
					w.Header().Set("Cache-Control", "max-age=60, must-revalidate")
					w.Header().Set("Etag", `"old"`)
				}}
				h := c.Handler(o)
				get(h, "/")
				time.Sleep(2 * time.Minute)
				o.h = handler
				slow := &hintless{httptest.NewRecorder(), make(chan struct{})}
				back := make(chan struct{})
				go func() {
					defer close(back)
					defer func() { recover() }()
					h.ServeHTTP(slow, httptest.NewRequest("GET", "/", nil))
				}()
				time.Sleep(time.Second)
				select {
				case <-back:
					t.Error("it came back while the client was still being told")
				default:
				}
				close(slow.until)
				<-back
			})
		})
	}
}

// One request whose response is private by its own doing, by a cookie or a bad field, does not end
// collapsing for all others.
func TestOneRequestDoesNotEndCollapsing(t *testing.T) {
	for _, field := range []string{"Cookie", "X-Bad"} {
		t.Run(field, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("X-Bad") != "" {
						w.WriteHeader(400)
						return
					}
					w.Header().Set("Cache-Control", "max-age=60")
					time.Sleep(time.Second)
					io.WriteString(w, "page")
				}}
				h := c.Handler(o)
				get(h, "/")
				get(h, "/", field, "1", "Cache-Control", "no-cache")
				if _, err := c.InvalidateURL(context.Background(), "http://example.com/"); err != nil {
					t.Fatal(err)
				}
				before := o.runs.Load()
				var all sync.WaitGroup
				for range 50 {
					all.Go(func() { want(t, "body", body(get(h, "/")), "page") })
				}
				all.Wait()
				want(t, "runs for 50 clients", o.runs.Load()-before, int64(1))
			})
		})
	}
}

// A response that is good, and may not be stored for the one who asked, does not remove the stored
// one that it confirms.
func TestAConfirmationDoesNotRemoveWhatItConfirms(t *testing.T) {
	for _, ask := range [][]string{
		{"GET", "Cookie", "u=alice", "Cache-Control", "no-cache"},
		{"HEAD", "Cookie", "u=alice", "Cache-Control", "no-cache"},
		{"HEAD", "Cache-Control", "no-cache, no-store"},
	} {
		t.Run(fmt.Sprint(ask), func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60, stale-if-error=600")
				w.Header().Set("ETag", `"a"`)
				if r.Header.Get("If-None-Match") == `"a"` {
					w.WriteHeader(304)
					return
				}
				io.WriteString(w, "page")
			}}
			h := c.Handler(o)
			get(h, "/")
			do(h, ask[0], "/", ask[1:]...)
			r := get(h, "/")
			want(t, "body", body(r), "page")
			status(t, r, "hit")
			want(t, "runs", o.runs.Load(), int64(2))
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A field that Connection names is dropped by a reverse proxy behind the cache. What the upstream
// then answers is not stored for those whose field it does see.
func TestConnectionHidesAFieldFromTheUpstream(t *testing.T) {
	upstream, _ := url.Parse("http://upstream.example/")
	proxy := httputil.NewSingleHostReverseProxy(upstream)
	proxy.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"X-Tenant"}},
			Body:   io.NopCloser(strings.NewReader("tenant " + r.Header.Get("X-Tenant"))),
		}, nil
	})
	h := newCache(t).Handler(proxy)
	r := get(h, "/", "X-Tenant", "b", "Connection", "X-Tenant")
	want(t, "the one who hides it", body(r), "tenant ")
	status(t, r, "detail=connection")
	want(t, "tenant b", body(get(h, "/", "X-Tenant", "b")), "tenant b")
}

// watched is a store that tells of each look-up of one key, after it. Unless local, it is one
// outside of this process.
type watched struct {
	store.Store
	local  bool
	key    string // without the mount
	full   string // with it
	looked func()
}

func (w *watched) Local() bool { return w.local }

func (w *watched) Get(ctx context.Context, key string) (*store.Entry, error) {
	e, err := w.Store.Get(ctx, key)
	if strings.HasPrefix(key, w.key+" mount=") && w.looked != nil {
		w.full = key
		w.looked()
	}
	return e, err
}

// A leader that asked for a part, and looks again, may find just that part. It is no answer to
// those who wait for the whole.
func TestAPartIsNotSharedAsTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(1 << 20)
		defer s.Close()
		// local: what comes while a look-up lasts looks by itself
		w := &watched{Store: s, local: true, key: "GET http://example.com/"}
		c := middleware.New(w, middleware.Options{Log: discard})
		defer c.Shutdown(context.Background())
		age := "90" // stale at once
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Age", age)
			w.Header().Set("ETag", `"a"`)
			http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader("0123456789"))
		}))
		get(h, "/")
		age = "0"
		var follower sync.WaitGroup
		// the leader's second look: a request that comes now waits for what it finds
		second := func() {
			w.looked = nil
			follower.Go(func() {
				r := get(h, "/")
				want(t, "status", r.StatusCode, 200)
				want(t, "body", body(r), "0123456789")
			})
			synctest.Wait()
		}
		first := func() { // the leader saw the whole; it goes, and a part comes in its place
			w.looked = nil
			s.Delete(context.Background(), w.full)
			get(h, "/other")
			get(h, "/", "Range", "bytes=0-1")
			w.looked = second
		}
		w.looked = first
		want(t, "leader's", body(get(h, "/", "Range", "bytes=0-1")), "01")
		want(t, "looked twice", w.looked == nil, true)
		follower.Wait()
	})
}

// What completes a stored part is held within MaxFillBytes and Policy.MaxBody, as a whole response
// is.
func TestWhatCompletesAPartIsWithinTheBounds(t *testing.T) {
	page := strings.Repeat("x", 1<<20)
	for _, s := range []struct {
		name  string
		fills int64
		most  int64
	}{{"all fills together", 256 << 10, 0}, {"one body", 0, 256 << 10}} {
		t.Run(s.name, func(t *testing.T) {
			c := newCache(t, middleware.Options{MaxFillBytes: s.fills})
			h := c.With(policy.Policy{MaxBody: s.most})(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("ETag", `"a"`)
				http.ServeContent(w, r, "a.txt", time.Time{}, strings.NewReader(page))
			}))
			want(t, "part", body(get(h, "/", "Range", "bytes=0-0")), "x")
			for range 2 {
				r := get(h, "/")
				want(t, "status", r.StatusCode, 200)
				want(t, "length", len(body(r)), len(page))
				if s := r.Header.Get("Cache-Status"); strings.Contains(s, "hit") {
					t.Errorf("1 MiB was held although the bound is 256 KiB: %s", s)
				}
			}
		})
	}
}

// A 401 says that there were no credentials: a stored one is not for requests that bring some.
func TestAStored401IsNotForThoseWithCredentials(t *testing.T) {
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(401)
			return
		}
		io.WriteString(w, "mail")
	}}
	h := c.Handler(o)
	for range 2 {
		want(t, "nobody", get(h, "/").StatusCode, 401)
		want(t, "alice", get(h, "/", "Authorization", "alice").StatusCode, 200)
	}
	want(t, "runs", o.runs.Load(), int64(3))
}

// A client that makes up queries fills the store up to its bound and no further.
func TestAFloodOfQueriesStaysWithinTheStoresBound(t *testing.T) {
	const bound = 1 << 20
	s := memstore.New(bound)
	defer s.Close()
	c := middleware.New(s, middleware.Options{Log: discard})
	page := bytes.Repeat([]byte("x"), 1<<10)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Write(page)
	}}
	h := c.Handler(o)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 2500 {
				get(h, fmt.Sprint("/?", i, "=", j))
				if held := s.Bytes(); held > bound {
					t.Errorf("after %d queries of 4 clients the store holds %d bytes, its bound "+
						"is %d", j, held, bound)
					return
				}
			}
		})
	}
	all.Wait()
	if held := s.Bytes(); held < bound/2 {
		t.Errorf("the store holds %d bytes: of a bound of %d, more is of use", held, bound)
	}
	want(t, "runs", o.runs.Load(), int64(10_000))
}

// The operator's name for the cache is a token, or a quoted string, in the Cache-Status of whatever
// the cache answers (RFC 9211 section 2).
func TestTheCachesNameInCacheStatus(t *testing.T) {
	for name, item := range map[string]string{
		"":                  "Freshet",
		"edge-1.example:80": "edge-1.example:80",
		`my "own" \ cache`:  `"my \"own\" \\ cache"`,
		"8th":               `"8th"`,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, middleware.Options{Name: name})
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "page")
			}))
			for _, s := range []struct{ method, path, control, says string }{
				{"GET", "/", "", "; fwd=uri-miss; fwd-status=200; stored"},
				{"GET", "/", "", "; hit; ttl="},
				{"POST", "/", "", "; fwd=method; fwd-status=200"},
				{"OPTIONS", "/", "", "; fwd=method; fwd-status=200"},
				{"GET", "/other", "only-if-cached", "; detail=only-if-cached"},
			} {
				r := do(h, s.method, s.path, "Cache-Control", s.control)
				if got := r.Header.Get("Cache-Status"); !strings.HasPrefix(got, item+s.says) {
					t.Errorf("%s %s: Cache-Status is %q, want it to begin with %q", s.method,
						s.path, got, item+s.says)
				}
			}
		})
	}
}

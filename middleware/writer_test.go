package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// serve starts a real server, with HTTP/2 if wanted, and returns its URL and a client for it.
func serve(t *testing.T, h http.Handler, h2 bool) (string, *http.Client) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = quiet
	if h2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.URL, s.Client()
}

// The handler's ResponseWriter does what net/http's own does.
func TestTheWriterIsAsNetHTTPs(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a copy of nothing": func(w http.ResponseWriter, r *http.Request) {
			w.(io.ReaderFrom).ReadFrom(strings.NewReader(""))
			w.WriteHeader(http.StatusNotFound)
		},
		"implicit 200": func(w http.ResponseWriter, r *http.Request) {},
		"sniffed": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "<html><p>hello")
		},
		"not sniffed": func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "<html>")
		},
		"encoded, not sniffed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "<html>")
		},
		"second status ignored": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(201)
			w.WriteHeader(500)
		},
		"header after the status": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.Header().Set("X-Late", "1")
		},
		"no content": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(204)
			io.WriteString(w, "x")
		},
		"not found": http.NotFound,
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/there", 301)
		},
		"line breaks in a value": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-V", "a\r\nSet-Cookie: evil=1")
		},
		"declared length": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "ok")
		},
		"a length that is no number": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "many")
			io.WriteString(w, "ok")
		},
		"long": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, strings.NewReader(strings.Repeat("x", 100_000)))
		},
		"flushed": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			io.WriteString(w, "x")
		},
		"copied": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 100_000))})
		},
		"copied, of a declared length": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100000")
			io.Copy(w, struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 100_000))})
		},
		"copied behind a part": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begin ")
			w.(http.Flusher).Flush()
			io.Copy(w, struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 100_000))})
		},
		"many values": func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-Many"] = []string{"a", "b", "a"}
		},
	} {
		for _, says := range []string{"", "max-age=60", "private"} {
			t.Run(name+","+says, func(t *testing.T) {
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if says != "" {
						w.Header().Set("Cache-Control", says)
					}
					h(w, r)
				})
				plain, client := serve(t, h, false)
				cached, _ := serve(t, newCache(t).With(policy.Policy{NoValidators: true})(h), false)
				client.CheckRedirect = func(*http.Request, []*http.Request) error {
					return http.ErrUseLastResponse
				}
				ask := func(url string) (*http.Response, string) {
					t.Helper()
					r, err := client.Get(url)
					if err != nil {
						t.Fatal(err)
					}
					defer r.Body.Close()
					for _, name := range []string{"Date", "Cache-Status", "Age", "Accept-Ranges"} {
						r.Header.Del(name)
					}
					return r, body(r)
				}
				a, aBody := ask(plain)
				for _, when := range []string{"at first", "then"} {
					b, bBody := ask(cached)
					want(t, when+": status", b.StatusCode, a.StatusCode)
					want(t, when+": body", bBody == aBody, true)
					if b.Header.Get("Content-Length") != "" &&
						a.Header.Get("Content-Length") == "" {
						b.Header.Del("Content-Length") // where net/http does not know it, we may
					}
					want(t, when+": header", fmt.Sprint(b.Header), fmt.Sprint(a.Header))
				}
			})
		}
	}
}

// Trailers come on the first answer, to those that read along, and on hits; 103 comes on the first
// only.
func TestTrailersAndEarlyHints(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2=", h2), func(t *testing.T) {
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", "</style.css>; rel=preload")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Trailer", "X-Declared")
				io.WriteString(w, "body")
				w.Header().Set("X-Declared", "1")
				w.Header().Set(http.TrailerPrefix+"X-Undeclared", "2")
			}}
			url, client := serve(t, newCache(t).Handler(o), h2)
			for i := range 3 {
				var hints atomic.Int64
				ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
					Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
						if code == 103 && h.Get("Link") != "" {
							hints.Add(1)
						}
						return nil
					}})
				r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				want(t, "body", body(resp), "body")
				want(t, "declared trailer", resp.Trailer.Get("X-Declared"), "1")
				want(t, "undeclared trailer", resp.Trailer.Get("X-Undeclared"), "2")
				want(t, "Link of the hints in the response", resp.Header.Get("Link"), "")
				want(t, "early hints", hints.Load() == 1, i == 0)
				resp.Body.Close()
			}
			want(t, "runs", o.runs.Load(), int64(1))
		})
	}
}

// A handler may take the connection; requests that wait for it run the handler too.
func TestHijack(t *testing.T) {
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("Write after Hijack: %v", err)
		}
		rw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nCache-Control: " +
			"max-age=60\r\n\r\nraw")
		rw.Flush()
	}}
	url, client := serve(t, newCache(t).Handler(o), false)
	for i := range 2 {
		r, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "body", body(r), "raw")
		want(t, "runs", o.runs.Load(), int64(i+1))
	}
}

// A handler cannot take the connection once it has begun its response, which then goes on.
func TestNoHijackOnceTheResponseHasBegun(t *testing.T) {
	url, client := serve(t, newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(http.StatusOK)
		conn, _, err := http.NewResponseController(w).Hijack()
		if !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Hijack: %v", err)
		}
		if err == nil {
			conn.Close()
			return
		}
		io.WriteString(w, "page")
	})), false)
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "body", body(r), "page")
}

// io.Copy to the handler's ResponseWriter returns how much was copied, for one client or for all.
func TestCopyCountsWhatItCopies(t *testing.T) {
	const size = 100 << 10
	for _, says := range []string{"max-age=60", "private"} {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", says)
			n, err := io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("x", 2*size)),
				size))
			if n != size || err != nil {
				t.Errorf("%s: copied %d bytes of %d: %v", says, n, size, err)
			}
		}))
		want(t, says, len(body(get(h, "/"))), size)
		if says != "private" {
			status(t, get(h, "/"), "hit") // it went to the store, too
		}
	}
}

// No more is copied than the handler declared, whatever it copies from.
func TestCopyEndsAtTheDeclaredLength(t *testing.T) {
	const declared = 70 << 10
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		w.Header().Set("Content-Length", fmt.Sprint(declared))
		w.(io.ReaderFrom).ReadFrom(strings.NewReader(strings.Repeat("x", 2*declared)))
	}))
	want(t, "bytes", len(body(get(h, "/"))), declared)
}

// A field that the handler sets to other values than a handler outside had set is the handler's
// own, all of it.
func TestWhatReplacesAnOuterFieldIsStoredWhole(t *testing.T) {
	inner := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header()["Link"] = []string{"<b>", "<c>"}
	}))
	h := outside(inner, func(*http.Request) (name, value string) { return "Link", "<a>" })
	want(t, "Link", strings.Join(get(h, "/").Header["Link"], ", "), "<b>, <c>")
	hit := get(inner, "/")
	status(t, hit, "hit")
	want(t, "Link on a hit", strings.Join(hit.Header["Link"], ", "), "<b>, <c>")
}

// A new page that takes the place of a stale one is held back as any other, and sent with its
// length.
func TestWhatTakesAStalePagesPlaceHasItsLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, time.Now().Unix()))
			w.WriteHeader(http.StatusOK)
			io.WriteString(w, "page")
		}))
		for range 2 {
			want(t, "Content-Length", get(h, "/").Header.Get("Content-Length"), "4")
			time.Sleep(2 * time.Minute)
		}
	})
}

// A response that passes has the cache's word once, on its final header, and a lifetime only where
// the operator wished one.
func TestAResponseThatPasses(t *testing.T) {
	for _, s := range []struct {
		name, method string
		ttl          time.Duration
		cacheControl string
	}{
		{"no settings", "GET", 0, ""}, {"a lifetime", "GET", time.Minute, "no-cache, no-store"},
		{"another method", "OPTIONS", time.Minute, ""},
		{"a lifetime, HEAD", "HEAD", time.Minute, "no-cache, no-store"},
	} {
		p := policy.Policy{TTL: s.ttl, PassCookies: []string{"login"}}
		url, client := serve(t, newCache(t).With(p)(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusAccepted)
		})), false)
		r, _ := http.NewRequest(s.method, url, nil)
		r.Header.Set("Cookie", "login=1")
		got, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		want(t, s.name+": Cache-Control", got.Header.Get("Cache-Control"), s.cacheControl)
		says := got.Header.Values("Cache-Status")
		if len(says) != 1 || !strings.Contains(says[0], "fwd-status=202") {
			t.Errorf("%s: Cache-Status is %q", s.name, says)
		}
	}
}

// A response is not flushed to its client unless its handler flushes, or the store is far away.
func TestAStoredResponseIsNotFlushed(t *testing.T) {
	w := httptest.NewRecorder()
	newCache(t).Handler(says("page")).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	want(t, "flushed", w.Flushed, false)
	want(t, "page", w.Body.String(), "page")
}

// A response has the date when it was made, the handler's own or else the cache's, for as long as
// it is stored.
func TestTheDateIsThatOfTheResponse(t *testing.T) {
	for _, own := range []time.Duration{0, -5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			made := time.Now().Add(own).UTC().Format(http.TimeFormat)
			h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				if own != 0 {
					w.Header().Set("Date", made)
				}
			}))
			get(h, "/")
			time.Sleep(10 * time.Second)
			r := get(h, "/")
			status(t, r, "hit")
			want(t, "Date", r.Header.Get("Date"), made)
		})
	}
}

// An upgrade passes, connection and all.
func TestUpgradePasses(t *testing.T) {
	url, _ := serve(t, newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: " +
			"Upgrade\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		rw.WriteString("echo " + line)
		rw.Flush()
	})), false)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: "+
		"Upgrade\r\n\r\nhello\n")
	br := bufio.NewReader(conn)
	r, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "status", r.StatusCode, 101)
	line, _ := br.ReadString('\n')
	want(t, "echo", line, "echo hello\n")
}

// http.ResponseController works for deadlines, full duplex and flushing.
func TestResponseController(t *testing.T) {
	for _, says := range []string{"max-age=60", "private"} {
		url, client := serve(t, newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			w.Header().Set("Cache-Control", says)
			rc := http.NewResponseController(w)
			for what, err := range map[string]error{
				"SetReadDeadline":  rc.SetReadDeadline(time.Now().Add(time.Minute)),
				"SetWriteDeadline": rc.SetWriteDeadline(time.Now().Add(time.Minute)),
				"EnableFullDuplex": rc.EnableFullDuplex(),
				"Flush":            rc.Flush(),
			} {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			io.WriteString(w, "ok")
		})), false)
		r, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "body", body(r), "ok")
	}
}

// A panic that nothing was sent for reaches the app's own recovery, as it is.
func TestAPanicReachesTheAppsRecovery(t *testing.T) {
	c := newCache(t)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		panic("the handler's own words")
	}))
	var recovered any
	func() {
		defer func() { recovered = recover() }()
		get(h, "/")
	}()
	want(t, "recovered", recovered, "the handler's own words")
}

// A handler that is lost is stood in for by what is stored, unless the response forbade that.
func TestAStaleResponseStandsIn(t *testing.T) {
	for _, s := range []struct {
		says  string
		fails func(w http.ResponseWriter, r *http.Request)
		want  string
	}{
		{"max-age=1", func(w http.ResponseWriter, r *http.Request) { panic("lost") }, "old"},
		{"max-age=1", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
			"old"},
		{"max-age=1", func(w http.ResponseWriter, r *http.Request) {
			middleware.FromContext(r.Context()).Fail(errors.New("gone"))
			http.Error(w, "bad gateway", 502)
		}, "old"},
		{"max-age=1", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "its own 502", 502)
		}, "its own 502\n"},
		{"max-age=1, stale-if-error=60", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "its own 502", 502)
		}, "old"},
		{"max-age=1, stale-if-error=60", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "its own 404", 404)
		}, "its own 404\n"},
		{"max-age=1, stale-if-error=60, must-revalidate", func(w http.ResponseWriter,
			r *http.Request) {
			http.Error(w, "its own 502", 502)
		}, "its own 502\n"},
		{"s-maxage=1, stale-if-error=60", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "its own 502", 502)
		}, "its own 502\n"},
		{"max-age=1, proxy-revalidate", func(w http.ResponseWriter, r *http.Request) {
			panic("lost")
		}, "panic"},
		{"max-age=1, must-revalidate", func(w http.ResponseWriter, r *http.Request) {
			panic("lost")
		}, "panic"},
		{"max-age=1", func(w http.ResponseWriter, r *http.Request) { // when it has begun to answer
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "new")
			w.(http.Flusher).Flush()
			panic("lost")
		}, "panic"},
	} {
		t.Run(s.says+" → "+s.want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				o := &origin{}
				o.h = func(w http.ResponseWriter, r *http.Request) {
					if o.runs.Load() > 1 {
						s.fails(w, r)
						return
					}
					w.Header().Set("Cache-Control", s.says)
					w.Header().Set("ETag", `"old"`) // which is why it is kept
					io.WriteString(w, "old")
				}
				h := c.Handler(o)
				get(h, "/")
				time.Sleep(10 * time.Second)
				got := "panic"
				func() {
					defer func() { recover() }()
					got = body(get(h, "/"))
				}()
				want(t, "body", got, s.want)
				want(t, "runs", o.runs.Load(), int64(2))
			})
		})
	}
}

// A handler that gives up without a word when Policy.Timeout ends its context is lost, too.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t)
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			if o.runs.Load() > 1 {
				<-r.Context().Done()
				return
			}
			w.Header().Set("Cache-Control", "max-age=1")
			io.WriteString(w, "old")
		}
		h := c.With(policy.Policy{Timeout: time.Second})(o)
		get(h, "/")
		time.Sleep(10 * time.Second)
		start := time.Now()
		want(t, "body", body(get(h, "/")), "old")
		want(t, "time", time.Since(start), time.Second)
	})
}

// What outer handlers put into the header is theirs: it is not stored, and what the handler adds to
// it is added on hits.
func TestOuterHeadersAreNotStored(t *testing.T) {
	c := newCache(t)
	shared := c.With(policy.Policy{Shared: true}) // or else the cookie would keep it out
	inner := shared(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Add("Vary", "Accept-Language")
		w.Header().Del("X-Removed")
		io.WriteString(w, w.Header().Get("X-Request-Id"))
	}))
	id := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id++
		w.Header().Set("X-Request-Id", fmt.Sprint(id))
		w.Header().Set("Set-Cookie", fmt.Sprint("session=", id))
		w.Header().Set("Vary", "Origin")
		w.Header().Set("X-Removed", "1")
		inner.ServeHTTP(w, r)
	})
	for i := 1; i <= 3; i++ {
		r := get(h, "/")
		want(t, "request id", r.Header.Get("X-Request-Id"), fmt.Sprint(i))
		want(t, "cookie", r.Header.Get("Set-Cookie"), fmt.Sprint("session=", i))
		want(t, "Cache-Control", r.Header.Get("Cache-Control"), "private, max-age=60")
		want(t, "body", body(r), "1")
		vary := strings.Join(r.Header.Values("Vary"), ",")
		if !strings.Contains(vary, "Origin") || !strings.Contains(vary, "Accept-Language") {
			t.Errorf("Vary is %q, want both the outer and the handler's", vary)
		}
	}
}

// A handler may speak for itself without header fields.
func TestFrom(t *testing.T) {
	c := newCache(t)
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		said := middleware.FromContext(r.Context())
		switch r.URL.Path {
		case "/timed":
			said.SetTTL(time.Minute)
			said.Tag("a", "b")
		case "/quiet":
			w.Header().Set("Cache-Control", "max-age=60")
			said.NoStore()
		}
	}
	h := c.Handler(o)
	status(t, get(h, "/timed"), "stored")
	status(t, get(h, "/timed"), "hit")
	if _, err := c.Invalidate(context.Background(), tag("b")); err != nil {
		t.Fatal(err)
	}
	status(t, get(h, "/timed"), "fwd=uri-miss")
	status(t, get(h, "/quiet"), "detail=handler")
	status(t, get(h, "/quiet"), "fwd=uri-miss")
	var none *middleware.Response = middleware.FromContext(context.Background())
	none.Tag("x")
	none.SetTTL(1)
	none.NoStore()
	none.Fail(errors.New("x"))
}

// An answer for one client has the length of its body, as all of it is known, or else the trailers
// that its handler set, which a response with a length cannot have.
func TestAPrivateAnswerHasALengthOrTrailers(t *testing.T) {
	const size = 3000 // more than net/http counts itself
	for _, sum := range []string{"", "42"} {
		url, client := serve(t, newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			if sum != "" {
				w.Header().Set("Trailer", "X-Sum")
			}
			io.WriteString(w, strings.Repeat("x", size))
			if sum != "" {
				w.Header().Set("X-Sum", sum)
			}
		})), false)
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "bytes", len(body(res)), size)
		res.Body.Close()
		length := int64(size)
		if sum != "" {
			length = -1
		}
		want(t, "Content-Length", res.ContentLength, length)
		want(t, "trailer", res.Trailer.Get("X-Sum"), sum)
	}
}

// A private response to a conditional request is judged as net/http's ServeContent does: 304 only
// in the place of a 200 that has the client's validator.
func TestAPrivateAnswerToAConditionalRequest(t *testing.T) {
	for _, s := range []struct {
		code int
		etag string
		want int
	}{{200, `"a"`, 304}, {200, `"b"`, 200}, {404, `"a"`, 404}} {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			w.Header().Set("ETag", s.etag)
			w.WriteHeader(s.code)
			io.WriteString(w, "page")
		}))
		want(t, fmt.Sprint(s), get(h, "/", "If-None-Match", `"a"`).StatusCode, s.want)
	}
}

// A response that the handler has just made has no Age but what the handler gives it; one that was
// stored has.
func TestAge(t *testing.T) {
	for _, says := range []string{"max-age=60", "private", "no-cache"} {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", says)
			io.WriteString(w, "page")
		}))
		want(t, says+": the handler's", get(h, "/").Header["Age"] == nil, true)
		want(t, says+": the next", get(h, "/").Header["Age"] != nil, says == "max-age=60")
	}
	synctest.Test(t, func(t *testing.T) {
		h := newCache(t).Handler(says("page"))
		get(h, "/")
		want(t, "a hit at once", get(h, "/").Header.Get("Age"), "0")
	})
}

// Those who read along with a stream are announced its trailers as its own client is.
func TestTrailersOfAStreamThatIsReadAlongWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rest := make(chan struct{})
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "begin ")
			w.(http.Flusher).Flush()
			<-rest
			io.WriteString(w, "end")
			w.Header().Set("X-Sum", "42")
		}}
		h := newCache(t).Handler(o)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				r := get(h, "/")
				want(t, "body", body(r), "begin end")
				want(t, "Trailer", r.Header.Get("Trailer"), "X-Sum")
				want(t, "X-Sum", r.Trailer.Get("X-Sum"), "42")
			})
			synctest.Wait()
		}
		close(rest)
		all.Wait()
		want(t, "runs", o.runs.Load(), int64(1))
	})
}

// Validators are made for whole pages that a client may ask for again, and for nothing else.
func TestWhichResponsesAreGivenValidators(t *testing.T) {
	for code, made := range map[int]bool{200: true, 203: true, 204: false, 404: false, 410: false,
		301: false} {
		h := newCache(t).With(policy.Policy{TTL: time.Minute})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(code)
			}))
		for range 2 {
			r := get(h, "/")
			want(t, fmt.Sprint(code, ": an ETag"), r.Header.Get("ETag") != "", made)
			want(t, fmt.Sprint(code, ": Last-Modified"), r.Header.Get("Last-Modified") != "", made)
		}
	}
}

// WriteHeader panics for what is no status, as net/http's does.
func TestWhatIsNoStatus(t *testing.T) {
	for status, panics := range map[int]bool{0: true, 99: true, 100: false, 199: false, 200: false,
		999: false, 1000: true} {
		panicked := false
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { panicked = recover() != nil }()
			w.WriteHeader(status)
		})
		for what, h := range map[string]http.Handler{"with": newCache(t).Handler(h), "without": h} {
			get(h, "/")
			want(t, fmt.Sprint(status, " panics ", what, " a cache"), panicked, panics)
		}
	}
}

// A handler that has said that the stored page is still good has said all that there is to say: its
// client has the page at once, whatever the handler does then.
func TestAHandlerGoesOnAfterA304(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=1")
			w.Header().Set("ETag", `"a"`)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				select {
				case <-r.Context().Done():
				case <-time.After(time.Hour):
				}
				return
			}
			io.WriteString(w, "page")
		}))
		get(h, "/")
		time.Sleep(5 * time.Second)
		start := time.Now()
		want(t, "page", body(get(h, "/")), "page")
		want(t, "time", time.Since(start), time.Duration(0))
	})
}

// A handler that adds to the Cache-Control of a handler outside adds to it for all who come: its
// own word alone would say less. What else it adds is stored without the words outside, which are
// of one request.
func TestWhatAHandlerAddsToAnOuterCacheControl(t *testing.T) {
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Cache-Control", "must-revalidate")
		io.WriteString(w, "page")
	}))
	beside := outside(h, asked)
	for range 2 {
		r := get(beside, "/", "X-Say", "Cache-Control", "X-Value", "max-age=60")
		want(t, "Cache-Control", fmt.Sprint(r.Header["Cache-Control"]),
			"[max-age=60 must-revalidate]")
	}
	r := get(h, "/")
	status(t, r, "hit")
	want(t, "Cache-Control with nothing outside", fmt.Sprint(r.Header["Cache-Control"]),
		"[max-age=60 must-revalidate]")
}

// Conditions are those of a whole page that is there: a stored error has none, whether it is long
// or not; and a stream that the client does not have is sent.
func TestWhatIsAnsweredWith304(t *testing.T) {
	for _, s := range []struct {
		story string
		code  int
		says  string
		size  int
		asks  string
		want  int
	}{
		{"it has it", 200, "max-age=60", 4, `"a"`, 304},
		{"it has another", 200, "max-age=60", 4, `"b"`, 200},
		{"an error", 404, "max-age=60", 4, `"a"`, 404},
		{"a long error", 404, "max-age=60", 100 << 10, `"a"`, 404},
		{"it has it, a stream", 200, "max-age=60", 100 << 10, `"a"`, 304},
		{"it has another, a stream", 200, "max-age=60", 100 << 10, `"b"`, 200},
	} {
		t.Run(s.story, func(t *testing.T) {
			h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", s.says)
				w.Header().Set("ETag", `"a"`)
				w.WriteHeader(s.code)
				w.Write(make([]byte, s.size))
			}))
			for _, when := range []string{"a miss", "a hit"} {
				r := get(h, "/", "If-None-Match", s.asks)
				want(t, when, r.StatusCode, s.want)
				if s.want != http.StatusNotModified {
					want(t, when+": bytes", len(body(r)), s.size)
				}
			}
		})
	}
}

// A handler that answers one client alone has seen the client's conditions, and knows better than
// the cache what to make of them.
func TestAHandlerOfOneJudgesConditionsItself(t *testing.T) {
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"a"`)
		if r.Header.Get("If-None-Match") == `"a"` {
			io.WriteString(w, "seen")
		}
	}))
	r := get(h, "/", "Cookie", "user=a", "If-None-Match", `"a"`)
	want(t, "status", r.StatusCode, http.StatusOK)
	want(t, "body", body(r), "seen")
}

// Accept-Ranges is the handler's own word, or else the cache's for a whole page, which it can cut
// itself.
func TestAcceptRanges(t *testing.T) {
	for _, s := range []struct {
		code      int
		own, want string
	}{{200, "", "bytes"}, {200, "none", "none"}, {404, "", ""}} {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			if s.own != "" {
				w.Header().Set("Accept-Ranges", s.own)
			}
			w.WriteHeader(s.code)
			io.WriteString(w, "page")
		}))
		get(h, "/")
		r := get(h, "/")
		status(t, r, "hit")
		want(t, fmt.Sprint(s), r.Header.Get("Accept-Ranges"), s.want)
	}
}

// The first client of a page that is stored without what is another's learns its length as those
// who come later do.
func TestTheLengthOfAPageBesideOuterFields(t *testing.T) {
	h := outside(newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "page")
	})), func(*http.Request) (name, value string) { return "X-Request-Id", "1" })
	for range 2 {
		r := get(h, "/")
		want(t, "Content-Length", fmt.Sprint(r.Header["Content-Length"]), "[4]")
		want(t, "Accept-Ranges", fmt.Sprint(r.Header["Accept-Ranges"]), "[bytes]")
	}
}

// Fields of one connection, and those that a response says are nobody else's, are not stored,
// whether it is short or long.
func TestFieldsOfOneResponseAreNotStored(t *testing.T) {
	for _, size := range []int{4, 100 << 10} {
		for _, says := range []string{`Connection: X-Mine`,
			`Cache-Control: max-age=60, private="X-Mine"`,
			`Cache-Control: max-age=60, no-cache="X-Mine"`} {
			h := newCache(t).With(policy.Policy{TTL: time.Minute})(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					name, value, _ := strings.Cut(says, ": ")
					w.Header().Set(name, value)
					w.Header().Set("X-Mine", "1")
					w.Write(make([]byte, size))
				}))
			get(h, "/")
			r := get(h, "/")
			status(t, r, "hit")
			want(t, fmt.Sprint(says, ", ", size, " bytes: X-Mine"), r.Header.Get("X-Mine"), "")
		}
	}
}

// An answer of no bytes makes no Write, as from net/http: compressors outside would take one for a
// body.
func TestAStoredAnswerWithoutABodyIsNotWritten(t *testing.T) {
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(http.StatusOK)
	}))
	for _, when := range []string{"a miss", "a hit"} {
		w := &countsWrites{ResponseWriter: httptest.NewRecorder()}
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		want(t, when+": writes", w.writes, 0)
	}
}

// A page without a flush is not flushed, however long.
func TestALongPageIsNotFlushed(t *testing.T) {
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(make([]byte, 100<<10))
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	want(t, "bytes", w.Body.Len(), 100<<10)
	want(t, "flushed", w.Flushed, false)
}

// A handler may write no more than it has declared, be that nothing.
func TestNoMoreIsWrittenThanDeclared(t *testing.T) {
	for declared, writes := range map[string][]int{"0": {1}, "10": {6, 6}, "5": {5, 1}} {
		var err error
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", declared)
			for _, n := range writes {
				want(t, "an error before", err, nil)
				_, err = w.Write(make([]byte, n))
			}
		}))
		cutOff(func() { get(h, "/") })
		want(t, fmt.Sprint("declared ", declared, ", written ", writes), err, http.ErrContentLength)
	}
}

// An answer that says that it is empty says so to its client.
func TestAnEmptyAnswerKeepsItsLength(t *testing.T) {
	for _, says := range []string{"private", "max-age=60"} {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", says)
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
		}))
		want(t, says, fmt.Sprint(get(h, "/").Header["Content-Length"]), "[0]")
	}
}

// ... nor copies a handler more, to one client whose answer has begun.
func TestNoMoreIsCopiedThanDeclared(t *testing.T) {
	for _, declared := range []int{0, 10} {
		var err error
		var n int64
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			w.Header().Set("Content-Length", fmt.Sprint(declared))
			w.Write(make([]byte, declared/2))
			w.(http.Flusher).Flush()
			n, err = w.(io.ReaderFrom).ReadFrom(strings.NewReader(strings.Repeat("x", 100)))
		}))
		cutOff(func() { get(h, "/") })
		want(t, fmt.Sprint("declared ", declared, ": copied"), n, int64(0))
		want(t, fmt.Sprint("declared ", declared), err, http.ErrContentLength)
	}
}

// A handler may write to the header's map, in any case: its validators are its own, and get no
// others beside them.
func TestValidatorsInAnyCaseAreTheHandlers(t *testing.T) {
	for name, value := range map[string]string{"ETag": `"own"`, "etag": `"own"`,
		"last-modified": "Mon, 02 Jan 2006 15:04:05 GMT"} {
		url, client := serve(t, newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			w.Header()[name] = []string{value}
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "page")
		})), false)
		for _, at := range []string{"at first", "on a hit"} {
			res, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			got := append(res.Header["Etag"], res.Header["Last-Modified"]...)
			want(t, name+" "+at, strings.Join(got, " and "), value)
		}
	}
}

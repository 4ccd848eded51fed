package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// The first PROPFIND tells Changes that there is WebDAV. Its answer goes through, however long it
// is.
func TestALongAnswerToPROPFINDGoesThroughChanges(t *testing.T) {
	page := strings.Repeat("x", 100<<10)
	for name, write := range map[string]func(w http.ResponseWriter){
		"Write": func(w http.ResponseWriter) { io.WriteString(w, page) },
		"ReadFrom": func(w http.ResponseWriter) {
			w.(io.ReaderFrom).ReadFrom(strings.NewReader(page))
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, client := serve(t, newCache(t).Changes(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				w.WriteHeader(http.StatusMultiStatus)
				write(w)
			})), false)
			for range 2 {
				r, _ := http.NewRequest("PROPFIND", url, nil)
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				want(t, "bytes", len(got), len(page))
				want(t, "error", err, nil)
			}
		})
	}
}

// A server has collections, of which DELETE deletes the members too, when it answers a method of
// WebDAV's with success: no other answer tells that.
func TestWhatTellsChangesOfWebDAV(t *testing.T) {
	for _, s := range []struct {
		method  string
		status  int
		members int64 // how often the handler of a member runs, before and after a DELETE
	}{
		{"GET", http.StatusOK, 1},
		{"PROPFIND", http.StatusOK, 1}, // as of a handler that does not look at methods
		{"PROPFIND", http.StatusNotFound, 1},
		{"PROPFIND", http.StatusMultipleChoices, 1},
		{"PROPFIND", http.StatusMovedPermanently, 1},
		{"PROPFIND", http.StatusMultiStatus, 2},
	} {
		t.Run(fmt.Sprint(s.method, s.status), func(t *testing.T) {
			c := newCache(t)
			member := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "page")
			}}
			mux := http.NewServeMux()
			mux.Handle("GET /notes/a", c.With(policy.Policy{TTL: time.Minute})(member))
			mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(s.status)
			})
			mux.HandleFunc("DELETE /notes", func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusNoContent)
			})
			app := c.Changes(mux)
			do(app, s.method, "/")
			get(app, "/notes/a")
			do(app, "DELETE", "/notes")
			get(app, "/notes/a")
			want(t, "runs", member.runs.Load(), s.members)
		})
	}
}

// An app has WebDAV below one path. A DELETE or MOVE elsewhere changes its own URLs alone, whatever
// handler answers it, and the caches in front get no prefix. One host says nothing of another.
func TestWebDAVIsWhereItHasShown(t *testing.T) {
	pages := []string{"/", "/a", "/a/b", "/dav/x", "/dav/x/y", "/dav/z", "/davos"}
	for _, s := range []struct {
		method, target, to string
		gone               []string
		prefixes           string
	}{
		{"DELETE", "/", "", []string{"/", "/dav/x", "/dav/x/y", "/dav/z"},
			"[http://example.com/dav/]"},
		{"DELETE", "/a", "", []string{"/a"}, "[]"},
		{"DELETE", "/dav/x", "", []string{"/dav/x", "/dav/x/y"}, "[http://example.com/dav/x/]"},
		{"MOVE", "/a", "/dav/x", []string{"/a", "/dav/x", "/dav/x/y"},
			"[http://example.com/dav/x/]"},
		{"COPY", "/dav/x", "/a", []string{"/a", "/dav/x"}, "[]"},
		{"DELETE", "http://other.example/dav/x", "", nil, "[]"},
	} {
		for name, mount := range map[string]func(c *middleware.Cache, h http.Handler) http.Handler{
			"a mount": func(c *middleware.Cache, h http.Handler) http.Handler {
				return c.With(minute)(h)
			},
			"Changes": func(c *middleware.Cache, h http.Handler) http.Handler {
				inside := c.With(minute)(h)
				return c.Changes(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == "GET" {
						inside.ServeHTTP(w, r)
						return
					}
					h.ServeHTTP(w, r)
				}))
			},
		} {
			var prefixes []string
			c := newCache(t, middleware.Options{OnInvalidate: func(_ context.Context,
				what middleware.Invalidation) func(context.Context) error {
				prefixes = append(prefixes, what.Prefixes...)
				return nil
			}})
			app := mount(c, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "OPTIONS" && strings.HasPrefix(r.URL.Path, "/dav") {
					w.Header().Set("DAV", "1")
				}
				io.WriteString(w, "page")
			}))
			for _, page := range pages {
				get(app, page)
			}
			do(app, "OPTIONS", "/")
			do(app, "OPTIONS", "/dav")
			do(app, s.method, s.target, "Destination", s.to)
			story := fmt.Sprint(name, ": ", s.method, " ", s.target, " ", s.to)
			slices.Sort(prefixes)
			want(t, story+": prefixes", fmt.Sprint(slices.Compact(prefixes)), s.prefixes)
			var gone []string
			for _, page := range pages {
				if !strings.Contains(get(app, page).Header.Get("Cache-Status"), "hit") {
					gone = append(gone, page)
				}
			}
			want(t, story+": gone", fmt.Sprint(gone), fmt.Sprint(s.gone))
		}
	}
}

// What COPY and MOVE write at their Destination is changed, and so is all below it (RFC 4918
// section 9.8).
func TestTheDestinationOfACopy(t *testing.T) {
	for _, method := range []string{"COPY", "MOVE"} {
		h := newCache(t).With(minute)(http.HandlerFunc(func(w http.ResponseWriter,
			r *http.Request) {
			switch r.Method {
			case "GET":
				io.WriteString(w, "page")
			case "PROPFIND":
				w.WriteHeader(http.StatusMultiStatus)
			default:
				w.WriteHeader(http.StatusCreated)
			}
		}))
		changed := map[string]bool{"/a": true, "/b": true, "/b/below": true, "/bee": false}
		for url := range changed {
			get(h, url)
		}
		do(h, "PROPFIND", "/")
		do(h, method, "/a", "Destination", "http://example.com/b")
		for url, gone := range changed {
			says := get(h, url).Header.Get("Cache-Status")
			want(t, method+" of /a to /b: "+url+" is a hit", strings.Contains(says, "hit"), !gone)
		}
	}
}

// Nobody empties an app by one request that does nothing: neither one that is sent to a login, nor
// one whose handler looks at no method.
func TestWhoIsTurnedAwayChangesNoTree(t *testing.T) {
	for name, answers := range map[string]http.HandlerFunc{
		"a login": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		},
		"a home page":   func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "home") },
		"what says 204": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) },
		"a cleaned path": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/a/page", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			page := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "page")
			}}
			mux := http.NewServeMux()
			mux.Handle("GET /a/page", c.With(minute)(page))
			mux.HandleFunc("/", answers)
			app := c.Changes(mux)
			get(app, "/a/page")
			do(app, "PROPFIND", "/")
			do(app, "DELETE", "/")
			do(app, "DELETE", "/a/", "Depth", "infinity")
			do(app, "MOVE", "/", "Destination", "/a/")
			do(app, "COPY", "/nothing", "Destination", "/a")
			get(app, "/a/page")
			want(t, "runs", page.runs.Load(), int64(1))
		})
	}
}

// A change that Changes sees counts when its handler answers with success or says nothing, and
// once.
func TestWhichChangesCount(t *testing.T) {
	for status, counts := range map[int]bool{0: true, 200: true, 204: true, 303: true, 404: false,
		500: false} {
		c := newCache(t)
		page := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "page")
		}}
		mux := http.NewServeMux()
		mux.Handle("GET /note", c.With(policy.Policy{TTL: time.Minute})(page))
		mux.HandleFunc("PUT /note", func(w http.ResponseWriter, r *http.Request) {
			if status > 0 {
				w.WriteHeader(status)
			}
		})
		app := c.Changes(mux)
		get(app, "/note")
		do(app, "PUT", "/note")
		get(app, "/note")
		want(t, fmt.Sprint("it counts when answered with ", status), page.runs.Load() == 2, counts)
	}
}

// A handler between two mounts may send a change on to another URL: it counts there, and where it
// came in.
func TestAChangeThatIsSentOnToAnotherURL(t *testing.T) {
	for name, around := range map[string]func(c *middleware.Cache, h http.Handler) http.Handler{
		"a mount": func(c *middleware.Cache, h http.Handler) http.Handler {
			return c.With(policy.Policy{TTL: time.Minute})(h)
		},
		"Changes": func(c *middleware.Cache, h http.Handler) http.Handler { return c.Changes(h) },
	} {
		c := newCache(t)
		page := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "page")
		}}
		inside := c.With(policy.Policy{TTL: time.Minute})(page)
		app := around(c, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				r = r.Clone(r.Context())
				r.URL.Path, r.RequestURI = "/b", "/b"
			}
			inside.ServeHTTP(w, r)
		}))
		get(inside, "/b")
		get(inside, "/b")
		want(t, name+": runs before", page.runs.Load(), int64(1))
		do(app, "PUT", "/a")
		get(inside, "/b")
		want(t, name+": runs after, with the change", page.runs.Load(), int64(3))
	}
}

// InvalidateURL reaches what Key.Replace makes of requests that came by TLS, and of those that did
// not: it may tell one from the other.
func TestAPurgeReachesTheKeysOfEachScheme(t *testing.T) {
	for _, target := range []string{"http://example.com/p", "https://example.com/p"} {
		c := newCache(t)
		byScheme := policy.KeyOptions{Replace: func(r *http.Request) string {
			return fmt.Sprint("tls ", r.TLS != nil)
		}}
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
		h := c.With(policy.Policy{TTL: time.Minute, Key: byScheme})(o)
		get(h, target)
		status(t, get(h, target), "hit")
		if _, err := c.InvalidateURL(t.Context(), "http://example.com/other"); err != nil {
			t.Fatal(err)
		}
		get(h, target)
		want(t, target+": runs", o.runs.Load(), int64(2))
	}
}

// A change on a mount that makes keys of its own counts for the URL as it is sent, too: a mount
// beside it has pages of that.
func TestAChangeOnAMountWithItsOwnKeys(t *testing.T) {
	c := newCache(t)
	page := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
	oneKey := policy.KeyOptions{Replace: func(*http.Request) string { return "k" }}
	mux := http.NewServeMux()
	mux.Handle("GET /note", c.With(policy.Policy{TTL: time.Minute})(page))
	mux.Handle("PUT /note", c.With(policy.Policy{Key: oneKey})(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	get(mux, "/note")
	status(t, get(mux, "/note"), "hit")
	do(mux, "PUT", "/note")
	get(mux, "/note")
	want(t, "runs", page.runs.Load(), int64(2))
}

// A URL as long as a key may be is invalidated, and a longer one is an error.
func TestThePurgeOfALongURL(t *testing.T) {
	c := newCache(t)
	url := "http://example.com/" + strings.Repeat("x", rules.MaxKey)
	want(t, "of the greatest length", failed(c.InvalidateURL(t.Context(), url[:rules.MaxKey])), nil)
	want(t, "longer by a byte", failed(c.InvalidateURL(t.Context(), url[:rules.MaxKey+1])) != nil,
		true)
}

// A handler may answer a change, make it, and then find that its client has left, as a reverse
// proxy does. What was stored in between tells of the time before.
func TestAChangeCountsThoughItsHandlerPanicsInTheEnd(t *testing.T) {
	state := "old"
	var app http.Handler
	app = newCache(t).With(policy.Policy{TTL: time.Minute})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "GET" {
				io.WriteString(w, state)
				return
			}
			w.WriteHeader(http.StatusAccepted)
			want(t, "a page that comes in between", body(get(app, "/")), "old")
			state = "new"
			panic(http.ErrAbortHandler)
		}))
	get(app, "/")
	func() {
		defer func() { want(t, "the panic", recover(), any(http.ErrAbortHandler)) }()
		do(app, "POST", "/")
	}()
	want(t, "the page", body(get(app, "/")), "new")
}

// A handler that takes the connection answers by itself, and nobody sees what.
func TestAChangeCountsThoughItsHandlerTakesTheConnection(t *testing.T) {
	for name, mount := range map[string]func(*middleware.Cache, http.Handler) http.Handler{
		"a mount": func(_ *middleware.Cache, page http.Handler) http.Handler { return page },
		"Changes": func(c *middleware.Cache, page http.Handler) http.Handler {
			return c.Changes(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					page.ServeHTTP(w, r)
					return
				}
				take(t, w)
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			url, client := serve(t, mount(c,
				c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
					r *http.Request) {
					if r.Method == "GET" {
						io.WriteString(w, "page")
						return
					}
					take(t, w)
				}))), false)
			ask := func(method string) *http.Response {
				r, _ := http.NewRequest(method, url, nil)
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				return res
			}
			ask("GET")
			status(t, ask("GET"), "hit")
			want(t, "the change", ask("PUT").StatusCode, 204)
			status(t, ask("GET"), "stored")
		})
	}
}

// take answers a request by its connection.
func take(t *testing.T, w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	rw.WriteString("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	rw.Flush()
	conn.Close()
}

// A process that has served nothing yet purges under the policy that a request for the URL would
// have: by TLS another than without.
func TestAPurgeByAProcessThatHasServedNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byTLS := map[bool]*policy.Policy{
			false: {TTL: time.Minute, Key: policy.KeyOptions{DropParams: []string{"a"}}},
			true:  {TTL: time.Minute, Key: policy.KeyOptions{DropParams: []string{"b"}}},
		}
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
		s := newServer(t)
		process := func() (*middleware.Cache, http.Handler) {
			c := middleware.New(s, middleware.Options{Log: discard,
				Policy: func(r *http.Request) *policy.Policy { return byTLS[r.TLS != nil] }})
			t.Cleanup(func() { c.Shutdown(context.Background()) })
			return c, c.Handler(o)
		}
		_, app := process()
		for i, url := range []string{"http://example.com/p?a=1", "https://example.com/p?b=1"} {
			purger, _ := process()
			get(app, url)
			status(t, get(app, url), "hit")
			if _, err := purger.InvalidateURL(t.Context(), url+"2"); err != nil { // of the same key
				t.Fatal(err)
			}
			synctest.Wait()
			get(app, url)
			want(t, url+": runs", o.runs.Load(), int64(2*i+2))
		}
	})
}

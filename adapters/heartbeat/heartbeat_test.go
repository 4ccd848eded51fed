package heartbeat_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/adapters/heartbeat"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestMain(m *testing.M) { testserver.Main(m) }

func send(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func wants(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if got := w.Body.String(); w.Code != status || got != body {
		t.Errorf("the answer is %d %s, want %d %s", w.Code, got, status, body)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q, want no-store", got)
	}
}

func works(context.Context) error { return nil }

func TestAnswers(t *testing.T) {
	type probes = map[string]heartbeat.Probe
	fails := func(context.Context) error { return errors.New("no") }
	for _, each := range []struct {
		name   string
		probes probes
		status int
		body   string
	}{
		{"no probes", nil, 200, `{}`},
		{"all work", probes{"cache": works, "app": works}, 200, `{"app":true,"cache":true}`},
		{"one fails", probes{"cache": fails, "app": works}, 503, `{"app":true,"cache":false}`},
		{"one has nothing to try", probes{"cache": works, "mail": func(context.Context) error {
			return errors.Join(errors.New("no mail here"), heartbeat.ErrNotApplicable)
		}}, 200, `{"cache":true,"mail":null}`},
		{"one panics", probes{"cache": func(context.Context) error { panic("oh") }, "app": works},
			503,
			`{"app":true,"cache":false}`},
		{"one ends its goroutine", probes{"cache": func(context.Context) error {
			runtime.Goexit()
			return nil
		}}, 503, `{"cache":false}`},
	} {
		t.Run(each.name, func(t *testing.T) {
			b := heartbeat.New(heartbeat.Options{Probes: each.probes,
				Log: slog.New(slog.DiscardHandler)})
			for range 2 {
				wants(t, send(b, "GET", heartbeat.Path), each.status, each.body)
			}
			if w := send(b, "GET", heartbeat.Path); w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("Content-Type is %q", w.Header().Get("Content-Type"))
			}
		})
	}
}

func TestAliveAsksNobody(t *testing.T) {
	b := heartbeat.New(heartbeat.Options{Probes: map[string]heartbeat.Probe{"cache": func(
		context.Context) error {
		t.Error("a probe ran")
		return nil
	}}})
	app := b.Around(http.NotFoundHandler())
	wants(t, send(app, "GET", heartbeat.AlivePath), 200, "{}")
	if w := send(app, "GET", "/other"); w.Code != 404 {
		t.Errorf("the app's own path answers %d", w.Code)
	}
}

func TestOtherMethods(t *testing.T) {
	runs := 0
	b := heartbeat.New(heartbeat.Options{Probes: map[string]heartbeat.Probe{"cache": func(
		context.Context) error {
		runs++
		return nil
	}}})
	for path, h := range map[string]http.Handler{heartbeat.Path: b,
		heartbeat.AlivePath: heartbeat.Alive()} {
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PURGE"} {
			w := send(h, method, path)
			if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" ||
				w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d, Allow %q, Cache-Control %q", method, path, w.Code,
					w.Header().Get("Allow"),
					w.Header().Get("Cache-Control"))
			}
		}
	}
	if runs != 0 {
		t.Errorf("other methods ran the probe %d times", runs)
	}
	server := httptest.NewServer(b)
	defer server.Close()
	answer, err := server.Client().Head(server.URL + heartbeat.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != 200 || len(body) != 0 ||
		answer.ContentLength != int64(len(`{"cache":true}`)) || runs != 1 {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %d, %d runs", answer.StatusCode, len(body),
			answer.ContentLength, runs)
	}
}

// Probes run beside each other: two that wait for one another both succeed.
func TestProbesRunAtOnce(t *testing.T) {
	meet := make(chan struct{})
	b := heartbeat.New(heartbeat.Options{Probes: map[string]heartbeat.Probe{
		"one": func(ctx context.Context) error {
			select {
			case meet <- struct{}{}:
			case <-ctx.Done():
			}
			return ctx.Err()
		},
		"two": func(ctx context.Context) error {
			select {
			case <-meet:
			case <-ctx.Done():
			}
			return ctx.Err()
		},
	}})
	wants(t, send(b, "GET", heartbeat.Path), 200, `{"one":true,"two":true}`)
}

// A hanging server costs one run of its probe: requests that come before the deadline wait for its
// end, later ones for nothing, until the probe returns. Then the next request runs it anew.
func TestHangingProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		release := make(chan struct{})
		var log bytes.Buffer
		b := heartbeat.New(heartbeat.Options{
			Log: slog.New(slog.NewTextHandler(&log, nil)),
			Probes: map[string]heartbeat.Probe{"app": works, "cache": func(context.Context) error {
				runs.Add(1)
				<-release // whatever its context says
				return nil
			}},
		})
		begin := time.Now()
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				wants(t, send(b, "GET", heartbeat.Path), 503, `{"app":true,"cache":false}`)
				if took := time.Since(begin); took != 10*time.Second {
					t.Errorf("request %d was answered after %v, want the default deadline of 10s",
						i, took)
				}
			})
		}
		all.Wait()
		wants(t, send(b, "GET", heartbeat.Path), 503, `{"app":true,"cache":false}`)
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("a request past the deadline waited: answered after %v", took)
		}
		if got := runs.Load(); got != 1 {
			t.Errorf("%d runs of a probe that hangs, want 1", got)
		}
		close(release)
		synctest.Wait()
		wants(t, send(b, "GET", heartbeat.Path), 200, `{"app":true,"cache":true}`)
		if got := runs.Load(); got != 2 {
			t.Errorf("%d runs, want a second one once the first has returned", got)
		}
		text := log.String()
		if strings.Count(text, "cache fails") != 1 ||
			strings.Count(text, "no answer within 10s") != 1 ||
			strings.Count(text, "cache works again") != 1 || strings.Contains(text, "app") {
			t.Errorf("the log is\n%s\nwant one line when the probe begins to fail, and one when "+
				"it works again", text)
		}
	})
}

// A client that leaves does not end the probe for the others.
func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := heartbeat.New(heartbeat.Options{Probes: map[string]heartbeat.Probe{"cache": func(
			ctx context.Context) error {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return ctx.Err()
		}}})
		ctx, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			b.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", heartbeat.Path,
				nil).WithContext(ctx))
		})
		synctest.Wait()
		all.Go(func() { wants(t, send(b, "GET", heartbeat.Path), 200, `{"cache":true}`) })
		leave()
		synctest.Wait()
		close(release)
		all.Wait()
	})
}

// mounts are apps that are cached as a whole, for an hour, with both paths in them.
var mounts = map[string]func(c *middleware.Cache, b *heartbeat.Heartbeat) http.Handler{
	"ServeMux": func(c *middleware.Cache, b *heartbeat.Heartbeat) http.Handler {
		mux := http.NewServeMux()
		mux.Handle(heartbeat.Path, b)
		mux.Handle(heartbeat.AlivePath, heartbeat.Alive())
		return c.Root(c.Handler(mux))
	},
	"chi": func(c *middleware.Cache, b *heartbeat.Heartbeat) http.Handler {
		r := chi.NewRouter()
		r.Use(c.Handler)
		r.Handle(heartbeat.Path, b)
		r.Handle(heartbeat.AlivePath, heartbeat.Alive())
		return c.Root(r)
	},
	"echo": func(c *middleware.Cache, b *heartbeat.Heartbeat) http.Handler {
		e := echo.New()
		e.Use(echocache.Middleware(c))
		e.Any(heartbeat.Path, echo.WrapHandler(b))
		e.Any(heartbeat.AlivePath, echo.WrapHandler(heartbeat.Alive()))
		return c.Root(e)
	},
	"around": func(c *middleware.Cache, b *heartbeat.Heartbeat) http.Handler {
		return b.Around(c.Root(c.Handler(http.NotFoundHandler())))
	},
}

// Whatever the operator wishes for the whole app, each request is answered anew, and nothing is
// stored.
func TestNeverCached(t *testing.T) {
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			pages := memstore.New(1 << 20)
			defer pages.Close()
			hour := &policy.Policy{TTL: time.Hour, Shared: true, Heuristic: true,
				IgnoreClientDirectives: true,
				StaleWhileRevalidate:   time.Hour, StaleIfError: time.Hour}
			c := middleware.New(pages, middleware.Options{
				Policy: func(*http.Request) *policy.Policy { return hour }, LeaveOut: []string{},
			})
			defer c.Shutdown(context.Background())
			runs, broken := 0, false
			app := mount(c, heartbeat.New(heartbeat.Options{
				Log: slog.New(slog.DiscardHandler),
				Probes: map[string]heartbeat.Probe{"cache": func(context.Context) error {
					if runs++; broken {
						return errors.New("broken")
					}
					return nil
				}},
			}))
			for _, method := range []string{"GET", "HEAD", "GET", "GET"} {
				if w := send(app, method, heartbeat.Path); w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %d, Cache-Control %q", method, w.Code,
						w.Header().Get("Cache-Control"))
				}
			}
			broken = true
			wants(t, send(app, "GET", heartbeat.Path), 503, `{"cache":false}`)
			broken = false
			wants(t, send(app, "GET", heartbeat.Path), 200, `{"cache":true}`)
			wants(t, send(app, "GET", heartbeat.AlivePath), 200, `{}`)
			wants(t, send(app, "GET", heartbeat.AlivePath), 200, `{}`)
			if w := send(app, "DELETE", heartbeat.Path); w.Code != 405 {
				t.Errorf("DELETE: %d, want 405", w.Code)
			}
			if runs != 6 {
				t.Errorf("the probe ran %d times, want 6: once for each GET and HEAD", runs)
			}
			if n := pages.Len(); n != 0 {
				t.Errorf("%d entries were stored", n)
			}
		})
	}
}

func TestWrongOptions(t *testing.T) {
	for name, build := range map[string]func(){
		"Timeout": func() { heartbeat.New(heartbeat.Options{Timeout: -1}) },
		`"cache"`: func() {
			heartbeat.New(heartbeat.Options{Probes: map[string]heartbeat.Probe{"cache": nil}})
		},
		"store": func() { heartbeat.Store(nil) },
	} {
		func() {
			defer func() {
				if text, ok := recover().(string); !ok || !strings.Contains(text, name) {
					t.Errorf("%s: the panic is %q", name, text)
				}
			}()
			build()
		}()
	}
}

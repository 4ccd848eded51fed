package mounts_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/middleware/front"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Hits are answered in front of net/http behind routers that look at the method, the host and the
// path; with anything else of others between, the app goes on as without a front.
func TestInFront(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page "+r.RequestURI) })
	minute := policy.Policy{TTL: time.Minute}
	chiApp := func(with ...func(http.Handler) http.Handler) func(*middleware.Cache) http.Handler {
		return func(c *middleware.Cache) http.Handler {
			r := chi.NewRouter()
			r.Use(with...)
			r.Route("/p", func(r chi.Router) { r.With(c.With(minute)).Get("/{id}", page) })
			return r
		}
	}
	for _, test := range []struct {
		name string
		app  func(*middleware.Cache) http.Handler
		skip []string
		hits bool
		log  string // what it says, if anything
	}{
		{"chi", chiApp(), nil, true, ""},
		{"chi's request id", chiApp(chimiddleware.RequestID), nil, false, "chi/v5/middleware.RequestID.func1 stands between"},
		{"chi's request id, skipped", chiApp(chimiddleware.RequestID),
			[]string{"github.com/go-chi/chi/v5/middleware.RequestID.*"}, true, ""},
		{"chi's logger, skipped", chiApp(chimiddleware.Logger), []string{"*"}, false, ""},
		{"gorilla", func(c *middleware.Cache) http.Handler {
			r := mux.NewRouter()
			r.Handle("/p/{id}", c.With(minute)(page)).Headers("X-Api", "2")
			r.Handle("/p/{id}", c.With(minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "page "+r.RequestURI)
			})))
			return r
		}, nil, false, "gorilla/mux.(*Router).ServeHTTP stands between"},
		{"a session", func(c *middleware.Cache) http.Handler {
			return scs.New().LoadAndSave(c.With(minute)(page))
		}, []string{"*"}, false, ""},
		{"echo", func(c *middleware.Cache) http.Handler {
			e := echo.New()
			e.GET("/p/:id", echo.WrapHandler(c.With(minute)(page)))
			return e
		}, []string{"*"}, false, ""},
		{"around echo", func(c *middleware.Cache) http.Handler {
			e := echo.New()
			e.GET("/p/:id", echo.WrapHandler(page))
			return c.With(minute)(e)
		}, nil, true, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log lines
			c := middleware.New(memstore.New(64<<20), middleware.Options{
				Log: slog.New(slog.NewTextHandler(&log, nil))})
			defer c.Shutdown(t.Context())
			var hits atomic.Int64
			f := &front.Front{Skip: test.skip, OnHit: func(http.Header, *http.Request) { hits.Add(1) }}
			srv := &http.Server{Handler: c.Root(test.app(c))}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- f.Serve(srv, l, c) }()
			client := &http.Client{Transport: &http.Transport{}}
			for i := range 12 {
				path := fmt.Sprint("/p/", i%2)
				res, err := client.Get("http://" + l.Addr().String() + path)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || string(b) != "page "+path {
					t.Errorf("%q, %v", b, err)
				}
			}
			client.CloseIdleConnections()
			if got := hits.Load() > 0; got != test.hits {
				t.Errorf("%d hits in front\n%s", hits.Load(), log.String())
			}
			said := log.String()
			if !strings.Contains(said, test.log) || test.log == "" && strings.Contains(said, "stands between") {
				t.Errorf("the log says:\n%s", said)
			}
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != http.ErrServerClosed {
				t.Error(err)
			}
		})
	}
}

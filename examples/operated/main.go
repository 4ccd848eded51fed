// Operated is an app with all that those who run it look at: a page with the hit ratio and what is
// missed, metrics for Prometheus, a log line for each request, and health checks.
//
//	go run ./examples/operated
//
// It prints where to look, and asks itself for pages, so that there is something to see. With
// -config FILE it tells clients what the file says (backoff = 10, eos = 2027-03-31), from the next
// request after a change on, also with pages that are stored.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"log/slog"
	random "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/adapters/heartbeat"
	"github.com/freshet-go/freshet/adapters/notices"
	"github.com/freshet-go/freshet/adapters/requestlog"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/settings/reload"
	"github.com/freshet-go/freshet/store/memstore"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where to serve")
	token := flag.String("token", "", "the token of the door; without it, a new one, which is printed")
	config := flag.String("config", "", "a settings file, whose notices are followed")
	traffic := flag.Bool("traffic", true, "ask for pages all the time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *listen, *token, *config, *traffic, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "operated:", err)
		os.Exit(1)
	}
}

// follow returns a board with the notices of a settings file, and what keeps it current until its
// context is done. SIGHUP has the file read as well.
func follow(file string, log *slog.Logger) (*notices.Board, *reload.Watcher, error) {
	watch, err := reload.Open(reload.Options{
		Loader: settings.Loader{Keys: notices.Keys()}, File: file, Environ: os.Environ(),
		Live: notices.Keys(), Signals: []os.Signal{syscall.SIGHUP}, Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	board := new(notices.Board)
	put := func(s *settings.Settings) error {
		fields, err := notices.FromSettings(s)
		if err != nil {
			return err
		}
		return board.Set(fields)
	}
	watch.OnChange(put)
	return board, watch, put(watch.Settings())
}

// run serves the app until ctx is done.
func run(
	ctx context.Context, listen, token, config string, traffic bool, stdout, stderr io.Writer,
) error {
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	password := "the token as the password"
	if token == "" {
		token = rand.Text()
		password = fmt.Sprintf("password %q", token)
	}
	board, followed, err := follow(config, log)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	pages := memstore.New(64 << 20)
	defer pages.Close()
	watch := admin.NewWatch()
	cache := freshet.New(pages, freshet.Options{
		Log:     log,
		Observe: freshet.Observers(watch.Observe, requestlog.New(requestlog.Options{Log: log})),
	})
	defer cache.Shutdown(context.WithoutCancel(ctx))
	door := admin.New(cache, watch, admin.Options{Authenticate: admin.Tokens(token), Flush: true,
		Store: pages, Log: log})

	mux := http.NewServeMux()
	mux.Handle("GET /page/{n}", cache.With(freshet.Policy{TTL: 5 * time.Second})(
		http.HandlerFunc(page)))
	mux.Handle("GET /news", cache.With(freshet.Policy{
		TTL: time.Second, StaleWhileRevalidate: time.Minute, Tags: []string{"news"},
	})(http.HandlerFunc(page)))
	mux.Handle("GET /cart", cache.With(freshet.Policy{TTL: time.Minute})(http.HandlerFunc(cart)))

	outer := http.NewServeMux() // what operators see stays when the service has ended
	outer.Handle("/__freshet__/", http.StripPrefix("/__freshet__", door))
	outer.Handle("GET /metrics", counters(watch.Meter(), cache))
	outer.Handle("GET "+heartbeat.Path, heartbeat.New(heartbeat.Options{
		Probes: map[string]heartbeat.Probe{"store": heartbeat.Store(pages)}, Log: log}))
	outer.Handle("GET "+heartbeat.AlivePath, heartbeat.Alive())
	outer.Handle("/", board.Handler(mux))

	following := make(chan struct{})
	until, end := context.WithCancel(ctx)
	go func() {
		defer close(following)
		followed.Run(until)
	}()
	defer func() { end(); <-following }()
	server := &http.Server{Handler: cache.Root(outer), ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout: 30 * time.Second}
	fmt.Fprintf(stdout, "the app        http://%s/page/1\n", l.Addr())
	fmt.Fprintf(stdout, "its operators  http://%s/__freshet__/  (any user, %s)\n", l.Addr(),
		password)
	fmt.Fprintf(stdout, "for Prometheus http://%s/metrics\n", l.Addr())
	fmt.Fprintf(stdout, "its health     http://%s%s\n", l.Addr(), heartbeat.Path)
	if traffic {
		go visitors(ctx, "http://"+l.Addr().String())
	}
	context.AfterFunc(ctx, func() { server.Shutdown(context.WithoutCancel(ctx)) })
	if err := server.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// page takes a while, as pages do.
func page(w http.ResponseWriter, r *http.Request) {
	time.Sleep(20*time.Millisecond + time.Duration(random.IntN(40))*time.Millisecond)
	fmt.Fprintf(w, "<p>%s, made at %s</p>\n", r.URL.Path, time.Now().Format(time.TimeOnly))
}

// cart is its visitor's own.
func cart(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "private, no-store")
	page(w, r)
}

// visitors asks for pages until ctx is done: for some of them more often than for others.
func visitors(ctx context.Context, site string) {
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		path := fmt.Sprintf("/page/%d", int(40*random.Float64()*random.Float64()))
		switch n := random.IntN(20); {
		case n == 0:
			path = "/cart"
		case n < 6:
			path = "/news"
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, site+path, nil)
		if err != nil {
			return
		}
		if res, err := client.Do(r); err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/examples/internal/processes"
	"github.com/freshet-go/freshet/store/open"
)

const tag = "drinks"

// patience is how long a request waits for a run of another one's, and so for the end of a dead
// process's lease and for the run after it. Policy.MaxWait is 5 seconds without it.
const patience = 30 * time.Second

// app is one process of the app: what a program of yours would have.
type app struct {
	name  string
	takes time.Duration
	runs  runs
	cache *freshet.Cache
}

// routes are the pages, and what makes them stale.
func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{drink}", a.cache.With(freshet.Policy{
		TTL:                  time.Hour,
		StaleWhileRevalidate: time.Hour,
		Tags:                 []string{tag},
		MaxWait:              patience,
	})(http.HandlerFunc(a.page)))
	mux.HandleFunc("POST /stale", a.makeStale)
	return a.cache.Root(mux)
}

// page is a page that is slow to make. It notes its run before it begins, for the tour to count.
func (a *app) page(w http.ResponseWriter, r *http.Request) {
	if err := a.runs.begin(a.name); err != nil {
		http.Error(w, "the run was not noted", http.StatusInternalServerError)
		return
	}
	time.Sleep(a.takes)
	fmt.Fprintf(w, "%s, made by %s at %s", r.PathValue("drink"), a.name, time.Now().Format(time.StampNano))
}

// makeStale makes the pages stale in all processes, and answers when all of them know.
func (a *app) makeStale(w http.ResponseWriter, r *http.Request) {
	receipt, err := a.cache.InvalidateTag(r.Context(), tag, freshet.Soft)
	if err == nil {
		err = receipt.Wait(r.Context())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// runApp is the program of one process. It prints its address, and serves until ctx is done or the
// process has ended that has started it.
func runApp(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("fleet app", flag.ContinueOnError)
	flags.SetOutput(stderr)
	a := &app{}
	flags.StringVar(&a.name, "name", "A", "")
	flags.StringVar(&a.runs.file, "runs", "", "")
	flags.DurationVar(&a.takes, "takes", time.Second, "")
	storeURL := flags.String("store", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := processes.UntilEnd(ctx)
	defer stop()

	// A store that is slow because this machine is busy counts as well.
	options := open.Options{Prefix: "freshet-example-fleet:"}
	options.Guard.Timeout, options.Guard.SetTimeout = 5*time.Second, 5*time.Second
	pages, err := open.URL(ctx, *storeURL, options)
	if err != nil {
		return err
	}
	defer pages.Close()
	a.cache = freshet.New(pages, freshet.Options{
		ProcessName:  a.name,
		StoreTimeout: 5 * time.Second,
		Log:          slog.New(slog.NewTextHandler(stderr, nil)),
	})
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		a.cache.Shutdown(ctx)
	}()
	return processes.Serve(ctx, stdout, a.routes())
}

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/nginx"
	"github.com/freshet-go/freshet/adapters/cdn/varnish"
	"github.com/freshet-go/freshet/examples/internal/processes"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
	_ "github.com/freshet-go/freshet/store/redisstore" // for -store redis://…
)

const (
	public = "www.example.com" // the host that clients ask for
	tag    = "prices"
)

// secretOf is the environment's name of what purges are known by: arguments are for all to see.
const secretOf = "FRESHET_EXAMPLE_SECRET"

// app is one process of the app: what a program of yours would have.
type app struct {
	name    string
	prices  *os.Root // the database: a file for each price
	cache   *freshet.Cache
	members store.Membership // who follows the journal
	outbox  *cdn.Outbox
	runs    atomic.Int64
}

// routes are the pages, and what changes them.
func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /prices/{item}", a.cache.With(freshet.Policy{
		TTL: time.Hour, Shared: true, Tags: []string{tag},
		CDNTTL:    time.Hour,                  // purges reach the cache in front
		ClientTTL: time.Second,                // and no browser
		SendTags:  []string{varnish.TagField}, // so that the cache in front knows the tag
	})(http.HandlerFunc(a.price)))
	mux.HandleFunc("POST /prices/{item}", a.change)
	return a.cache.Root(mux)
}

// price is a page that costs something to make.
func (a *app) price(w http.ResponseWriter, r *http.Request) {
	price, err := a.prices.ReadFile(r.PathValue("item"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintf(w, "%s %s run %d", price, a.name, a.runs.Add(1))
}

// change writes a new price, invalidates all pages with prices, and tells of it line by line.
func (a *app) change(w http.ResponseWriter, r *http.Request) {
	price, err := strconv.ParseFloat(r.FormValue("price"), 64)
	if err != nil || price < 0 || price > 1e6 {
		http.Error(w, "price: a number from 0 to 1000000 is allowed", http.StatusBadRequest)
		return
	}
	item, text := r.PathValue("item"), strconv.FormatFloat(price, 'f', 2, 64)
	if err := a.prices.WriteFile(item, []byte(text), 0o600); err != nil {
		http.Error(w, "the price was not written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	say := func(who, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", who, fmt.Sprintf(format, args...))
		http.NewResponseController(w).Flush()
	}
	receipt, err := a.cache.InvalidateTag(r.Context(), tag)
	if err != nil {
		say("journal", "failed: %v", err)
		return
	}
	say("journal", "has it, as number %d", receipt.Number)
	if err := receipt.Wait(r.Context()); err != nil { // it names those that have not
		say("processes", "failed: %v", err)
		return
	}
	members, err := a.members.Members(r.Context())
	if err != nil {
		say("processes", "failed: %v", err)
		return
	}
	slices.SortFunc(members, func(a, b store.Member) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range members {
		if m.Applied >= receipt.Number { // all of those that Wait has waited for
			say(m.Name, "has applied number %d", receipt.Number)
		}
	}
	if err := a.tellOwed(r.Context(), say); err != nil {
		say("outbox", "failed: %v", err)
		return
	}
	if err := receipt.WaitInFront(r.Context()); err != nil {
		say("in front", "failed: %v", err) // it stays owed, and is tried again
		return
	}
	say("in front", "has taken the purge")
	if err := a.tellOwed(r.Context(), say); err != nil {
		say("outbox", "failed: %v", err)
	}
}

// tellOwed says what caches in front have not taken yet, of both processes.
func (a *app) tellOwed(ctx context.Context, say func(who, format string, args ...any)) error {
	owed, err := a.outbox.Owed(ctx)
	if err != nil {
		return err
	}
	total := 0
	for _, o := range owed {
		total += o.Count
	}
	say("outbox", "owes %d", total)
	return nil
}

// forNginx tells nginx, which does not read CDN-Cache-Control, how long it may keep a page.
func forNginx(_ int, h http.Header) {
	said := h.Get("CDN-Cache-Control")
	if said == "" {
		return
	}
	lifetime, _ := strings.CutPrefix(said, "max-age=")
	seconds, _ := strconv.Atoi(lifetime) // 0 for no-store, which CDNTTL: -1 says
	age, _ := strconv.Atoi(h.Get("Age"))
	h.Set("X-Accel-Expires", strconv.Itoa(max(seconds-age, 0)))
}

// runApp is the program of one process. It prints its address, and serves until ctx is done or its
// input ends, which it does when the process that has started it ends.
func runApp(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("cdn app", flag.ContinueOnError)
	flags.SetOutput(stderr)
	a := &app{}
	flags.StringVar(&a.name, "name", "A", "")
	storeURL, prices := flags.String("store", "", ""), flags.String("prices", "", "")
	address, folder := flags.String("varnish", "", ""), flags.String("nginx", "", "")
	delay := flags.Duration("delay", time.Second, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := processes.UntilEnd(ctx)
	defer stop()
	var err error
	if a.prices, err = os.OpenRoot(*prices); err != nil {
		return err
	}
	defer a.prices.Close()
	pages, err := open.URL(ctx, *storeURL, open.Options{Prefix: "freshet-example-cdn:"})
	if err != nil {
		return err
	}
	defer pages.Close()
	if a.members, _ = store.As[store.Membership](pages.Journal()); a.members == nil {
		return fmt.Errorf("-store %s is not for several processes: take files or a server", *storeURL)
	}

	// The cache in front, and the outbox that sends it purges.
	var target cdn.Target
	options := freshet.Options{ProcessName: a.name, Log: slog.New(slog.NewTextHandler(stderr, nil))}
	if *folder != "" {
		target, err = nginx.New(nginx.Options{Folder: *folder})
		options.OnHeader = forNginx
	} else {
		target, err = varnish.New(varnish.Options{Address: *address, Secret: os.Getenv(secretOf)})
	}
	if err != nil {
		return err
	}
	if a.outbox, err = cdn.New(cdn.Options{
		Targets: []cdn.Target{target},
		Store:   pages.Backend, // purges wait here: none is lost when a process ends
		Hosts:   map[string][]string{"*": {"http://" + public}},
		Delay:   *delay,
	}); err != nil {
		return err
	}
	last := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	}
	defer func() {
		ctx, cancel := last()
		defer cancel()
		a.outbox.Close(ctx) // what is owed then the other process sends
	}()
	options.OnInvalidate = a.outbox.OnInvalidate
	a.cache = freshet.New(pages, options)
	defer func() {
		ctx, cancel := last()
		defer cancel()
		a.cache.Shutdown(ctx)
	}()

	return processes.Serve(ctx, stdout, a.routes())
}

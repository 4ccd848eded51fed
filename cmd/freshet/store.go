package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/open"
)

var storeUsage = `freshet migrate, flush and health look after the store that caches share.

usage: freshet migrate [--store URL] [--dry-run]   create what the store needs on its server
       freshet migrate --dependencies TABLE,...    have tables announce their changes
       freshet flush   [--store URL]               forget all that is stored, in every process
       freshet flush   --proxy URL                 forget all that a running proxy knows
       freshet health  [--store URL]               write, read and delete a value; ask the server

  freshet migrate --store postgres://app@db.example/app --dry-run
  freshet migrate --dependencies 'product,shop."Order"' --database postgres://owner@db.example/app
  freshet flush --store redis://127.0.0.1:6379/0
  freshet health --store 'memcached://10.0.0.1,10.0.0.2'

` + helpOf([]group{storeGroup}) + `flush removes what lies under the prefix that the URL names (redis://…?prefix=blog:); under that of
the settings (blog:) and the proxy's beside it (proxy-blog:); or, if nothing names one, under those
that apps (freshet:) and the proxy (freshet-proxy:) use by default. Nothing else on the server is
touched. Processes that share the store forget what they keep in their own memory.

The status is 0 when all went well, 1 when the store did not, 2 when it could not be asked as told.
`

// proxyPrefix is the prefix of what the proxy stores, apart from that of the app behind it: they
// judge who may be shown what by different policies.
const proxyPrefix = "freshet-proxy:"

// storeFlags are the settings of the commands that look after a store.
type storeFlags struct {
	choice  open.Choice
	dryRun  bool
	depends dependencies
	proxy   *url.URL // nil: none
	timeout time.Duration
	json    bool
	from    source
}

// newStoreFlags returns the flags of one of the commands that look after a store.
func newStoreFlags(command string) (*storeFlags, *flag.FlagSet) {
	f := &storeFlags{timeout: 30 * time.Second}
	set := newFlagSet(command)
	set.StringVar(&f.choice.URL, "store", "", "")
	f.from.define(set)
	set.Func("timeout", "", into(&f.timeout, readTimeout))
	set.BoolVar(&f.json, "json", false, "")
	switch command {
	case "migrate":
		set.BoolVar(&f.dryRun, "dry-run", false, "")
		set.Func("dependencies", "", into(&f.depends.tables, readTables))
		set.StringVar(&f.depends.database, "database", "", "")
		set.BoolVar(&f.depends.remove, "remove", false, "")
	case "flush":
		set.Func("proxy", "", into(&f.proxy, readProxy))
	}
	once(set)
	return f, set
}

func runStore(
	ctx context.Context, command string, args, environ []string, stdout, stderr io.Writer,
) int {
	f, err := readStoreFlags(command, args, environ)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(stdout, storeUsage)
		return exitOK
	}
	if err != nil {
		return refuse(stderr, command, err)
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if f.proxy != nil {
		return f.flushProxy(ctx, stdout, stderr)
	}
	do := map[string]func(context.Context, *storeFlags, io.Writer) error{
		"migrate": migrate, "flush": flush, "health": health}[command]
	if f.depends.tables != nil {
		do = migrateDependencies
	}
	if err := do(ctx, f, stdout); err != nil {
		if asked := (badChoice{}); errors.As(err, &asked) {
			return refuse(stderr, command, asked.error)
		}
		if f.depends.tables != nil {
			return failWith(stderr, command, err)
		}
		return failWith(stderr, command, fmt.Errorf("%s: %w", f.choice, err))
	}
	return exitOK
}

func failWith(stderr io.Writer, command string, err error) int {
	fmt.Fprintf(stderr, "freshet %s: %v\n", command, err)
	return exitFailed
}

// badChoice is an error in what was asked for, rather than of the server.
type badChoice struct{ error }

func readStoreFlags(command string, args, environ []string) (*storeFlags, error) {
	f, set := newStoreFlags(command)
	if err := parseFlags(set, args); err != nil {
		return nil, err
	}
	if f.proxy != nil {
		if f.choice.URL != "" {
			return nil, errors.New("--proxy and --store are two ways to flush: keep one")
		}
		return f, nil
	}
	if err := f.depends.check(); err != nil {
		return nil, err
	}
	watch, err := f.from.open(environ)
	if err != nil {
		return nil, err
	}
	loaded := watch.Settings()
	if err := applySettings(set, "commands_", loaded); err != nil {
		return nil, err
	}
	if f.depends.database != "" {
		return f, nil
	}
	f.choice, err = chooseStore(open.Choice{URL: f.choice.URL, Origin: byFlag}, loaded, environ)
	if err == nil && strings.HasPrefix(f.choice.URL, "memory:") {
		f.choice, err = storeOfProxy(f.choice, loaded, environ)
	}
	if err == nil && strings.HasPrefix(f.choice.URL, "memory:") {
		err = fmt.Errorf("%s: that is the memory of one process, which no other can see into: "+
			"name a store with --store URL%s", f.choice, map[string]string{
			"freshet flush":  ", or flush a running proxy with freshet flush --proxy URL",
			"freshet health": ", or ask a running proxy for its --heartbeat path",
		}[set.Name()])
	}
	return f, err
}

// storeOfProxy returns the store that settings name for a proxy, where they name no other.
func storeOfProxy(
	other open.Choice, loaded *settings.Settings, environ []string,
) (open.Choice, error) {
	at := loaded.Origin("proxy.store")
	if at == "" {
		return other, nil
	}
	url, err := settings.Get(loaded, "proxy.store", "", settings.Text)
	if err != nil {
		return other, err
	}
	return chooseStore(open.Choice{URL: url, Origin: "proxy.store, " + at}, loaded, environ)
}

// byFlag is the origin of a store that the command line names.
const byFlag = "--store"

// chooseStore returns the store of the flag, if there is one, or that of the settings. The settings
// say in both cases whether it is encrypted: a flag must not have anything stored in the clear that
// was not to be.
func chooseStore(
	flag open.Choice, loaded *settings.Settings, environ []string,
) (open.Choice, error) {
	if flag.URL != "" {
		return open.Encrypted(flag, loaded, environ)
	}
	return open.FromSettings(loaded, environ)
}

// forProxy is where the proxy stores: what a flag names is taken as it is, but a prefix from
// settings, which may be an app's, becomes one of the proxy's own.
func forProxy(c open.Choice) open.Choice {
	before, query, _ := strings.Cut(c.URL, "?")
	if c.Origin == byFlag || query == "" {
		return c
	}
	options := strings.Split(query, "&")
	for i, option := range options {
		if prefix, found := strings.CutPrefix(option, "prefix="); found {
			options[i] = "prefix=proxy-" + prefix
		}
	}
	c.URL = before + "?" + strings.Join(options, "&")
	return c
}

// backends opens the backend under each prefix that is meant.
func (f *storeFlags) backends(do func(b store.Backend, prefix string) error) error {
	type place struct{ url, prefix string }
	places := []place{{f.choice.URL, open.DefaultPrefix}, {f.choice.URL, proxyPrefix}}
	if _, query, _ := strings.Cut(f.choice.URL, "?"); query != "" {
		if options, _ := url.ParseQuery(query); options.Has("prefix") {
			places[1].url = forProxy(f.choice).URL
			if places[1].url == places[0].url {
				places = places[:1]
			}
		}
	}
	for _, at := range places {
		b, prefix, closeIt, err := open.Backend(at.url, open.Options{Prefix: at.prefix})
		if err != nil {
			return badChoice{err}
		}
		err = do(b, prefix)
		if late := closeIt(); err == nil {
			err = late
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// migrated, flushed and healthy are what the commands print as JSON.
type (
	migrated struct {
		DryRun bool     `json:"dry_run"`
		Steps  []string `json:"steps"`
	}
	flushed struct {
		Removed map[string]int64 `json:"removed"` // by prefix
	}
	healthy struct {
		Backend string            `json:"backend"`
		Latency float64           `json:"latency"` // in seconds
		Details map[string]string `json:"details"`
	}
)

func migrate(ctx context.Context, f *storeFlags, stdout io.Writer) error {
	m, done := migrated{DryRun: f.dryRun, Steps: []string{}}, false
	err := f.backends(func(b store.Backend, _ string) error {
		if done {
			return nil // what is there serves every prefix
		}
		done = true
		steps, err := store.Migrate(ctx, b, f.dryRun)
		m.Steps = append(m.Steps, steps...)
		return err
	})
	if f.json {
		if err == nil {
			printJSON(stdout, m)
		}
		return err
	}
	word := "done"
	if f.dryRun {
		word = "would"
	}
	for _, step := range m.Steps {
		fmt.Fprintf(stdout, "%s: %s\n", word, step)
	}
	if err == nil && len(m.Steps) == 0 {
		fmt.Fprintln(stdout, "nothing to do")
	}
	return err
}

func flush(ctx context.Context, f *storeFlags, stdout io.Writer) error {
	all := flushed{Removed: map[string]int64{}}
	err := f.backends(func(b store.Backend, prefix string) error {
		removed, err := store.Flush(ctx, b, prefix)
		if err != nil {
			return err
		}
		if all.Removed[prefix] = removed; !f.json {
			fmt.Fprintf(stdout, "removed %d under %s\n", removed, prefix)
		}
		return nil
	})
	if err == nil && f.json {
		printJSON(stdout, all)
	}
	return err
}

func health(ctx context.Context, f *storeFlags, stdout io.Writer) error {
	done := false
	return f.backends(func(b store.Backend, prefix string) error {
		if done {
			return nil // it is one server
		}
		done = true
		h, err := store.Probe(ctx, b, prefix)
		if err != nil {
			return err
		}
		if err := askJournal(ctx, b, prefix); err != nil {
			return fmt.Errorf("values are written and read, and its journal of invalidations does not "+
				"answer: handlers answer all requests: %w", err)
		}
		if f.json {
			printJSON(stdout, healthy{h.Backend, h.Latency.Seconds(), h.Details})
			return nil
		}
		fmt.Fprintf(stdout, "%s is well: a value was written, read and deleted in %v\n", h.Backend,
			h.Latency.Round(10*time.Microsecond))
		for _, name := range slices.Sorted(maps.Keys(h.Details)) {
			fmt.Fprintf(stdout, "  %s: %s\n", name, h.Details[name])
		}
		return nil
	})
}

// askJournal reads the journal that the server keeps under a prefix, if it keeps one.
func askJournal(ctx context.Context, b store.Backend, prefix string) error {
	j, ok := store.As[store.Journaler](b)
	if !ok {
		return nil
	}
	journal := j.Journal(prefix)
	if journal == nil {
		return nil
	}
	_, _, err := journal.Since(ctx, 0)
	return err
}

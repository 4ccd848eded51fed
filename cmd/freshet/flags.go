package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/adapters/notices"
	"github.com/freshet-go/freshet/adapters/statsd"
	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/settings/reload"
	"github.com/freshet-go/freshet/settings/routes"
	"github.com/freshet-go/freshet/store/filestore"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/open"
)

var proxyUsage = `freshet proxy is a shared cache in front of one HTTP server, the upstream. It
answers from memory what the rules of HTTP (RFC 9111) allow, and asks the upstream for the rest.

usage: freshet proxy --upstream URL [flags]

  freshet proxy --upstream http://127.0.0.1:9000
  curl -i http://127.0.0.1:8080/

Each response says in Cache-Status what became of the request: "Freshet; hit; ttl=55" came from
memory and is good for 55 more seconds, "Freshet; fwd=uri-miss; stored" came from the upstream.

` + helpOf(proxyGroups) + `A flag goes before the environment, that before the file, that before the default. The setting of
a flag such as --max-body is called FRESHET_PROXY_MAX_BODY in the environment, and in the file:

  [freshet]
  proxy.upstream = http://127.0.0.1:9000
  proxy.max-body = 1MiB

What a request with Cookie, Authorization or another field that names a user (X-Forwarded-User,
X-Api-Key and the like) gets is kept for others only if the response has a lifetime and says that
it may be shared: Cache-Control with public or s-maxage, or, for Authorization alone,
must-revalidate. It is answered from memory if the response said so, or was made for a request
without them and states a lifetime of its own; what is kept by heuristics, or to be validated each
time, is for requests without them only.

SIGINT or SIGTERM ends it: it takes no new requests, finishes those it has (30 seconds at most), and
exits with status 0; a second one ends it at once. The status is 2 if it could not start as asked, 1
if it failed later.

SIGHUP, and a change of the --config file, have the settings loaded anew. These then count at once:
` + listOf(live()) + `
The others wait for a restart, and the log names those that changed. If anything in the new settings
is wrong, nothing changes, and the log says why. SIGHUP also opens the --log-file anew, and reads
the certificate, the door's token and the keys of --read-your-writes-key-file.
`

// proxyFlags are the settings of freshet proxy.
type proxyFlags struct {
	listen         string // "": nowhere
	listenGiven    bool
	tls            tlsFlags
	upstreams      []*url.URL
	spread         upstreamFlags
	preserveHost   bool
	trustForwarded bool
	underscores    bool
	front          bool
	timeout        time.Duration
	stall          time.Duration

	store        open.Choice
	memory       int64
	memoryGiven  bool
	maxBody      int64
	heuristics   bool
	documents    time.Duration
	storeCookies bool
	passCookies  []string
	ignored      []string // cookies
	swr, sie     time.Duration
	rule         ruleFlag
	rules        *routes.Set
	live         routes.Live // the rules in use

	purge    purgeFlags
	statsd   statsd.Options
	sends    *sender // to statsd; nil: nothing
	notices  noticeFlags
	board    notices.Board // of notices in use
	door     adminFlags
	readOnly bool
	strict   bool
	spooling spoolFlags
	writes   writeFlags
	name     string
	log      logFlags
	source   source
	watch    *reload.Watcher // of the settings
	warnings []string        // of the settings
}

// readProxyFlags reads the command line, the environment and the file. The error is flag.ErrHelp,
// or says what is wrong, where and what is allowed.
func readProxyFlags(args, environ []string, log *slog.Logger) (*proxyFlags, error) {
	f, set := newProxyFlags()
	f.source.log = log
	err := f.read(set, args, environ)
	if err == nil && f.upstreams == nil {
		missing := []error{errors.New("--upstream is missing: the URL of the server to cache for, " +
			"such as http://127.0.0.1:9000")}
		for _, warning := range f.watch.Settings().Warnings() { // upstream = … of the file, say
			missing = append(missing, errors.New(warning))
		}
		err = errors.Join(missing...)
	}
	if err != nil {
		return nil, err
	}
	if err := f.board.Set(f.notices.fields); err != nil {
		return nil, err
	}
	f.live.Use(f.rules)
	return f, nil
}

// parseProxyFlags reads the command line alone.
func parseProxyFlags(args []string) (*proxyFlags, *flag.FlagSet, error) {
	f, set := newProxyFlags()
	if err := parseFlags(set, args); err != nil {
		return nil, nil, err
	}
	return f, set, nil
}

// read reads the command line, the environment and the file. The error is flag.ErrHelp, or all that
// is wrong, each a line. It is what the proxy checks at its start, and freshet config beforehand:
// all but whether an upstream is named, the addresses are free, and the store answers.
func (f *proxyFlags) read(set *flag.FlagSet, args, environ []string) error {
	wrong := parseFlags(set, args)
	if errors.Is(wrong, flag.ErrHelp) {
		return wrong
	}
	f.source.overrides(set)
	var err error
	if f.watch, err = f.source.open(environ); err != nil {
		return errors.Join(wrong, unless(wrong, &flagError{"config", err}))
	}
	wrong = errors.Join(wrong, unless(wrong, f.take(set, f.watch.Settings(), environ)))
	if f.tls.listen != "" && !f.listenGiven {
		f.listen = ""
	}
	return errors.Join(wrong, unless(wrong, f.check(environ)))
}

// check returns what is wrong with the settings together, and with the files that they name.
func (f *proxyFlags) check(environ []string) error {
	f.warnings = slices.Concat(f.warnings, f.purge.warnings(), f.door.warnings(),
		f.notices.warnings(time.Now()), openToAll("door-token-file", f.door.tokenFile),
		openToAll("read-your-writes-key-file", f.writes.file))
	return errors.Join(f.spread.check(), f.purge.check(), f.tls.check(), f.notices.check(),
		f.door.check(environ, f.listen, f.tls.listen), f.checkStore(), f.checkMemory(), f.checkSpool(),
		f.checkWrites(), f.checkStatsd(), f.log.check(), f.checkLoops())
}

// checkStatsd returns what is wrong with what is sent to statsd. It sends nothing.
func (f *proxyFlags) checkStatsd() error {
	s, err := newSender(f.statsd, slog.New(slog.DiscardHandler))
	s.close()
	return err
}

// checkStore returns what is wrong with the store, as far as no server need be asked.
func (f *proxyFlags) checkStore() error {
	switch o := (open.Options{Prefix: proxyPrefix}); {
	case f.store.URL == "":
		return nil // there is an error of its own
	case !strings.HasPrefix(f.store.URL, "memory:"):
		if err := f.checkFolder(); err != nil {
			return err
		}
		_, _, end, err := open.Backend(f.store.URL, o)
		if err != nil {
			return fmt.Errorf("%s: %w", f.store.Origin, err)
		}
		return end()
	case f.readOnly:
		return errors.New("--readonly needs a --store that other processes fill, such as " +
			"redis://127.0.0.1:6379/0: nothing would ever be in this one's memory")
	default:
		s, err := open.URL(context.Background(), f.store.URL, o)
		if err != nil {
			return fmt.Errorf("%s: %w", f.store.Origin, err)
		}
		return s.Close()
	}
}

// checkMemory returns an error where the store's URL has another bound of the memory than --memory.
func (f *proxyFlags) checkMemory() error {
	option := "near"
	if strings.HasPrefix(f.store.URL, "memory:") {
		option = "max_bytes"
	}
	_, query, _ := strings.Cut(f.store.URL, "?")
	options, _ := url.ParseQuery(query) // checkStore has said what is wrong
	n, err := settings.Bytes(options.Get(option))
	if !f.memoryGiven || !options.Has(option) || err != nil || n == f.memory {
		return nil
	}
	return fmt.Errorf("--memory %s and %s=%s in the store (%s) disagree: keep one",
		size(f.memory), option, options.Get(option), f.store)
}

// checkFolder returns why there is nothing to read in the files of a store that is only read. The
// store would make its folder.
func (f *proxyFlags) checkFolder() error {
	if !f.readOnly || !strings.HasPrefix(f.store.URL, "file:") {
		return nil
	}
	before, _, _ := strings.Cut(f.store.URL, "?")
	c, err := filestore.ParseURL(before)
	if err == nil {
		_, err = os.Stat(c.Path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: --readonly makes no folder, and there is no %s: start what fills it "+
			"first", f.store.Origin, c.Path)
	}
	return nil // what else is wrong, the store says
}

// checkLoops returns which upstreams are the proxy itself.
func (f *proxyFlags) checkLoops() error {
	var wrong []error
	for _, at := range []struct{ flag, address string }{
		{"listen", f.listen}, {"listen-tls", f.tls.listen}, {"door", f.door.address},
	} {
		for _, upstream := range f.upstreams {
			if at.address != "" {
				wrong = append(wrong, checkLoop(context.Background(), at.flag, at.address, upstream))
			}
		}
	}
	return errors.Join(wrong...)
}

// take gives each flag that is not on the command line its setting, and finds the store, the rules
// and the rest that has no flags.
func (f *proxyFlags) take(
	set *flag.FlagSet, loaded *settings.Settings, environ []string,
) error {
	wrong := []error{applySettings(set, "proxy.", loaded)}
	origin := byFlag
	if at := loaded.Origin("proxy.store"); at != "" && !given(set, "store") {
		origin = "proxy.store, " + at
	}
	named := f.store.URL != ""
	chosen, err := chooseStore(open.Choice{URL: f.store.URL, Origin: origin}, loaded, environ)
	if f.store = (open.Choice{}); err == nil && named {
		f.store = chosen
	} else if err == nil {
		f.store = forProxy(chosen)
	}
	wrong = append(wrong, err)
	f.warnings = loaded.Warnings()
	if f.rules, err = f.loadRules(loaded); err == nil {
		f.warnings = append(f.warnings, f.rules.Warnings()...)
	}
	wrong = append(wrong, err)
	f.statsd, err = statsd.FromSettings(loaded)
	return errors.Join(append(wrong, err)...)
}

func newProxyFlags() (*proxyFlags, *flag.FlagSet) {
	f := &proxyFlags{
		listen: "127.0.0.1:8080", timeout: proxy.DefaultTimeout, stall: time.Minute,
		memory: memstore.DefaultBytes, maxBody: rules.DefaultMaxBody,
		documents: rules.DefaultHeuristicDocumentMax, name: "Freshet",
	}
	set := newFlagSet("proxy")
	set.Func("listen", "", func(text string) error {
		f.listenGiven = true
		return into(&f.listen, readListen)(text)
	})
	set.Func("upstream", "", into(&f.upstreams, readUpstreams))
	set.BoolVar(&f.preserveHost, "preserve-host", true, "")
	set.BoolVar(&f.trustForwarded, "trust-forwarded", false, "")
	set.BoolVar(&f.underscores, "allow-underscores", false, "")
	set.BoolVar(&f.front, "front", true, "")
	set.Func("timeout", "", into(&f.timeout, readTimeout))
	set.Func("stall-timeout", "", into(&f.stall, settings.Duration))
	set.StringVar(&f.store.URL, "store", "", "")
	set.Func("memory", "", func(text string) error {
		f.memoryGiven = true
		return into(&f.memory, atLeast(1<<20, "1MiB"))(text)
	})
	set.Func("max-body", "", into(&f.maxBody, atLeast(1, "1")))
	set.BoolVar(&f.heuristics, "heuristics", true, "")
	set.Func("heuristic-documents", "", into(&f.documents, settings.Duration))
	set.BoolVar(&f.storeCookies, "store-cookies", false, "")
	set.Func("pass-cookies", "", into(&f.passCookies, readCookies))
	set.Func("ignore-cookies", "", into(&f.ignored, readIgnored))
	set.Func("stale-while-revalidate", "", into(&f.swr, settings.Duration))
	set.Func("stale-if-error", "", into(&f.sie, settings.Duration))
	set.Var(&f.rule, "rule", "")
	set.Func("name", "", into(&f.name, readName))
	set.BoolVar(&f.readOnly, "readonly", false, "")
	set.BoolVar(&f.strict, "strict", false, "")
	f.spooling.define(set)
	f.writes.define(set)
	f.notices.define(set)
	f.door.define(set)
	f.spread.define(set)
	f.purge.define(set)
	f.tls.define(set)
	f.log.define(set)
	f.source.define(set)
	once(set)
	return f, set
}

// applySettings gives each flag that is not on the command line its setting, if it has one: each of
// those that are named, or all where none is.
func applySettings(
	set *flag.FlagSet, prefix string, loaded *settings.Settings, only ...string,
) error {
	var wrong []error
	set.VisitAll(func(f *flag.Flag) {
		if given(set, f.Name) || loaded.Origin(prefix+f.Name) == "" ||
			len(only) > 0 && !slices.Contains(only, f.Name) {
			return
		}
		_, err := settings.Get(loaded, prefix+f.Name, struct{}{}, func(value string) (struct{},
			error) {
			return struct{}{}, setFlag(f, value)
		})
		if err != nil {
			wrong = append(wrong, &flagError{f.Name, err})
		}
	})
	return errors.Join(wrong...)
}

// given reports whether a flag is on the command line.
func given(set *flag.FlagSet, name string) (is bool) {
	set.Visit(func(f *flag.Flag) { is = is || f.Name == name })
	return is
}

func setFlag(f *flag.Flag, value string) error {
	if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
		yes, err := settings.Bool(value)
		if err != nil {
			return err
		}
		value = strconv.FormatBool(yes)
	}
	return f.Value.Set(value)
}

// into makes a reader of values a flag's function.
func into[T any](to *T, read func(string) (T, error)) func(string) error {
	return func(text string) error {
		value, err := read(text)
		if err == nil {
			*to = value
		}
		return err
	}
}

func readListen(text string) (string, error) {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		return "", errors.New("allowed is HOST:PORT, such as 127.0.0.1:8080 or :8080")
	}
	return text, nil
}

func readUpstream(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		u = nil
	}
	if err := proxy.CheckUpstream(u); err != nil {
		return nil, err
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("allowed is a port from 1 to 65535")
		}
	}
	return u, nil
}

func readTimeout(text string) (time.Duration, error) {
	d, err := settings.Duration(text)
	if err != nil || d == 0 {
		return 0, errors.New("allowed is a length of time greater than 0, such as 30s or 5m")
	}
	return d, nil
}

func atLeast(least int64, shown string) func(string) (int64, error) {
	return func(text string) (int64, error) {
		n, err := settings.Bytes(text)
		if err != nil || n < least {
			return 0, fmt.Errorf("allowed is a number of bytes such as 65536, 64KiB or 16MiB, "+
				"from %s", shown)
		}
		return n, nil
	}
}

func readName(text string) (string, error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if text == "" || strings.Trim(text[:1], letters) != "" ||
		strings.Trim(text, letters+"0123456789-._") != "" {
		return "", errors.New("allowed are letters, digits, hyphens, dots and underscores, a " +
			"letter first")
	}
	return text, nil
}

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/open"
)

const proxyUsage = `freshet proxy is a shared cache in front of one HTTP server, the upstream. It
answers from memory what the rules of HTTP (RFC 9111) allow, and asks the upstream for the rest.

usage: freshet proxy --upstream URL [flags]

  freshet proxy --upstream http://127.0.0.1:9000
  curl -i http://127.0.0.1:8080/

Each response says in Cache-Status what became of the request: "Freshet; hit; ttl=55" came from
memory and is good for 55 more seconds, "Freshet; fwd=uri-miss; stored" came from the upstream.

where:
  --upstream URL         the server to cache for; a path in it goes before each request's (required)
  --listen HOST:PORT     where to serve (default 127.0.0.1:8080; :8080 is every address)
  --preserve-host        send the client's Host to the upstream (default true); with
                         --preserve-host=false the upstream gets the host of its own URL
  --trust-forwarded      believe the X-Forwarded-For, -Host, -Proto and Forwarded of clients: only
                         behind a proxy of your own (default false: they are replaced)
  --allow-underscores    let request fields through whose names have other characters than letters,
                         digits and hyphens (default false: they are dropped, since many apps take
                         X_Forwarded_For for X-Forwarded-For)
  --timeout DURATION     how long the upstream may be silent (default 1m)
  --stall-timeout DURATION
                         how long a client may take nothing of a long response before it is cut
                         off (default 1m; 0 for never)

what is kept:
  --store URL            keep it in a store that lasts, and that several proxies can share:
                         file:///var/cache/site, redis://host:6379/0, postgres://user@host/db,
                         memcached://host1,host2 (default memory://; without the flag, the settings
                         cache_url and so on count, then FRESHET_REDIS_URL, then REDIS_URL)
  --memory SIZE          the bound of what is kept in this process, from 1MiB (default 256MiB); the
                         process takes about 2.2 times as much, unless GOMEMLIMIT is set
  --max-body SIZE        the longest body that is kept, from 1 (default 16MiB; never more than a
                         quarter of --memory)
  --heuristics           keep a response that states no lifetime for a tenth of the time since its
                         Last-Modified, a day at most (default true; off: --heuristics=false)
  --heuristic-documents DURATION
                         documents (HTML, feeds, calendars, JSON, XML, and what has no type) so long
                         at most (default 1m; 0s: they are not kept without a stated lifetime)
  --store-cookies        keep responses that set cookies, as RFC 9111 allows: every client then
                         gets the same cookie (default false)
  --pass-cookies NAMES   a request with one of these cookies goes to the upstream, and its
                         response is not kept, whatever it says, such as
                         wordpress_logged_in_*,PHPSESSID (default none)
  --ignore-cookies NAMES a request with no other cookies than these, such as _ga*,consent, counts
                         as one without, and the upstream does not see them; @analytics stands for
                         those of common analytics, consent banners and CDNs (default none)
  --stale-while-revalidate DURATION
                         serve a stale response for so long while it is renewed, where the
                         response does not say itself (default 0s)
  --stale-if-error DURATION
                         serve a stale response for so long while the upstream answers 500, 502,
                         503 or 504, where the response does not say itself (default 0s); while
                         the upstream cannot be reached, stale responses are served for 10 minutes

how it runs:
  --name NAME            its name in Cache-Status and Via (default Freshet)
  --log                  write a line for each request to stderr (default false)
  --config FILE          read settings from an .ini file, such as the app's own

A flag goes before the environment, that before the file, that before the default. The setting of
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
exits with status 0; a second one ends it at once. SIGHUP changes nothing. The status is 2 if it
could not start as asked, 1 if it failed later.
`

// proxyFlags are the settings of freshet proxy.
type proxyFlags struct {
	listen         string
	upstream       *url.URL
	preserveHost   bool
	trustForwarded bool
	underscores    bool
	timeout        time.Duration
	stall          time.Duration

	store        open.Choice
	memory       int64
	maxBody      int64
	heuristics   bool
	documents    time.Duration
	storeCookies bool
	passCookies  []string
	ignored      []string // cookies
	swr, sie     time.Duration

	name     string
	log      bool
	config   string
	warnings []string // of the settings
}

// readProxyFlags reads the command line, the environment and the file. The error is flag.ErrHelp, or says
// what is wrong, where and what is allowed.
func readProxyFlags(args, environ []string) (*proxyFlags, error) {
	f, set := newProxyFlags()
	if err := set.Parse(args); err != nil {
		return nil, inOurWords(err)
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag", set.Arg(0))
	}
	loaded, err := applySettings(set, f.config, environ)
	if err != nil {
		return nil, err
	}
	if f.store, err = chooseStore(f.store.URL, loaded, environ); err != nil {
		return nil, err
	}
	f.store, f.warnings = forProxy(f.store), loaded.Warnings()
	if f.upstream == nil {
		return nil, errors.New("--upstream is missing: the URL of the server to cache for, such as http://127.0.0.1:9000")
	}
	return f, nil
}

func newProxyFlags() (*proxyFlags, *flag.FlagSet) {
	f := &proxyFlags{
		listen: "127.0.0.1:8080", timeout: proxy.DefaultTimeout, stall: time.Minute,
		memory: memstore.DefaultBytes, maxBody: rules.DefaultMaxBody, documents: rules.DefaultHeuristicDocumentMax, name: "Freshet",
	}
	set := flag.NewFlagSet("freshet proxy", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Func("listen", "", into(&f.listen, readListen))
	set.Func("upstream", "", into(&f.upstream, readUpstream))
	set.BoolVar(&f.preserveHost, "preserve-host", true, "")
	set.BoolVar(&f.trustForwarded, "trust-forwarded", false, "")
	set.BoolVar(&f.underscores, "allow-underscores", false, "")
	set.Func("timeout", "", into(&f.timeout, readTimeout))
	set.Func("stall-timeout", "", into(&f.stall, settings.Duration))
	set.StringVar(&f.store.URL, "store", "", "")
	set.Func("memory", "", into(&f.memory, atLeast(1<<20, "1MiB")))
	set.Func("max-body", "", into(&f.maxBody, atLeast(1, "1")))
	set.BoolVar(&f.heuristics, "heuristics", true, "")
	set.Func("heuristic-documents", "", into(&f.documents, settings.Duration))
	set.BoolVar(&f.storeCookies, "store-cookies", false, "")
	set.Func("pass-cookies", "", into(&f.passCookies, readCookies))
	set.Func("ignore-cookies", "", into(&f.ignored, readIgnored))
	set.Func("stale-while-revalidate", "", into(&f.swr, settings.Duration))
	set.Func("stale-if-error", "", into(&f.sie, settings.Duration))
	set.Func("name", "", into(&f.name, readName))
	set.BoolVar(&f.log, "log", false, "")
	set.StringVar(&f.config, "config", "", "")
	once(set)
	return f, set
}

// applySettings gives each flag that is not on the command line its setting, if it has one.
func applySettings(set *flag.FlagSet, file string, environ []string) (*settings.Settings, error) {
	given := map[string]bool{"config": true}
	set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	loader := settings.Loader{Shared: true, Keys: open.Keys()}
	set.VisitAll(func(f *flag.Flag) {
		if f.Name != "config" {
			loader.Keys = append(loader.Keys, "proxy."+f.Name)
		}
	})
	found, err := loader.Load(file, environ)
	if err != nil {
		return nil, err
	}
	var wrong []error
	set.VisitAll(func(f *flag.Flag) {
		if given[f.Name] {
			return
		}
		_, err := settings.Get(found, "proxy."+f.Name, struct{}{}, func(value string) (struct{}, error) {
			return struct{}{}, setFlag(f, value)
		})
		if err != nil {
			wrong = append(wrong, err)
		}
	})
	return found, errors.Join(wrong...)
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
			return 0, fmt.Errorf("allowed is a number of bytes such as 65536, 64KiB or 16MiB, from %s", shown)
		}
		return n, nil
	}
}

func readName(text string) (string, error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if text == "" || strings.Trim(text[:1], letters) != "" || strings.Trim(text, letters+"0123456789-._") != "" {
		return "", errors.New("allowed are letters, digits, hyphens, dots and underscores, a letter first")
	}
	return text, nil
}

// inOurWords says what package flag says of the command line, with the dashes of our help.
func inOurWords(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		return fmt.Errorf("there is no flag --%s", name)
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return fmt.Errorf("--%s needs a value", name)
	}
	for _, before := range []string{" for flag -", " for -"} { // the value stands before, quoted
		if value, rest, ok := strings.Cut(text, before); ok {
			name, why, _ := strings.Cut(rest, ": ")
			value = value[strings.IndexByte(value, '"'):]
			if why == "parse error" {
				why = "allowed are true and false"
			}
			return fmt.Errorf("--%s %s: %s", name, value, why)
		}
	}
	return err
}

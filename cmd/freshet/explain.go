package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/settings/routes"
)

const explainUsage = `freshet explain says why a page is cached or not: how the key is made, what gives the lifetime,
what forbids storing, with the section of the RFC, and what to change.

usage: freshet explain URL [flags]           ask the URL once, and explain what comes
       freshet explain [flags] < RECORDED    explain a recorded exchange; no server is asked
       freshet explain URL --door URL        ask a running app by its admin door

  freshet explain https://shop.example/page
  curl -v https://shop.example/page 2>&1 | freshet explain --config freshet.ini
  freshet explain https://shop.example/page --door http://127.0.0.1:9999 --fetch

Where the response has a Cache-Status, the caches on the way are heard first. Then a Freshet with
the policy of the flags, which by default is that of freshet proxy, judges the exchange as it would
in front of the server: any shared cache by RFC 9111 judges much the same.

the request:
  --header 'NAME: VALUE' a request field, once for each field; in place of those of a recording. -H
                         is short for it
  --method METHOD        GET or HEAD; a door takes others, too, and runs no handler for them
                         (default GET)
  --url URL              the URL of a recording that has none (curl -i), or which entry of a HAR
                         file

the policy, besides --max-body, --heuristics, --heuristic-documents, --store-cookies,
--pass-cookies, --ignore-cookies, --stale-while-revalidate, --stale-if-error, --rule and --config of
freshet proxy, whose rules by path, in [rules] of the file and by --rule, count as they do there:
  --ttl DURATION         Policy.TTL of the route, where no rule says another (default 0s)
  --shared               Policy.Shared (default false)
  --resource NAMES       the route's resource, whose settings in the file or the environment count;
                         behind a comma other resources of the app, if their names end alike; rules
                         do not count then, since a route of an app has its own policy
  --scope NAMES          the parents that narrow the settings, such as blog,articles

a running app, whose own policies count in place of these flags:
  --door URL             where the app mounts its admin door, such as
                         http://127.0.0.1:8080/__freshet__ (default FRESHET_DOOR of the
                         environment, for a URL without flags of a policy)
  --fetch                have the app run the handler once; its response is judged, and not stored
  --token-file FILE      a file with the door's token (default FRESHET_TOKEN of the environment)

  --json                 print it as JSON (default false)

A recording is what curl -v or curl -i print, or a HAR file or one entry of it, as browsers save
it.
Its response counts as received when the archive says, or at its Date and Age. No credential is
printed: of Cookie, Authorization and fields that name a user, the names alone.

The status is 0 when the page was explained, 1 when the server or the app did not answer, 2 when
the command cannot be understood, 3 when the door wants another token, 4 when there is no door, or
one of another version.
`

// explainFlags are the settings of freshet explain.
type explainFlags struct {
	proxy *proxyFlags

	target    *url.URL // to ask; nil: a recording is read
	recorded  *url.URL
	header    http.Header
	method    string
	ttl       time.Duration
	shared    bool
	resources []string
	scope     []string
	doorFlags
	fetch bool
	json  bool

	expires *policy.Expires
	rules   *routes.Set
}

func runExplain(
	ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer,
) int {
	f, err := readExplainFlags(args, environ)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(stdout, explainUsage)
		return exitOK
	}
	if err != nil {
		return refuse(stderr, "explain", err)
	}
	x, err := f.explain(ctx, stdin)
	if err != nil {
		return failed(stderr, "explain", err)
	}
	if f.json {
		return printJSON(stdout, x)
	}
	io.WriteString(stdout, x.String())
	return exitOK
}

func (f *explainFlags) explain(ctx context.Context, stdin io.Reader) (*explain.Explanation, error) {
	switch {
	case f.at != nil:
		return f.askDoor(ctx)
	case f.target != nil:
		return f.askServer(ctx)
	}
	return f.readRecording(ctx, stdin)
}

// ofPolicy are the flags of freshet proxy that say what is kept.
var ofPolicy = []string{"max-body", "heuristics", "heuristic-documents", "store-cookies",
	"pass-cookies", "ignore-cookies",
	"stale-while-revalidate", "stale-if-error", "rule", "config"}

func newExplainFlags() *explainFlags {
	return &explainFlags{header: http.Header{}, method: http.MethodGet}
}

func readExplainFlags(args, environ []string) (*explainFlags, error) {
	f := newExplainFlags()
	set := f.flags()
	words, err := parseAnywhere(set, args)
	if err != nil {
		return nil, err
	}
	if err := f.doorOfEnviron(set, words, environ); err != nil {
		return nil, err
	}
	if err := f.readTarget(words); err != nil {
		return nil, err
	}
	if err := f.checkDoor(set); err != nil {
		return nil, err
	}
	f.readEnviron(environ)
	loader, err := f.proxy.source.loader(environ)
	if err != nil {
		return nil, err
	}
	loaded, err := loader.Load(f.proxy.source.config, environ)
	if err != nil {
		return nil, err
	}
	if err := applySettings(set, "proxy.", loaded, ofPolicy...); err != nil {
		return nil, err
	}
	if err := f.readExpires(environ); err != nil {
		return nil, err
	}
	return f, f.readRules(loaded)
}

// doorOfEnviron takes the door of the environment for a URL, unless a flag says that the policy is
// another than the running app's.
func (f *explainFlags) doorOfEnviron(set *flag.FlagSet, words, environ []string) (err error) {
	at := variable(environ, "FRESHET_DOOR")
	own := slices.ContainsFunc(slices.Concat(ofRoute, ofPolicy), func(name string) bool {
		return given(set, name)
	})
	if f.at != nil || at == "" || len(words) == 0 || own {
		return nil
	}
	if f.at, err = readDoor(at); err != nil {
		return fmt.Errorf("environment variable FRESHET_DOOR %q: %w", at, err)
	}
	return nil
}

// checkDoor returns which flags say what a door does not ask for: it judges by the app's own
// policies, of which it has but the request.
func (f *explainFlags) checkDoor(set *flag.FlagSet) error {
	if f.at == nil {
		return nil
	}
	var wrong []error
	set.Visit(func(each *flag.Flag) {
		if name := each.Name; slices.Contains(ofRoute, name) || slices.Contains(ofPolicy, name) {
			wrong = append(wrong, fmt.Errorf("--%s is for a policy of yours, and --door asks what the "+
				"running app's own does: keep one", name))
		}
	})
	return errors.Join(wrong...)
}

// ofRoute are the flags of explain that say what is kept, besides ofPolicy.
var ofRoute = []string{"ttl", "shared", "resource", "scope"}

// readRules reads the rules by path of the command line and of the file, as freshet proxy does. A
// route of an app has a policy of its own instead.
func (f *explainFlags) readRules(loaded *settings.Settings) (err error) {
	name, text := loaded.File()
	if len(f.resources) > 0 {
		if len(f.proxy.rule) > 0 && loaded.Origin("proxy.rule") == "" {
			return errors.New("--rule is for paths of a proxy, and --resource for a route of an " +
				"app, whose policy is its own: keep one")
		}
		f.proxy.rule, text = nil, ""
	}
	f.rules, err = routes.Parse(name, text, routes.Options{Base: f.policy(), First: f.proxy.rule,
		FirstOrigin: "--rule"})
	return err
}

// flags are its own, and those of freshet proxy that count here.
func (f *explainFlags) flags() *flag.FlagSet {
	set := newFlagSet("explain")
	set.StringVar(&f.method, "method", f.method, "")
	suggest(set, "method", []string{http.MethodGet, http.MethodHead})
	set.Func("url", "", into(&f.recorded, readTargetURL))
	set.Func("ttl", "", into(&f.ttl, settings.Duration))
	set.BoolVar(&f.shared, "shared", false, "")
	set.Func("resource", "", into(&f.resources, readNames))
	set.Func("scope", "", into(&f.scope, readNames))
	f.define(set)
	set.BoolVar(&f.fetch, "fetch", false, "")
	set.BoolVar(&f.json, "json", false, "")
	once(set)
	set.Func("header", "", f.addHeader)
	set.Func("H", "", f.addHeader)
	var proxys *flag.FlagSet
	f.proxy, proxys = newProxyFlags()
	for _, name := range ofPolicy {
		set.Var(proxys.Lookup(name).Value, name, "")
	}
	return set
}

func (f *explainFlags) addHeader(line string) error {
	name, value, found := strings.Cut(line, ":")
	if name = strings.TrimSpace(name); !found || name == "" || strings.ContainsAny(name,
		" \t\r\n") || strings.ContainsAny(value, "\r\n") {
		return errors.New("allowed is NAME: VALUE, such as 'Accept-Language: de'")
	}
	f.header.Add(name, strings.TrimSpace(value))
	return nil
}

func (f *explainFlags) readTarget(operands []string) (err error) {
	if len(operands) > 1 {
		return fmt.Errorf("%q is one URL too many", operands[1])
	}
	if len(operands) == 1 {
		if f.target, err = readTargetURL(operands[0]); err != nil {
			return fmt.Errorf("%q: %w", operands[0], err)
		}
	}
	switch {
	case f.at != nil && f.target == nil:
		return errors.New("--door wants the URL of the page: freshet explain URL --door URL")
	case f.at == nil && (f.fetch || f.tokenFile != ""):
		return errors.New("--fetch and --token-file are for an app that is asked by its --door")
	case f.target != nil && f.recorded != nil:
		return errors.New("--url is for a recording, which is read where no URL stands alone")
	case f.target != nil && f.at == nil && f.method != http.MethodGet &&
		f.method != http.MethodHead:
		return fmt.Errorf("--method %q: allowed are GET and HEAD, which change nothing; a door "+
			"takes others", f.method)
	}
	return nil
}

func (f *explainFlags) readExpires(environ []string) error {
	if len(f.resources) == 0 {
		if len(f.scope) > 0 {
			return errors.New("--scope narrows the settings of a --resource")
		}
		return nil
	}
	loader, err := f.proxy.source.loader(environ)
	if err != nil {
		return err
	}
	loader.Resources = f.resources
	found, err := loader.Load(f.proxy.source.config, environ)
	if err != nil {
		return err
	}
	f.expires = found.Expires()
	return nil
}

func readTargetURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("allowed is an http or https URL with a host, such as " +
			"https://shop.example/page")
	}
	if u.User != nil {
		return nil, errors.New("allowed is a URL without user and password: say it with --header " +
			"'Authorization: …'")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

func readNames(text string) ([]string, error) {
	names := strings.Split(text, ",")
	for i, name := range names {
		if names[i] = strings.TrimSpace(name); names[i] == "" {
			return nil, errors.New("allowed are names with commas between them")
		}
	}
	return names, nil
}

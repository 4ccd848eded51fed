package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings"
)

const explainUsage = `freshet explain says why a page is cached or not: how the key is made, what gives the lifetime,
what forbids storing, with the section of the RFC, and what to change.

usage: freshet explain URL [flags]           ask the URL once, and explain what comes
       freshet explain [flags] < RECORDED    explain a recorded exchange; no server is asked
       freshet explain URL --door URL        ask a running app by its admin door

  freshet explain https://shop.example/page
  curl -v https://shop.example/page 2>&1 | freshet explain --config freshet.ini
  freshet explain https://shop.example/page --door http://127.0.0.1:9999 --fetch

Where the response has a Cache-Status, the caches on the way are heard first. Then a Freshet with the
policy of the flags, which by default is that of freshet proxy, judges the exchange as it would in
front of the server: any shared cache by RFC 9111 judges much the same.

the request:
  --header 'NAME: VALUE' a request field; give it once for each field (with a recorded request: instead)
  --method METHOD        GET or HEAD; a door takes others, too, and runs no handler for them (default GET)
  --url URL              the URL of a recording that has none (curl -i), or which entry of a HAR file

the policy, besides --max-body, --heuristics, --heuristic-documents, --store-cookies, --pass-cookies,
--ignore-cookies, --stale-while-revalidate, --stale-if-error and --config of freshet proxy:
  --ttl DURATION         Policy.TTL of the route (default 0s)
  --shared               Policy.Shared (default false)
  --resource NAMES       the route's resource, whose settings in the file or the environment count;
                         behind a comma the other resources that the file has settings for
  --scope NAMES          the parents that narrow the settings, such as blog,articles

a running app:
  --door URL             where the app's admin door listens
  --fetch                have the app run the handler once; its response is judged, and not stored
  --token-file FILE      the door's token (default: the environment's FRESHET_TOKEN)

  --json                 print it as JSON

A recording is what curl -v or curl -i print, or a HAR file or one entry of it, as browsers save it.
Its response counts as received when the archive says, or at its Date and Age. No credential is
printed: of Cookie, Authorization and fields that name a user, the names alone.

The status is 0 when the page was explained, 1 when the server or the door did not answer, 2 when the
command cannot be understood.
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
	door      *url.URL
	tokenFile string
	fetch     bool
	json      bool

	expires *policy.Expires
	token   string // of the environment
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
	var wrong *usageError
	switch {
	case errors.As(err, &wrong):
		return refuse(stderr, "explain", err)
	case err != nil:
		fmt.Fprintf(stderr, "freshet explain: %v\n", err)
		return exitFailed
	}
	if !f.json {
		io.WriteString(stdout, x.String())
		return exitOK
	}
	text, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		fmt.Fprintf(stderr, "freshet explain: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s\n", text)
	return exitOK
}

// usageError is an error of what the command was given.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func (f *explainFlags) explain(ctx context.Context, stdin io.Reader) (*explain.Explanation, error) {
	switch {
	case f.door != nil:
		return f.askDoor(ctx)
	case f.target != nil:
		return f.askServer(ctx)
	}
	return f.readRecording(ctx, stdin)
}

// ofPolicy are the flags of freshet proxy that say what is kept.
var ofPolicy = []string{"max-body", "heuristics", "heuristic-documents", "store-cookies",
	"pass-cookies", "ignore-cookies",
	"stale-while-revalidate", "stale-if-error", "config"}

func readExplainFlags(args, environ []string) (*explainFlags, error) {
	f := &explainFlags{header: http.Header{}, method: http.MethodGet}
	var proxySet *flag.FlagSet
	f.proxy, proxySet = newProxyFlags()
	set := f.flags()
	own, proxys := splitFlags(args, proxySet)
	if err := set.Parse(own); err != nil {
		return nil, inOurWords(err)
	}
	if err := proxySet.Parse(proxys); err != nil {
		return nil, inOurWords(err)
	}
	if err := f.readTarget(set.Args()); err != nil {
		return nil, err
	}
	for _, line := range environ {
		if token, found := strings.CutPrefix(line, "FRESHET_TOKEN="); found {
			f.token = token
		}
	}
	loader, err := f.proxy.source.loader(environ)
	if err != nil {
		return nil, err
	}
	loaded, err := loader.Load(f.proxy.source.config, environ)
	if err != nil {
		return nil, err
	}
	if err := applySettings(proxySet, "proxy.", loaded); err != nil {
		return nil, err
	}
	return f, f.readExpires(environ)
}

func (f *explainFlags) flags() *flag.FlagSet {
	set := flag.NewFlagSet("freshet explain", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.method, "method", f.method, "")
	set.Func("url", "", into(&f.recorded, readTargetURL))
	set.Func("ttl", "", into(&f.ttl, settings.Duration))
	set.BoolVar(&f.shared, "shared", false, "")
	set.Func("resource", "", into(&f.resources, readNames))
	set.Func("scope", "", into(&f.scope, readNames))
	set.Func("door", "", into(&f.door, readTargetURL))
	set.StringVar(&f.tokenFile, "token-file", "", "")
	set.BoolVar(&f.fetch, "fetch", false, "")
	set.BoolVar(&f.json, "json", false, "")
	once(set)
	set.Func("header", "", f.addHeader)
	set.Func("H", "", f.addHeader)
	return set
}

// splitFlags parts the flags of freshet proxy that count here from the rest, wherever they stand.
func splitFlags(args []string, proxys *flag.FlagSet) (own, theirs []string) {
	var operands []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			operands = append(operands, args...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			operands = append(operands, arg)
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		known := proxys.Lookup(name)
		isProxys := known != nil && contains(ofPolicy, name)
		words := []string{arg}
		if takes := !hasValue && len(args) > 0 && (isProxys && !isBool(known) || !isProxys &&
			takesValue[name]); takes {
			words, args = append(words, args[0]), args[1:]
		}
		if isProxys {
			theirs = append(theirs, words...)
		} else {
			own = append(own, words...)
		}
	}
	return append(append(own, "--"), operands...), theirs
}

// takesValue names the flags of freshet explain that a value follows.
var takesValue = map[string]bool{"header": true, "H": true, "method": true, "url": true,
	"ttl": true, "resource": true,
	"scope": true, "door": true, "token-file": true}

func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
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
	case f.door != nil && f.target == nil:
		return errors.New("--door wants the URL of the page: freshet explain URL --door URL")
	case f.door == nil && (f.fetch || f.tokenFile != ""):
		return errors.New("--fetch and --token-file are for an app that is asked by its --door")
	case f.target != nil && f.recorded != nil:
		return errors.New("--url is for a recording, which is read where no URL stands alone")
	case f.target != nil && f.door == nil && f.method != http.MethodGet &&
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
	loader.Resources, loader.Shared = f.resources, false
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

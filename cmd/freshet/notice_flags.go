package main

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/adapters/heartbeat"
	"github.com/freshet-go/freshet/adapters/notices"
	"github.com/freshet-go/freshet/adapters/publicorigin"
	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store"
)

// noticeGroup has the rows of the notices that the proxy adds to responses: under load, and before
// the service ends.
var noticeGroup = group{title: "notices to clients", rows: []settings.Setting{
	{Name: "proxy.backoff", Value: "SECONDS", Allowed: "whole seconds from 0 to 2147483648",
		Live: true, Meaning: "ask clients to send nothing for so long: Backoff, with each response",
		More: "0 is sent, too"},
	{Name: "proxy.backoff-percentage", Value: "PERCENT", Default: "100", Allowed: "0 to 100",
		Live: true, Meaning: "the probability that a response has the Backoff"},
	{Name: "proxy.retry-after-seconds", Value: "SECONDS", Default: "30",
		Allowed: "whole seconds from 0 to 2147483648", Live: true,
		Meaning: "the Retry-After of a 503 that has none", More: "0: none"},
	{Name: "proxy.eos", Value: "DATE", Allowed: "a date, or a time, in UTC", Live: true,
		Meaning: "when the service ends: before it, each response has an Alert; from then on, " +
			"each gets 410",
		More: "such as 2027-03-31 or 2027-03-31T12:00:00Z"},
	{Name: "proxy.eos-message", Value: "TEXT", Allowed: "up to 1024 bytes", Live: true,
		Meaning: "the message in the Alert"},
	{Name: "proxy.eos-url", Value: "URL", Allowed: "an absolute http or https URL", Live: true,
		Meaning: "the URL in the Alert, of a page that says more"},
}}

// healthGroup are the rows of the proxy's own health.
var healthGroup = group{title: "its own health", rows: []settings.Setting{
	{Name: "proxy.heartbeat", Value: "PATH",
		Meaning: "answer this path with whether an upstream and the store work, as Kinto and " +
			"Dockerflow do",
		More: "such as /__heartbeat__; without it the upstream answers"},
	{Name: "proxy.lbheartbeat", Value: "PATH",
		Meaning: "answer this path with 200 while the proxy serves",
		More:    "such as /__lbheartbeat__"},
}}

// noticeFlags choose the notices in responses, and the paths that answer for the proxy's health.
type noticeFlags struct {
	fields            notices.Fields
	origin            publicorigin.Origin
	heartbeat, alive  string // paths; "": none
	percentage, about bool   // --backoff-percentage, and --eos-message or --eos-url, are there
}

func (f *noticeFlags) define(set *flag.FlagSet) {
	for _, key := range notices.Keys() {
		set.Func(strings.ReplaceAll(key, "_", "-"), "", func(text string) error {
			f.percentage = f.percentage || key == "backoff_percentage"
			f.about = f.about || key == "eos_message" || key == "eos_url"
			return f.fields.Set(key, text)
		})
	}
	for _, key := range publicorigin.Keys() {
		set.Func(strings.ReplaceAll(key, "_", "-"), "", func(text string) error {
			return f.origin.Set(key, text)
		})
	}
	set.Func("heartbeat", "", into(&f.heartbeat, readOwnPath))
	set.Func("lbheartbeat", "", into(&f.alive, readOwnPath))
}

// warnings says what takes the service away.
func (f *noticeFlags) warnings(now time.Time) []string {
	if eos := f.fields.EOS; eos.IsZero() || now.Before(eos) {
		return nil
	}
	return []string{"the date of --eos is past: pages are answered with 410, and no longer served"}
}

// check returns what is wrong with the flags together.
func (f *noticeFlags) check() error {
	switch {
	case f.heartbeat != "" && f.heartbeat == f.alive:
		return errors.New("--heartbeat and --lbheartbeat are one path: give each its own")
	case f.percentage && f.fields.Backoff == nil:
		return errors.New("--backoff-percentage needs --backoff: without it there is none")
	case f.about && f.fields.EOS.IsZero():
		return errors.New("--eos-message and --eos-url need --eos: the date on which the service " +
			"ends")
	}
	return new(notices.Board).Set(f.fields)
}

// around returns what answers the paths of health, and puts up notices, before the proxy. p gives
// the proxy, which there is when the first request comes.
func (f *noticeFlags) around(
	board *notices.Board, entries store.Store, p func() *proxy.Proxy, o heartbeat.Options,
) func(http.Handler) http.Handler {
	o.Probes = map[string]heartbeat.Probe{
		"store":    heartbeat.Store(entries),
		"upstream": func(ctx context.Context) error { return p().Probe(ctx) },
	}
	beat, alive := heartbeat.New(o), heartbeat.Alive()
	return func(app http.Handler) http.Handler {
		told := board.Outer(app) // see newProxy
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch path := r.URL.Path; {
			case path == f.heartbeat && path != "":
				explainOwn(r, "--heartbeat", "it says whether an upstream and the store work")
				beat.ServeHTTP(w, r)
			case path == f.alive && path != "":
				explainOwn(r, "--lbheartbeat", "it says that the proxy serves")
				alive.ServeHTTP(w, r)
			default:
				middleware.ExplainOutside(r, func() string {
					return "The proxy answers this itself, with 410, and nothing is cached: the date of " +
						"--eos (" + board.Fields().EOS.UTC().Format(time.RFC3339) + ") is past."
				})
				told.ServeHTTP(w, r)
			}
		})
	}
}

// silent reports whether what around makes leaves a request and its response as they are.
func (f *noticeFlags) silent(board *notices.Board) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return board.Silent() && r.URL.Path != f.heartbeat && r.URL.Path != f.alive
	}
}

// explainOwn has an explanation of a path of --heartbeat or --lbheartbeat say so.
func explainOwn(r *http.Request, flag, does string) {
	middleware.ExplainOutside(r, func() string {
		return "The proxy answers this itself, and nothing is cached: it is the path of " + flag +
			", and " + does + "."
	})
}

// readOwnPath reads a path that the proxy answers itself.
func readOwnPath(text string) (string, error) {
	if !strings.HasPrefix(text, "/") || text == "/" || strings.ContainsAny(text, "?#% ;") {
		return "", errors.New("allowed is a path without a query, such as /__heartbeat__")
	}
	return text, nil
}

package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/settings"
)

// upstreamGroup are their rows in the table.
var upstreamGroup = group{title: "several upstreams", rows: []settings.Setting{
	{Name: "proxy.eject-for", Value: "DURATION", Default: "10s", Allowed: "0 or more",
		Meaning: "how long an upstream is left out that cannot be reached, or begins none of " +
			"three responses in a row",
		More: "0 for never; a request without a body that changes nothing and could not be sent " +
			"goes to another"},
	{Name: "proxy.health-path", Value: "PATH",
		Meaning: "ask each upstream for this path, and leave it out while it does not answer 200 " +
			"to 399",
		More: "without it there are no checks"},
	{Name: "proxy.health-host", Value: "HOST", Meaning: "the Host of the checks",
		More: "otherwise that of the upstream's URL"},
	{Name: "proxy.health-interval", Value: "DURATION", Default: "5s", Allowed: "more than 0",
		Meaning: "the time from one check to the next"},
	{Name: "proxy.health-timeout", Value: "DURATION", Default: "2s", Allowed: "more than 0",
		Meaning: "how long the answer to a check may take"},
	{Name: "proxy.health-fall", Value: "N", Default: "3", Allowed: "1 to 1000",
		Meaning: "after how many bad checks an upstream is left out"},
	{Name: "proxy.health-rise", Value: "N", Default: "2", Allowed: "1 to 1000",
		Meaning: "after how many good ones it is used again"},
}}

// upstreamFlags say how requests are spread over upstreams.
type upstreamFlags struct {
	ejectFor time.Duration
	health   proxy.Health
}

func (f *upstreamFlags) define(set *flag.FlagSet) {
	f.ejectFor = proxy.DefaultEjectFor
	set.Func("eject-for", "", into(&f.ejectFor, settings.Duration))
	set.Func("health-path", "", into(&f.health.Path, readHealthPath))
	set.Func("health-host", "", into(&f.health.Host, readHost))
	set.Func("health-interval", "", into(&f.health.Interval, readTimeout))
	set.Func("health-timeout", "", into(&f.health.Timeout, readTimeout))
	set.Func("health-fall", "", into(&f.health.Fall, readCount))
	set.Func("health-rise", "", into(&f.health.Rise, readCount))
}

// check returns what is wrong with the flags together.
func (f *upstreamFlags) check() error {
	if h := f.health; h.Path == "" && h != (proxy.Health{}) {
		return errors.New("the flags of health checks need --health-path: without it there are " +
			"no checks")
	}
	return nil
}

// apply gives the flags to the options of a proxy.
func (f *upstreamFlags) apply(o *proxy.Options) {
	if o.EjectFor = f.ejectFor; f.ejectFor == 0 {
		o.EjectFor = -1
	}
	o.Health = f.health
}

// readUpstreams reads URLs with commas between them.
func readUpstreams(text string) (urls []*url.URL, err error) {
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		u, err := readUpstream(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if seen[u.String()] {
			return nil, fmt.Errorf("%s is there twice: name each upstream once", u)
		}
		seen[u.String()] = true
		urls = append(urls, u)
	}
	return urls, nil
}

// shownUpstreams is a list of upstreams as --upstream takes it.
func shownUpstreams(urls []*url.URL) string {
	var shown []string
	for _, u := range urls {
		shown = append(shown, u.String())
	}
	return strings.Join(shown, ",")
}

func readHealthPath(text string) (string, error) {
	return text, proxy.Health{Path: text}.CheckPath()
}

// readHost reads a host with or without a port.
func readHost(text string) (string, error) {
	u, err := url.Parse("http://" + text + "/")
	if err != nil || u.Host != text || u.Hostname() == "" || u.User != nil || !isHost(text) {
		return "", errors.New("allowed is a host with or without a port, such as www.example.org")
	}
	return text, nil
}

// isHost reports whether a text has nothing but what hosts as clients send them have.
func isHost(text string) bool {
	return strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789-._:[]") == ""
}

func readCount(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1000 {
		return 0, errors.New("allowed is a number from 1 to 1000")
	}
	return n, nil
}

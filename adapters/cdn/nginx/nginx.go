// Package nginx renews or removes what one nginx has cached with proxy_cache. The nginx of Debian
// and of nginx.org cannot purge: what this package does is what is left, and [Options] choose it.
//
// By request (Options.Address): nginx fetches each purged URL anew, past its cache, and keeps the
// answer in the place of the old one. That takes the configuration
//
//	map $http_purge_key $refresh { default 0; "PURGE_KEY" 1; }
//	server {
//		location / {
//			proxy_cache_bypass $refresh;
//			proxy_set_header Purge-Key "";
//			add_header X-Cache-Status $upstream_cache_status always;
//			…
//		}
//	}
//
// It reaches URLs alone, no tags and no prefixes. An answer that nginx does not keep (a 404 or an
// error without a lifetime, one with no-store or Set-Cookie) leaves the old one where it is: a
// second request shows that, and it is an error. An answer that nginx has asked the app for is the
// page's own, whatever its status: the purge is done unless the old one stays. Of a URL with
// several variants (Vary) only those are renewed that Options.Variants ask for.
//
// By file (Options.Folder): where the app can write to the folder of proxy_cache_path, each cached
// file that a purge covers is removed, and nginx then misses it. All kinds of purges are possible,
// and all variants go. Each purge reads the heads of all files there.
package nginx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/internal/call"
)

// TagField is the response field in which tags are looked for in nginx's files: for
// Policy.SendTags.
const TagField = "Xkey"

// Options say which server, and how it is reached: by Address or by Folder.
type Options struct {
	// Address is where the server listens: "http://10.0.0.3:80".
	Address string
	// Secret is what the configuration compares with the field Purge-Key. Required with Address.
	Secret string
	// Variants are the fields of requests that the variants of a URL are asked by:
	// {"Accept-Encoding": {"gzip"}} and {}. Default: one without fields.
	Variants []http.Header

	// Folder is the folder of proxy_cache_path, as an absolute path.
	Folder string
	// Key is the server's proxy_cache_key. It ends in $request_uri, and may have $scheme, $host and
	// $request_method before. $proxy_host is written as what it is. Default
	// "$scheme$host$request_uri".
	Key string

	// Timeout bounds each request. Default 10 seconds.
	Timeout time.Duration
	// Client makes the requests. It does not follow redirects, whatever it says. Nil: one like
	// http.DefaultClient.
	Client *http.Client
}

// Target is one server. It is safe for concurrent use.
type Target struct {
	o      Options
	name   string
	client *call.Client
}

// New returns the target. An error says what in the options cannot work.
func New(o Options) (*Target, error) {
	t := &Target{o: o}
	switch {
	case (o.Address == "") == (o.Folder == ""):
		return nil, errors.New("nginx: New: name either Options.Address, to renew by requests, " +
			"or Options.Folder, to remove files")
	case o.Folder != "":
		if !filepath.IsAbs(o.Folder) || filepath.Clean(o.Folder) == string(filepath.Separator) {
			return nil, fmt.Errorf("nginx: New: Options.Folder is %q: write the absolute path of "+
				"proxy_cache_path", o.Folder)
		}
		t.o.Folder = filepath.Clean(o.Folder)
		t.name = "nginx:" + t.o.Folder
		if t.o.Key == "" {
			t.o.Key = "$scheme$host$request_uri"
		}
		if err := checkKey(t.o.Key); err != nil {
			return nil, err
		}
	default:
		address, err := call.Origin("nginx", o.Address, "")
		if err != nil {
			return nil, err
		}
		// without a secret anybody could have the app make pages anew
		if err := call.Words("nginx", "Secret", o.Secret); err != nil {
			return nil, err
		}
		_, host, _ := strings.Cut(address, "://")
		t.o.Address, t.name = address, "nginx:"+host
		if len(o.Variants) == 0 {
			t.o.Variants = []http.Header{{}}
		}
	}
	t.client = call.New(t.name, o.Client, o.Timeout, o.Secret).Advising("check that nginx and " +
		"the app let this machine have the page without a login; what needs one is not for " +
		"nginx to cache")
	return t, nil
}

// Name implements [cdn.Target]: "nginx:" and the host of the address, or the folder.
func (t *Target) Name() string { return t.name }

// Check implements [cdn.Checker].
func (t *Target) Check(p cdn.Purge) error {
	if t.o.Folder == "" && (len(p.Tags) > 0 || len(p.Prefixes) > 0 || p.All) {
		return t.client.Refuse("nginx cannot purge by tag, by prefix or everything through " +
			"requests: purge URLs alone, give Options.Folder where the app can write to nginx's " +
			"folder, or let nginx keep pages for seconds only")
	}
	return nil
}

// Purge implements [cdn.Target]. There is no soft purge: a refresh keeps the old answer until the
// new one is there, and files go. http and https are one for requests, which have the scheme of the
// address.
func (t *Target) Purge(ctx context.Context, p cdn.Purge) error {
	p, err := p.Clean()
	if err != nil {
		return t.client.Refuse("%v", err)
	}
	if err := t.Check(p); err != nil {
		return err
	}
	if t.o.Folder != "" {
		return t.client.Run(ctx, p, []call.Step{{Covers: p,
			Do: func(ctx context.Context) error { return t.remove(ctx, p) }}})
	}
	var steps []call.Step
	for _, same := range call.BySchemeless(p.URLs) {
		_, rest, _ := strings.Cut(same[0], "://")
		steps = append(steps, call.Step{Covers: cdn.Purge{URLs: same},
			Do: func(ctx context.Context) error { return t.refresh(ctx, rest, p.ByRequest) }})
	}
	return t.client.Run(ctx, p, steps)
}

// refresh has nginx fetch each variant of a URL anew, and looks whether it serves that afterwards.
func (t *Target) refresh(ctx context.Context, rest string, byRequest bool) error {
	host, target, _ := strings.Cut(rest, "/")
	for _, variant := range t.o.Variants {
		h := variant.Clone()
		if h.Get("Accept-Encoding") == "" {
			h.Set("Accept-Encoding", "identity") // or else Go asks for gzip
		}
		with := h.Clone()
		with.Set("Purge-Key", t.o.Secret)
		fresh, err := t.get(ctx, host, target, with, byRequest)
		if err != nil {
			return err
		}
		if status := fresh.Header.Get(statusField); status != "BYPASS" {
			return t.client.Fail(cdn.KindPermanent, fresh, fmt.Sprintf("the answer has the "+
				"X-Cache-Status %.20q, where BYPASS would say that nginx has asked the app: check "+
				"that Options.Secret is what nginx's map compares with Purge-Key, and see the "+
				"configuration in the package's documentation", status))
		}
		served, err := t.get(ctx, host, target, h, byRequest)
		if err != nil {
			return err
		}
		switch served.Header.Get(statusField) {
		case "HIT", "STALE", "UPDATING":
			if served.Status != fresh.Status || !bytes.Equal(served.Body, fresh.Body) {
				fresh := &call.Answer{Status: fresh.Status} // without the page's Retry-After
				return t.client.Fail(cdn.KindPermanent, fresh, "nginx did not keep what the app "+
					"answered, and goes on serving the old answer until that has expired")
			}
		}
	}
	return nil
}

// statusField is the field by which nginx says where an answer comes from.
const statusField = "X-Cache-Status"

// get asks nginx for a URL. An answer of the app's own is none of nginx's failures, whatever its
// status and its Retry-After: clients can ask for pages that fail. Nor is one that takes too long,
// if a client's request has changed it.
func (t *Target) get(
	ctx context.Context, host, target string, h http.Header, byRequest bool,
) (*call.Answer, error) {
	began := time.Now()
	a, err := t.client.Do(ctx, http.MethodGet, t.o.Address+"/"+target, h, host, nil)
	if byRequest && a == nil && ctx.Err() == nil && time.Since(began) >= t.client.Timeout() {
		return nil, t.client.Fail(cdn.KindPermanent, nil, "a page that a client's request has "+
			"changed did not come within Options.Timeout")
	}
	e, ok := errors.AsType[*cdn.Error](err)
	if ok && a != nil && a.Status/100 != 2 &&
		(e.Kind == cdn.KindPermanent || a.Header.Get(statusField) != "") {
		return a, nil
	}
	return a, err
}

// checkKey returns an error if a proxy_cache_key has what cannot be told from a URL.
func checkKey(key string) error {
	before, ends := strings.CutSuffix(key, "$request_uri")
	for _, known := range []string{"$scheme", "$host", "$request_method"} {
		before = strings.ReplaceAll(before, known, "")
	}
	if !ends || strings.Contains(before, "$") {
		return fmt.Errorf("nginx: New: Options.Key is %q: one ends in $request_uri, and has no "+
			"variables before but $scheme, $host and $request_method", key)
	}
	return nil
}

// remove removes the files of what a purge covers.
func (t *Target) remove(ctx context.Context, p cdn.Purge) error {
	root, err := os.OpenRoot(t.o.Folder)
	if err != nil {
		return t.client.Fail(cdn.KindTemporary, nil, err.Error())
	}
	defer root.Close()
	if err := newCover(p, t.o.Key).remove(ctx, root); err != nil {
		return t.client.Fail(cdn.KindTemporary, nil, err.Error())
	}
	return nil
}

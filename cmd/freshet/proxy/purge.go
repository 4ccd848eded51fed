package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
)

// Purge says who may invalidate by PURGE and BAN, which the proxy answers itself and never
// forwards. The zero value refuses both with 405.
type Purge struct {
	// From lists the addresses of those who may. Default: nobody.
	From []netip.Prefix
	// Hosts lists the hosts whose URLs may be named, with their ports where those are not the
	// default ones. A BAN of everything is one of these hosts then. Default: every host.
	Hosts []string
}

// purge is what a PURGE or BAN asks for: some tags, a URL, a prefix, or everything.
type purge struct {
	what string // "tags", "url", "prefix", "hosts" or "all"
	url  string
	tags []string
	soft bool
}

func asksToPurge(method string) bool { return method == "PURGE" || method == "BAN" }

// servePurge answers a PURGE or BAN.
func (p *Proxy) servePurge(w http.ResponseWriter, r *http.Request) {
	asked, refused := p.readPurge(r)
	var number uint64
	if refused == nil {
		number, refused = p.invalidate(r.Context(), asked)
	}
	attrs := []slog.Attr{
		slog.String("client", shownAddr(p.client(r))), slog.String("method", r.Method),
		slog.String("host", r.Host), slog.String("uri", redact(r.RequestURI)),
	}
	if refused != nil {
		p.options.Log.LogAttrs(r.Context(), slog.LevelWarn, "freshet proxy: a purge was refused",
			append(attrs, slog.Int("status", refused.Status), slog.String("detail",
				refused.logged()))...)
		refused.write(w)
		return
	}
	attrs = append(attrs, slog.String("invalidated", asked.what), slog.Uint64("number", number),
		slog.Bool("soft", asked.soft))
	if asked.tags != nil {
		attrs = append(attrs, slog.Any("tags", asked.tags))
	}
	p.options.Log.LogAttrs(r.Context(), slog.LevelInfo, "freshet proxy: purged", attrs...)
	writeJSON(w, http.StatusOK, "application/json", struct {
		Invalidated string   `json:"invalidated"`
		URL         string   `json:"url,omitempty"`
		Tags        []string `json:"tags,omitempty"`
		Hosts       []string `json:"hosts,omitempty"`
		Soft        bool     `json:"soft"`
		Number      uint64   `json:"number"`
	}{asked.what, asked.url, asked.tags, asked.hosts(&p.options.Purge), asked.soft, number})
}

// readPurge returns what a request asks for, or why it does not get that.
func (p *Proxy) readPurge(r *http.Request) (purge, *problem) {
	if refused := p.mayPurge(r); refused != nil {
		return purge{}, refused
	}
	r = p.public(r)
	asked := purge{tags: surrogateKeys(r.Header), soft: wantsSoft(r.Header)}
	switch everything := r.RequestURI == "*"; {
	case asked.tags != nil && r.Method == "BAN":
		return purge{}, refuse(http.StatusBadRequest, "BAN names a URL; PURGE with Surrogate-Key "+
			"or Xkey purges tags")
	case asked.tags != nil:
		asked.what = "tags"
		return asked, nil
	case everything && r.Method == "PURGE":
		return purge{}, refuse(http.StatusBadRequest, "PURGE names one URL; BAN * invalidates "+
			"everything")
	case everything && len(p.options.Purge.Hosts) > 0:
		asked.what = "hosts"
		return asked, nil
	case everything:
		asked.what = "all"
		return asked, nil
	}
	return asked, p.readPurgedURL(r, &asked)
}

// readPurgedURL reads the URL that is named.
func (p *Proxy) readPurgedURL(r *http.Request, asked *purge) *problem {
	// "#" would begin a fragment, which a target has none of: to the cache, it is a character of
	// the path.
	asked.what, asked.url = "url", strings.ReplaceAll(r.RequestURI, "#", "%23")
	if strings.HasPrefix(asked.url, "/") {
		asked.url = schemeOf(r) + "://" + r.Host + asked.url
	}
	read := rules.ReadURL
	if r.Method == "BAN" {
		prefix, star := strings.CutSuffix(asked.url, "*")
		if !star && !isWholeHost(asked.url) {
			return refuse(http.StatusBadRequest,
				"the URL of a BAN ends in *, as /blog/* does, or is / for the whole host; PURGE "+
					"is for one URL")
		}
		asked.what, asked.url, read = "prefix", prefix, rules.ReadPrefix
	}
	of, err := read(asked.url)
	if err != nil {
		refused := refuse(http.StatusBadRequest, err.Error())
		// the error has all of it
		refused.log = "the URL is not one that something may be stored for"
		return refused
	}
	// Not r.Host: by HTTP/2 a request may name one host, and an absolute URL of another as its
	// path.
	if ours := p.options.Purge.Hosts; len(ours) > 0 && !slices.Contains(ours, plainHost(of.Scheme, of.Host)) {
		return refuse(http.StatusForbidden, fmt.Sprintf("%q is not among the hosts that may be "+
			"purged", of.Host))
	}
	return nil
}

// mayPurge returns why a request may purge nothing; nil: it may.
func (p *Proxy) mayPurge(r *http.Request) *problem {
	from, client := p.options.Purge.From, p.client(r)
	switch {
	case len(from) == 0:
		return refuse(http.StatusMethodNotAllowed, "this proxy takes no "+r.Method)
	case !slices.ContainsFunc(from, func(x netip.Prefix) bool { return x.Contains(client) }):
		return refuse(http.StatusForbidden, "this address may not purge")
	case !p.options.TrustForwarded && p.fromProxy(r):
		// Else all the clients of a proxy at an address that may purge could.
		return refuse(http.StatusForbidden, "the request came through another proxy, so that its "+
			"address says nothing")
	case r.Header["Origin"] != nil:
		// Else any page on the web could, in a browser at an address that may.
		return refuse(http.StatusForbidden, "the request comes from a page in a browser")
	}
	return nil
}

// invalidate does what is asked, and returns the number of the receipt.
func (p *Proxy) invalidate(ctx context.Context, asked purge) (uint64, *problem) {
	var options []middleware.InvalidateOption
	if asked.soft {
		options = append(options, middleware.Soft)
	}
	var receipt middleware.Receipt
	var err error
	switch asked.what {
	case "url":
		receipt, err = p.cache.InvalidateURL(ctx, asked.url, options...)
	case "prefix":
		receipt, err = p.cache.InvalidatePrefix(ctx, asked.url, options...)
	case "all":
		receipt, err = p.cache.InvalidateAll(ctx, options...)
	default:
		receipt, err = p.cache.Invalidate(ctx, asked.marks(&p.options.Purge)...)
	}
	if errors.Is(err, middleware.ErrReadOnly) {
		return 0, refuse(http.StatusServiceUnavailable, "this proxy only reads (--readonly): the "+
			"purge holds in it alone: send it also to a proxy or an app that writes to the store")
	}
	if err != nil {
		return 0, refuse(http.StatusServiceUnavailable, "it holds in this proxy; others that "+
			"share its store do not know of it yet: "+err.Error())
	}
	return receipt.Number, nil
}

// marks returns the marks of tags, or of all hosts.
func (a *purge) marks(o *Purge) (marks []store.Mark) {
	for _, tag := range a.tags {
		marks = append(marks, store.Mark{Kind: store.MarkTag, Name: tag, Soft: a.soft})
	}
	for _, host := range a.hosts(o) {
		marks = append(marks, store.Mark{Kind: store.MarkPrefix, Name: "http://" + host + "/",
			Soft: a.soft})
	}
	return marks
}

func (a *purge) hosts(o *Purge) []string {
	if a.what != "hosts" {
		return nil
	}
	return o.Hosts
}

// wantsSoft reports whether a purge asks to make entries stale instead of unusable, by Soft-Purge:
// 1 or Fastly's name for it.
func wantsSoft(h http.Header) bool {
	return h.Get("Soft-Purge") == "1" || h.Get("Fastly-Soft-Purge") == "1"
}

// isWholeHost reports whether a URL has nothing behind its host but a slash.
func isWholeHost(rawURL string) bool {
	_, rest, _ := strings.Cut(rawURL, "://")
	return !strings.ContainsAny(strings.TrimSuffix(rest, "/"), "/?")
}

func schemeOf(r *http.Request) string {
	switch {
	case r.URL.Scheme != "":
		return strings.ToLower(r.URL.Scheme)
	case r.TLS != nil:
		return "https"
	}
	return "http"
}

// plainHost returns a host in small letters, without the default port of the scheme.
func plainHost(scheme, host string) string {
	port := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return strings.TrimSuffix(strings.ToLower(host), port)
}

// Package varnish purges one Varnish, or one Vinyl, which is what Varnish Cache is called since
// 2026: tags by xkey, URLs by PURGE, prefixes and everything by BAN. Each server is a target of its
// own, so that each is owed what it has not taken.
//
// The server's VCL decides what these requests do. [VCL] is what this package needs there:
//
//   - PURGE with a field Xkey: the tags that go, with spaces between them (vmod_xkey of
//     varnish-modules). With Freshet-Soft: 1 they become stale.
//   - PURGE without one: the URL with its Host, in all its variants.
//   - BAN with a field Freshet-Ban: an expression of bans.
//   - Each with the secret in the field Purge-Key.
//
// The answer has a reason other than "OK", as a synth(200, "Purged") has. An answer of "200 OK" is
// the app's: the VCL does not know the request and has passed it on. That is an error.
package varnish

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/internal/call"
	"github.com/freshet-go/freshet/policy"
)

// TagField is the response field in which the server reads tags: for Policy.SendTags.
const TagField = "Xkey"

// VCL is what the server's configuration needs, after "vcl 4.1;" and the backend, before other
// subroutines of the same names: purges, the lifetime in CDN-Cache-Control (RFC 9213), which
// Varnish does not read by itself, and no tags to clients. Write the secret of Options.Secret in
// the place of PURGE_KEY, and who may purge into the acl.
const VCL = `import std;
import xkey;

acl purgers { "localhost"; }

sub vcl_recv {
	if (req.method == "PURGE" || req.method == "BAN") {
		if (client.ip !~ purgers || req.http.Purge-Key != "PURGE_KEY") {
			return (synth(403, "Forbidden"));
		}
		if (req.method == "BAN") {
			if (std.ban(req.http.Freshet-Ban)) {
				return (synth(200, "Banned"));
			}
			return (synth(400, "No Ban"));
		}
		if (req.http.Xkey && req.http.Freshet-Soft) {
			set req.http.n-gone = xkey.softpurge(req.http.Xkey);
			return (synth(200, "Invalidated " + req.http.n-gone));
		}
		if (req.http.Xkey) {
			set req.http.n-gone = xkey.purge(req.http.Xkey);
			return (synth(200, "Invalidated " + req.http.n-gone));
		}
		return (purge);
	}
	unset req.http.Purge-Key;
}

sub vcl_backend_response {
	if (beresp.http.CDN-Cache-Control ~ "(?i)no-store") {
		set beresp.uncacheable = true;
		set beresp.ttl = 120s;
		return (deliver);
	}
	if (beresp.http.CDN-Cache-Control ~ "(?i)(^|[ ,])max-age=[0-9]+" &&
		!beresp.http.Set-Cookie && beresp.http.Vary !~ "[*]") {
		set beresp.ttl = std.duration(regsub(beresp.http.CDN-Cache-Control,
			"(?i)^(.*[ ,])?max-age=([0-9]+).*$", "\2") + "s", 0s) -
			std.duration(beresp.http.Age + "s", 0s);
		return (deliver);
	}
}

sub vcl_deliver {
	unset resp.http.Xkey;
	unset resp.http.CDN-Cache-Control;
}
`

// Options say which server, and how to call it.
type Options struct {
	// Address is where the server listens: "http://10.0.0.2:6081". Required.
	Address string
	// Secret is what the VCL compares with the field Purge-Key. "": none is sent.
	Secret string
	// BanTags has tags go by BAN, for a server without vmod_xkey: a ban looks into the field Xkey
	// of each stored response. It is always hard.
	BanTags bool
	// Timeout bounds each call. Default 10 seconds.
	Timeout time.Duration
	// Client makes the calls. It does not follow redirects, whatever it says. Nil: one like
	// http.DefaultClient.
	Client *http.Client
}

// Target is one server. It is safe for concurrent use.
type Target struct {
	o      Options
	name   string
	bans   *call.Rate // of clients' requests
	client *call.Client
}

// New returns the target. An error says what in the options cannot work.
func New(o Options) (*Target, error) {
	var err error
	if o.Address, err = call.Origin("varnish", o.Address, ""); err != nil {
		return nil, err
	}
	if o.Secret != "" {
		if err := call.Words("varnish", "Secret", o.Secret); err != nil {
			return nil, err
		}
	}
	_, host, _ := strings.Cut(o.Address, "://")
	t := &Target{o: o, name: "varnish:" + host,
		bans: call.NewRate(clientBans, time.Minute, clientBans)}
	t.client = call.New(t.name, o.Client, o.Timeout, o.Secret).Advising(advice(o.Secret))
	return t, nil
}

// advice says what to check when the server refuses a purge.
func advice(secret string) string {
	if secret == "" {
		return "Options.Secret is empty, so that no Purge-Key is sent: write there what the " +
			"server's VCL compares with Purge-Key, and check that its acl has this machine's address"
	}
	return "check that Options.Secret is what the server's VCL compares with Purge-Key, and that " +
		"its acl has this machine's address"
}

// Name implements [cdn.Target]: "varnish:" and the host of the address.
func (t *Target) Name() string { return t.name }

const (
	// maxKeys bounds the tags of one request, in bytes: half of what http_req_hdr_len is by
	// default.
	maxKeys  = 4 << 10
	maxNames = 256
	// clientBans is how many bans clients' requests cause in a minute.
	clientBans = 60
)

// Check implements [cdn.Checker].
func (t *Target) Check(p cdn.Purge) error {
	if err := t.client.CheckTags(p.Tags, TagField, maxKeys, "a field has"); err != nil {
		return err
	}
	for _, list := range [...][]string{p.URLs, p.Prefixes} {
		for _, each := range list {
			if len(each) > maxKeys {
				return t.client.Refuse("the URL %.64q… has %d bytes: at most %d fit a request",
					each, len(each), maxKeys)
			}
		}
	}
	return nil
}

// Purge implements [cdn.Target]. Tags go several at once. A soft purge is soft for tags alone: URLs
// go, and so does what a prefix covers. http and https are one. Clients' requests cause at most 60
// bans a minute, since each is tested against what is stored.
func (t *Target) Purge(ctx context.Context, p cdn.Purge) error {
	return t.client.Purge(ctx, t, p, t.steps)
}

func (t *Target) steps(p cdn.Purge) (steps []call.Step) {
	add := func(covers cdn.Purge, method, host, target string, fields ...string) {
		steps = append(steps, call.Step{Covers: covers, Do: func(ctx context.Context) error {
			if p.ByRequest && method == "BAN" {
				if err := t.client.Pace(t.bans, 1, false); err != nil {
					return err
				}
			}
			return t.call(ctx, method, host, target, fields...)
		}})
	}
	if p.All {
		add(p, "BAN", "", "/", banField, "obj.status != 0")
		return steps
	}
	if t.o.BanTags {
		for _, tag := range p.Tags {
			add(cdn.Purge{Tags: []string{tag}}, "BAN", "", "/", banField,
				"obj.http.Xkey ~ (^|"+cut+")"+quote(policy.SentTag(TagField, tag))+"("+cut+"|$)")
		}
	} else {
		for _, tags := range call.Chunks(p.Tags, maxNames, maxKeys/3, 1) {
			var sent []string
			for _, tag := range tags {
				sent = append(sent, policy.SentTag(TagField, tag))
			}
			fields := []string{TagField, strings.Join(sent, " ")}
			if p.Soft {
				fields = append(fields, "Freshet-Soft", "1")
			}
			add(cdn.Purge{Tags: tags}, "PURGE", "", "/", fields...)
		}
	}
	for _, same := range call.BySchemeless(p.URLs) {
		host, target := split(same[0])
		add(cdn.Purge{URLs: same}, "PURGE", host, target)
	}
	for _, raw := range p.Prefixes {
		host, target := split(raw)
		add(cdn.Purge{Prefixes: []string{raw}}, "BAN", "", "/", banField,
			"req.http.host ~ (?i)^"+quote(host)+"(:[0-9]+)?$ && req.url ~ ^"+quote(target))
	}
	return steps
}

const (
	banField = "Freshet-Ban"
	// cut matches what stands between tags, a comma or no visible ASCII, and has no space itself:
	// bans are read word by word.
	cut = "[^!-+--~]"
)

func (t *Target) call(ctx context.Context, method, host, target string, fields ...string) error {
	h := http.Header{}
	for i := 0; i < len(fields); i += 2 {
		h.Set(fields[i], fields[i+1])
	}
	if t.o.Secret != "" {
		h.Set("Purge-Key", t.o.Secret)
	}
	a, err := t.client.Do(ctx, method, t.o.Address+target, h, host, nil)
	if err != nil {
		return err
	}
	if a.Reason == "" || a.Reason == http.StatusText(a.Status) {
		return t.client.Fail(cdn.KindPermanent, a, fmt.Sprintf("%s was answered %d %s, as an app "+
			"answers: the VCL has passed it on; add what varnish.VCL says", method, a.Status,
			a.Reason))
	}
	return nil
}

// split returns the host and the rest of a URL that is clean.
func split(raw string) (host, target string) {
	_, rest, _ := strings.Cut(raw, "://")
	host, target, _ = strings.Cut(rest, "/")
	return host, "/" + target
}

// quote returns a regular expression for a text of visible ASCII. It has no backslash and no quote,
// since it depends on the server's version what these mean in a ban: they, and "^", match any
// character.
func quote(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case strings.IndexByte("\\\"^", c) >= 0:
			b.WriteByte('.')
		case strings.IndexByte(".+*?()[]{}|$#", c) >= 0:
			b.Write([]byte{'[', c, ']'})
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

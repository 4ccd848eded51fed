package rules

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// A response field by which a client gets a session or a token tells that the response is its own.
func TestFieldsThatGiveIdentity(t *testing.T) {
	for _, name := range []string{
		"X-Session", "X-Session-Token", "X-Session-Id", "Mcp-Session-Id", "Session-Token",
		"X-Csrf-Token", "X-Xsrf-Token", "Csrf-Token", "X-Auth-Token", "X-Auth", "Access-Token",
		"X-Access-Token", "X-Refresh-Token", "Refresh-Token", "Id-Token", "X-Jwt", "X-Jwt-Assertion",
		"Authorization", "X-Amzn-Remapped-Authorization", "Authentication-Info",
		"Proxy-Authentication-Info", "X-Subject-Token", "X-Storage-Token", "X-Token", "Token",
		"X-Api-Key", "X-User", "X-User-Id", "X-Username", "X-User-Role", "X-User-Email",
		"X-Authenticated-User", "X-Account-Id", "X-Discourse-Username", "X-Ausername",
		"X-Wp-Nonce", "Replay-Nonce", "Dpop-Nonce", "Sec-Session-Registration", "Set-Login",
		"X-Sid", "X-Auth-Cookie", "X-Apple-Session-Token", "x-session-token", "X_Session_Token",
	} {
		if !GivesIdentity(name, []string{"4711"}) {
			t.Errorf("%s gives no identity", name)
		}
		for _, nobody := range [][]string{nil, {""}, {" "}, {"-"}, {"Anonymous"}, {"false"},
			{"guest", "0"}} {
			if GivesIdentity(name, nobody) {
				t.Errorf("%s: %q gives an identity", name, nobody)
			}
		}
		if !GivesIdentity(name, []string{"", "4711"}) {
			t.Errorf("%s: the second line counts for nothing", name)
		}
	}
}

// publicResponses are the names of fields that everybody gets, by who sends them.
var publicResponses = map[string][]string{
	"HTTP": {"Accept-Ch", "Accept-Patch", "Accept-Post", "Accept-Ranges", "Age", "Allow", "Alt-Svc",
		"Cache-Control", "Cache-Status", "Cdn-Cache-Control", "Connection", "Content-Disposition",
		"Content-Digest", "Content-Encoding", "Content-Language", "Content-Length",
		"Content-Location", "Content-Range", "Content-Type", "Critical-Ch", "Date", "Deprecation",
		"Digest", "Etag", "Expires", "Last-Modified", "Link", "Location", "Memento-Datetime",
		"No-Vary-Search", "Pragma", "Preference-Applied", "Proxy-Authenticate", "Proxy-Status",
		"Refresh", "Repr-Digest", "Retry-After", "Server", "Set-Cookie", "Signature",
		"Signature-Input", "Sunset", "Surrogate-Control", "Surrogate-Key", "Tk", "Trailer",
		"Transfer-Encoding", "Upgrade", "Use-As-Dictionary", "Vary", "Via", "Want-Repr-Digest",
		"Warning", "Www-Authenticate", "Authentication-Control", "Lock-Token", "Dav"},
	"browsers": {"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
		"Access-Control-Allow-Methods", "Access-Control-Allow-Origin",
		"Access-Control-Expose-Headers", "Access-Control-Max-Age",
		"Access-Control-Allow-Private-Network", "Activate-Storage-Access",
		"Attribution-Reporting-Register-Source", "Clear-Site-Data", "Content-Dpr",
		"Content-Security-Policy", "Content-Security-Policy-Report-Only",
		"Cross-Origin-Embedder-Policy", "Cross-Origin-Opener-Policy",
		"Cross-Origin-Resource-Policy", "Document-Policy", "Expect-Ct", "Feature-Policy", "Nel",
		"Observe-Browsing-Topics", "Origin-Agent-Cluster", "Origin-Trial", "P3p",
		"Permissions-Policy", "Public-Key-Pins", "Referrer-Policy", "Report-To",
		"Reporting-Endpoints", "Sec-Websocket-Accept", "Sec-Websocket-Version", "Server-Timing",
		"Service-Worker-Allowed", "Sourcemap", "Speculation-Rules", "Strict-Transport-Security",
		"Supports-Loading-Mode", "Timing-Allow-Origin", "X-Content-Type-Options",
		"X-Dns-Prefetch-Control", "X-Download-Options", "X-Frame-Options",
		"X-Permitted-Cross-Domain-Policies", "X-Robots-Tag", "X-Ua-Compatible",
		"X-Webkit-Csp", "X-Xss-Protection"},
	"apps and frameworks": {"X-Powered-By", "X-Request-Id", "Request-Id", "X-Correlation-Id",
		"X-Runtime", "X-Response-Time", "X-Aspnet-Version", "X-Aspnetmvc-Version", "X-Generator",
		"X-Pingback", "X-Redirect-By", "X-Total-Count", "X-Debug-Token", "X-Debug-Token-Link",
		"X-Drupal-Cache", "X-Drupal-Cache-Contexts", "X-Drupal-Cache-Tags", "X-Drupal-Dynamic-Cache",
		"X-Magento-Tags", "X-Magento-Cache-Id", "X-Wp-Total", "X-Wp-Totalpages", "X-Shopid",
		"X-Sorting-Hat-Podid", "X-Alternate-Cache-Key", "X-Author", "X-Authored-By",
		"X-Discourse-Route", "X-Jenkins", "X-Jenkins-Session", "X-Instance-Identity", "X-Hudson",
		"X-Confluence-Request-Time", "X-Anodeid", "X-Gitlab-Meta", "X-Github-Media-Type",
		"X-Github-Request-Id", "X-Github-Api-Version-Selected", "X-Elastic-Product",
		"Docker-Content-Digest", "Docker-Distribution-Api-Version", "Next-Page", "X-Next-Page-Token",
		"X-Next-Token", "X-Continuation-Token", "X-Page-Token", "X-Sync-Token", "X-Page-Uid",
		"X-Kubernetes-Pf-Flowschema-Uid", "X-Kubernetes-Pf-Prioritylevel-Uid", "X-Search-Id",
		"Mediawiki-Login-Suppressed", "X-Auth-Required", "X-Login-Required", "X-Auth-Methods",
		"X-Forms_based_auth_required", "X-Forms_based_auth_return_url", "X-Clacks-Overhead",
		"X-Signature", "X-Content-Signature", "X-Github-Otp", "X-Ticket", "X-Ticket-Status", "X-Pass",
		"X-Cache-Pass", "X-Pin", "X-App-Key", "X-Rapidapi-Key", "X-Init-Data",
		"X-Node-Role", "X-Cluster-Role", "X-Api-Version", "X-Accel-Expires", "X-Accel-Buffering"},
	"limits": {"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset",
		"X-Ratelimit-Remaining-Tokens", "Ratelimit-Policy", "Ratelimit", "X-Rate-Limit-Remaining",
		"X-User-Limit-24hour-Remaining", "Anthropic-Ratelimit-Tokens-Limit",
		"Anthropic-Ratelimit-Input-Tokens-Remaining", "X-Prompt-Tokens", "X-Tokens-Used",
		"X-Session-Count", "Sforce-Limit-Info"},
	"CDNs and hosts": {"Cf-Cache-Status", "Cf-Ray", "Cf-Mitigated", "Cf-Apo-Via", "X-Served-By",
		"X-Cache", "X-Cache-Hits", "X-Cache-Key", "X-Cache-Group", "X-True-Cache-Key", "X-Timer",
		"Fastly-Restarts", "Fastly-Io-Info", "X-Fastly-Request-Id", "X-Akamai-Transformed",
		"X-Akamai-Session-Info", "Akamai-Grn", "Akamai-Cache-Status", "X-Check-Cacheable",
		"Xkey", "Cache-Tag", "Edge-Cache-Tag", "X-Varnish", "X-Vercel-Id", "X-Vercel-Cache",
		"X-Nf-Request-Id", "X-Azure-Ref", "X-Msedge-Ref", "X-Envoy-Upstream-Service-Time",
		"X-Kong-Upstream-Latency", "X-Kong-Proxy-Latency", "X-Kong-Request-Id", "X-Litespeed-Cache",
		"X-Proxy-Cache", "X-Rack-Cache", "X-Backend-Server", "X-Slack-Edge-Shared-Secret-Outcome",
		"X-Slack-Req-Id", "X-Fb-Debug", "X-Li-Pop", "X-Client-Ip", "X-Goog-Hash", "Eagleid",
		"X-User-Agent", "X-User-Agent-Class", "X-User-Country", "X-User-Device", "X-Country-Code"},
	"object stores": {"X-Amz-Cf-Id", "X-Amz-Cf-Pop", "X-Amz-Id-2", "X-Amz-Request-Id",
		"X-Amz-Meta-User", "X-Amz-Meta-Uid", "X-Amz-Server-Side-Encryption",
		"X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Storage-Class",
		"X-Amz-Version-Id", "X-Amzn-Requestid", "X-Amzn-Trace-Id", "X-Amz-Apigw-Id",
		"X-Goog-Generation", "X-Goog-Meta-Account", "X-Goog-Storage-Class",
		"X-Guploader-Uploadid", "X-Ms-Blob-Type", "X-Ms-Lease-Status", "X-Ms-Meta-Email",
		"X-Ms-Request-Id", "X-Ms-Server-Encrypted", "X-Ms-Version", "X-Oss-Request-Id",
		"X-Oss-Meta-Author", "X-Trans-Id", "X-Timestamp", "X-Object-Meta-Account"},
}

// No field that ordinary public responses have gives an identity.
func TestFieldsThatEverybodyGets(t *testing.T) {
	for of, names := range publicResponses {
		for _, name := range names {
			if GivesIdentity(name, []string{"4711"}) {
				t.Errorf("%s of %s counts as an identity", name, of)
			}
		}
	}
}

// Under the operator's lifetime or a guess, and where the response does not say that it is for all,
// a response that gives its client an identity is its client's alone.
func TestAdmitKeepsWhatGivesAnIdentity(t *testing.T) {
	const ok = policy.Reason("")
	timed := policy.Policy{TTL: time.Minute, Heuristic: true}
	shared := policy.Policy{TTL: time.Minute, Shared: true}
	cookies := policy.Policy{TTL: time.Minute, StoreCookies: true}
	over := policy.Policy{TTL: time.Minute, Override: true}
	none := policy.Policy{}
	const old = "Sat, 21 Nov 2020 02:00:00 GMT"
	for _, c := range []struct {
		why  string
		h    http.Header
		p    policy.Policy
		want policy.Reason
	}{
		{"the operator's lifetime", fields(), timed, ReasonSetIdentity},
		{"a guess", fields("Last-Modified", old), policy.Policy{Heuristic: true}, ReasonSetIdentity},
		{"max-age alone", fields("Cache-Control", "max-age=60"), none, ReasonSetIdentity},
		{"Expires alone", fields("Expires", after(time.Hour)), none, ReasonSetIdentity},
		{"public alone", fields("Cache-Control", "public"), timed, ReasonSetIdentity},
		{"public, and stale", fields("Cache-Control", "public, max-age=0", "ETag", `"1"`), timed,
			ReasonSetIdentity},
		{"public and a lifetime", fields("Cache-Control", "public, max-age=60"), none, ok},
		{"public and Expires", fields("Cache-Control", "public", "Expires", after(time.Hour)), none,
			ok},
		{"s-maxage", fields("Cache-Control", "s-maxage=60"), none, ok},
		{"s-maxage=0", fields("Cache-Control", "s-maxage=0, max-age=60", "ETag", `"1"`), none,
			ReasonSetIdentity},
		{"a lifetime that the operator overrides", fields("Cache-Control", "public, max-age=60"),
			over, ReasonSetIdentity},
		{"the field set aside", fields("Cache-Control", `max-age=60, private="X-Session-Token"`),
			none, ok},
		{"the field set aside, without a lifetime",
			fields("Cache-Control", `no-cache="X-Session-Token"`), timed, ReasonSetIdentity},
		{"Shared", fields(), shared, ok},
		{"StoreCookies", fields(), cookies, ReasonSetIdentity},
	} {
		for _, name := range []string{"X-Session-Token", "x-session-token"} {
			h := c.h.Clone()
			h[name] = []string{"secret"}
			a := Admit(anonymousGet, 200, h, &c.p, c.p.TTL, received, received)
			if a.Reason != c.want || a.Store != (c.want == ok) {
				t.Errorf("%s, %s: stored %v, %q, want %q", c.why, name, a.Store, a.Reason, c.want)
			}
		}
		h := c.h.Clone()
		h["X-Session-Token"] = []string{""}
		if a := Admit(anonymousGet, 200, h, &c.p, c.p.TTL, received, received); a.Reason ==
			ReasonSetIdentity {
			t.Errorf("%s: a field without a value is an identity", c.why)
		}
	}
}

// What handlers outside give a client by a field counts as their cookie does, early and late.
func TestIdentityGivenOutside(t *testing.T) {
	alone, shared := &policy.Policy{}, &policy.Policy{Shared: true}
	e := &store.Entry{Header: fields("Cache-Control", "public, max-age=60")}
	for name, want := range map[string]policy.Reason{"X-Session-Token": ReasonSetIdentity,
		"x-session-token": ReasonSetIdentity, "X-Request-Id": ""} {
		h := http.Header{name: {"secret"}}
		o := ReadOutside(h, alone)
		if got := o.Alone(); got != want {
			t.Errorf("%s outside: %q, want %q", name, got, want)
		}
		if got := o.Objects(e, alone, received); got != want {
			t.Errorf("%s outside, and a stored response: %q, want %q", name, got, want)
		}
		if o = ReadOutside(h, shared); o.Alone() != "" {
			t.Errorf("%s outside of a Shared policy: %q", name, o.Alone())
		}
		sent := SentWith(http.Header{}, alone)
		o = sent.Late(h, alone)
		if got := o.Objects(e, alone, received); got != want {
			t.Errorf("%s late: %q, want %q", name, got, want)
		}
		sent = SentWith(http.Header{name: {"another"}}, alone)
		o = sent.Late(h, alone)
		if got := o.Objects(e, alone, received); got != want {
			t.Errorf("%s late, in the place of one: %q, want %q", name, got, want)
		}
		sent = SentWith(h, alone)
		o = sent.Late(http.Header{name: {"secret"}, "Vary": {"Accept-Encoding"}}, alone)
		if got := o.Objects(e, alone, received); got != "" {
			t.Errorf("%s, which stood before: %q", name, got)
		}
		sent = SentWith(http.Header{}, shared)
		o = sent.Late(h, shared)
		if got := o.Objects(e, shared, received); got != "" {
			t.Errorf("%s late, of a Shared policy: %q", name, got)
		}
	}
}

// What is passed over gives no identity by its words, either.
func TestOrdinaryFields(t *testing.T) {
	names := 0
	for line := range strings.Lines(source(t, "identity_given.go", "usual")) {
		for i, name := range strings.Split(line, `"`) {
			if i%2 == 0 {
				continue
			}
			names++
			if !usual(name) || namesGiven(name) || name != http.CanonicalHeaderKey(name) {
				t.Errorf("%s is no ordinary field", name)
			}
		}
	}
	if names < 50 {
		t.Errorf("there are %d", names)
	}
}

// source returns the text of a function.
func source(t *testing.T, file, function string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\nfunc "+function+"("))
	text, _, _ = bytes.Cut(text, []byte("\n}\n"))
	return string(text)
}

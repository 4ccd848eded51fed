package rules

import (
	"math"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// fields makes a header of pairs.
func fields(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

var (
	anonymousGet  = &Request{Directives: noRequestDirectives()}
	authorizedGet = &Request{Directives: noRequestDirectives(), Authorization: true,
		Credentials: true}
	bothGet = &Request{Directives: noRequestDirectives(), Authorization: true,
		Credentials: true, others: true}
	cookieGet     = &Request{Directives: noRequestDirectives(), Credentials: true}
	partGet       = &Request{Directives: noRequestDirectives(), Range: true, Asked: "bytes=0-4"}
	anonymousHead = &Request{Directives: noRequestDirectives(), Class: ClassHead}
)

func postTo(t *testing.T, target string) *Request {
	r, err := http.NewRequest("POST", "http://example.com"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req, _, _ := ReadRequest(r, &policy.Policy{})
	return &req
}

// What may be stored at all, and in the order in which it is judged, why not.
func TestAdmitStores(t *testing.T) {
	const ok = policy.Reason("")
	const etag, lm = `"1"`, "Sat, 21 Nov 2026 02:00:00 GMT"
	obey := policy.Policy{}
	timed := policy.Policy{TTL: time.Minute}
	guess := policy.Policy{Heuristic: true}
	shared := policy.Policy{TTL: time.Minute, Shared: true}
	noStoring := &Request{Directives: ParseRequestDirectives(fields("Cache-Control", "no-store"))}
	post := postTo(t, "/a?b")

	for _, c := range []struct {
		why    string
		req    *Request
		status int
		h      http.Header
		p      policy.Policy
		want   policy.Reason
	}{
		{"max-age", anonymousGet, 200, fields("Cache-Control", "max-age=60"), obey, ok},
		{"Expires", anonymousGet, 200, fields("Expires", after(time.Hour)), obey, ok},
		{"public and no lifetime", anonymousGet, 200, fields("Cache-Control", "public"), obey,
			ReasonNoLifetime},
		{"nothing", anonymousGet, 200, fields(), obey, ReasonNoLifetime},
		{"a validator and nothing else", anonymousGet, 200, fields("ETag", etag), obey,
			ReasonNoLifetime},

		{"off", anonymousGet, 200, fields("Cache-Control", "max-age=60"), policy.Policy{Off: true},
			ReasonOff},
		{"the client says no-store", noStoring, 200, fields("Cache-Control", "max-age=60"), obey,
			ReasonRequestNoStore},
		{"the client says no-store and may not force us", noStoring, 200, fields("Cache-Control",
			"max-age=60"), policy.Policy{IgnoreClientDirectives: true}, ReasonRequestNoStore},

		{"HEAD", anonymousHead, 200, fields("Cache-Control", "max-age=60"), obey, ReasonMethod},
		{"PUT", &Request{Class: ClassUnsafe, Directives: noRequestDirectives()}, 200,
			fields("Cache-Control", "max-age=60"), obey, ReasonMethod},
		{"OPTIONS", &Request{Class: ClassSafe, Directives: noRequestDirectives()}, 200,
			fields("Cache-Control", "max-age=60"), obey, ReasonMethod},
		{"POST", post, 200, fields("Cache-Control", "max-age=60"), obey, ReasonMethod},
		{"POST that is what a GET gets", post, 200, fields("Cache-Control", "max-age=60",
			"Content-Location", "/a?b"), obey, ok},
		{"POST that is what a GET of another URI gets", post, 200, fields("Cache-Control",
			"max-age=60", "Content-Location", "/a"), obey, ReasonMethod},
		{"POST with another status", post, 201, fields("Cache-Control", "max-age=60",
			"Content-Location", "/a?b"), obey, ReasonMethod},
		{"POST with the operator's lifetime", post, 200, fields("Content-Location", "/a?b"), timed,
			ReasonNoLifetime},
		{"POST with a guess", post, 200, fields("Content-Location", "/a?b", "Last-Modified", lm),
			guess, ReasonNoLifetime},

		{"103", anonymousGet, 103, fields("Cache-Control", "max-age=60"), obey, ReasonStatus},
		{"101", anonymousGet, 101, fields("Cache-Control", "max-age=60"), obey, ReasonStatus},
		{"304", anonymousGet, 304, fields("Cache-Control", "max-age=60"), obey, ReasonStatus},
		{"412", anonymousGet, 412, fields("Cache-Control", "max-age=60"), obey, ReasonStatus},
		{"416", anonymousGet, 416, fields("Cache-Control", "max-age=60"), obey, ReasonStatus},
		{"429", anonymousGet, 429, fields("Cache-Control", "max-age=60"), obey, ReasonStatus},
		{"600", anonymousGet, 600, fields("Cache-Control", "max-age=60"), obey, ReasonStatus},
		{"204", anonymousGet, 204, fields("Cache-Control", "max-age=60"), obey, ok},
		{"302", anonymousGet, 302, fields("Cache-Control", "max-age=60"), obey, ok},
		{"404", anonymousGet, 404, fields("Cache-Control", "max-age=60"), obey, ok},
		{"500", anonymousGet, 500, fields("Cache-Control", "max-age=60"), obey, ok},
		{"Clear-Site-Data", anonymousGet, 200, fields("Cache-Control", "max-age=60",
			"Clear-Site-Data", `"cookies"`), obey, ReasonClearSiteData},
		{"Clear-Site-Data, timed", anonymousGet, 200, fields("Clear-Site-Data", `"*"`), timed,
			ReasonClearSiteData},
		{"Clear-Site-Data, shared", anonymousGet, 200, fields("Clear-Site-Data", `"*"`),
			policy.Policy{Shared: true, TTL: time.Minute}, ReasonClearSiteData},
		{"Clear-Site-Data, public", anonymousGet, 200, fields("Cache-Control",
			"public, max-age=60", "Clear-Site-Data", `"cache"`), obey, ok},
		{"Clear-Site-Data, public and no lifetime", anonymousGet, 200, fields("Cache-Control",
			"public", "Clear-Site-Data", `"cache"`), timed, ReasonClearSiteData},
		{"Clear-Site-Data, set aside", anonymousGet, 200, fields("Cache-Control",
			`max-age=60, private="Clear-Site-Data"`, "Clear-Site-Data", `"cache"`), obey, ok},
		{"299, which is unknown", anonymousGet, 299, fields("Cache-Control", "max-age=60"), obey,
			ok},
		{"599, which is unknown", anonymousGet, 599, fields("Cache-Control", "max-age=60"), obey,
			ok},

		{"206", partGet, 206, fields("Cache-Control", "max-age=60", "Content-Range",
			"bytes 0-4/10"), obey, ok},
		{"206 that nobody asked for", anonymousGet, 206, fields("Cache-Control", "max-age=60",
			"Content-Range", "bytes 0-4/10"), obey, ReasonPartial},
		{"206 of another part", partGet, 206, fields("Cache-Control", "max-age=60", "Content-Range",
			"bytes 1-5/10"), obey, ReasonPartial},
		{"200 with a Content-Range", partGet, 200, fields("Cache-Control", "max-age=60",
			"Content-Range", "bytes 0-4/10"), obey, ReasonPartial},
		{"206 of several parts", partGet, 206, fields("Cache-Control", "max-age=60", "Content-Type",
			"multipart/byteranges"), obey, ReasonPartial},
		{"206 of an unknown length", partGet, 206, fields("Cache-Control", "max-age=60",
			"Content-Range", "bytes 0-4/*"), obey, ReasonPartial},
		{"206 in another unit", partGet, 206, fields("Cache-Control", "max-age=60", "Content-Range",
			"pages 0-4/10"), obey, ReasonPartial},
		{"206 to If-Range", &Request{Directives: noRequestDirectives(), Range: true,
			Asked: "bytes=0-4", IfRange: true}, 206, fields("Cache-Control", "max-age=60",
			"Content-Range", "bytes 0-4/10"), obey, ReasonPartial},

		{"must-understand", anonymousGet, 200, fields("Cache-Control",
			"max-age=60, must-understand, no-store"), obey, ok},
		{"must-understand, unknown status", anonymousGet, 299, fields("Cache-Control",
			"max-age=60, must-understand, no-store"), obey, ReasonMustUnderstand},
		{"must-understand without no-store, unknown status", anonymousGet, 299,
			fields("Cache-Control", "max-age=60, must-understand"), obey, ReasonMustUnderstand},
		{"no-store", anonymousGet, 200, fields("Cache-Control", "max-age=60, no-store"), obey,
			ReasonNoStore},
		{"no-store, and the operator's lifetime", anonymousGet, 200, fields("Cache-Control",
			"no-store"), shared, ReasonNoStore},
		{"private", anonymousGet, 200, fields("Cache-Control", "max-age=60, private"), obey,
			ReasonPrivate},
		{"private, though the operator shares", anonymousGet, 200, fields("Cache-Control",
			"private"), shared, ReasonPrivate},
		{"private with field names", anonymousGet, 200, fields("Cache-Control",
			`max-age=60, private="x-a"`), obey, ok},
		{"a name that is not canonical", anonymousGet, 200,
			http.Header{"cache-control": {"private"}, "Cache-Control": {"max-age=60"}}, obey,
			ReasonPrivate},
		{"Vary: *", anonymousGet, 200, fields("Cache-Control", "max-age=60", "Vary", "accept, *"),
			obey, ReasonVaryStar},
		{"Vary that is none", anonymousGet, 200, fields("Cache-Control", "max-age=60", "Vary",
			"a b"), obey, ReasonVaryStar},

		{"Authorization, must-revalidate and no lifetime", authorizedGet, 200,
			fields("Cache-Control", "must-revalidate"), obey, ReasonAuthorization},
		{"Authorization", authorizedGet, 200, fields("Cache-Control", "max-age=60"), obey,
			ReasonAuthorization},
		{"Authorization and the operator's lifetime", authorizedGet, 200, fields(), timed,
			ReasonAuthorization},
		{"Authorization and public", authorizedGet, 200, fields("Cache-Control",
			"max-age=60, public"), obey, ok},
		{"Authorization and s-maxage", authorizedGet, 200, fields("Cache-Control", "s-maxage=60"),
			obey, ok},
		{"Authorization and an s-maxage that is no number", authorizedGet, 200,
			fields("Cache-Control", "s-maxage=x", "ETag", etag), obey, ReasonAuthorization},
		{"Authorization and must-revalidate", authorizedGet, 200, fields("Cache-Control",
			"max-age=60, must-revalidate"), obey, ok},
		{"Authorization, must-revalidate and Expires", authorizedGet, 200, fields("Cache-Control",
			"must-revalidate", "Expires", after(time.Hour)), obey, ok},
		{"Authorization, must-revalidate and a lifetime of 0", authorizedGet, 200,
			fields("Cache-Control", "max-age=0, must-revalidate", "ETag", etag), obey,
			ReasonAuthorization},
		{"Authorization, must-revalidate and the operator's lifetime", authorizedGet, 200,
			fields("Cache-Control", "must-revalidate"), timed, ReasonAuthorization},
		{"Authorization, must-revalidate and no-cache", authorizedGet, 200, fields("Cache-Control",
			"max-age=60, must-revalidate, no-cache", "ETag", etag), obey, ReasonAuthorization},
		{"Authorization, a cookie and must-revalidate", bothGet, 200, fields("Cache-Control",
			"max-age=60, must-revalidate"), obey, ReasonAuthorization},
		{"a 401 to Authorization, and must-revalidate", authorizedGet, 401, fields("Cache-Control",
			"max-age=60, must-revalidate"), obey, ReasonAuthorization},
		{"Authorization and a must-revalidate that is none", authorizedGet, 200,
			fields("Cache-Control", "max-age=60, must-revalidate=no"), obey, ReasonAuthorization},
		{"Authorization and proxy-revalidate", authorizedGet, 200, fields("Cache-Control",
			"max-age=60, proxy-revalidate"), obey, ReasonAuthorization},
		{"Authorization, and the operator shares", authorizedGet, 200, fields(), shared, ok},
		{"Authorization and public for another cache", authorizedGet, 200, fields("Cache-Control",
			"public", "CDN-Cache-Control", "max-age=60"), obey, ReasonAuthorization},
		{"Cookie", cookieGet, 200, fields("Cache-Control", "max-age=60"), obey, ReasonCookie},
		{"Cookie and the operator's lifetime", cookieGet, 200, fields(), timed, ReasonCookie},
		{"Cookie and public", cookieGet, 200, fields("Cache-Control", "public, max-age=60"), obey,
			ok},
		{"Cookie and must-revalidate", cookieGet, 200, fields("Cache-Control",
			"max-age=60, must-revalidate"), obey, ReasonCookie},
		{"Cookie, public and a lifetime of 0", cookieGet, 200, fields("Cache-Control",
			"public, max-age=0", "ETag", etag), obey, ReasonCookie},
		{"Cookie, public and no-cache", cookieGet, 200, fields("Cache-Control", "public, no-cache",
			"ETag", etag), obey, ReasonCookie},
		{"Cookie, public and expired", cookieGet, 200, fields("Cache-Control", "public, max-age=60",
			"Age", "60", "ETag", etag), obey, ReasonCookie},
		{"Cookie, no-cache, and the operator shares", cookieGet, 200, fields("Cache-Control",
			"no-cache", "ETag", etag), shared, ok},
		{"Cookie, public and the operator's lifetime", cookieGet, 200, fields("Cache-Control",
			"public"), timed, ok},
		{"Cookie, and the operator shares", cookieGet, 200, fields(), shared, ok},

		{"Set-Cookie", anonymousGet, 200, fields("Cache-Control", "public, max-age=60",
			"Set-Cookie", "a=b"), obey, ReasonSetCookie},
		{"Set-Cookie2", anonymousGet, 200, fields("Cache-Control", "public, max-age=60",
			"Set-Cookie2", "a=b"), obey, ReasonSetCookie},
		{"Set-Cookie2, and the operator's lifetime", anonymousGet, 200, fields("Set-Cookie2", "a=b"), timed,
			ReasonSetCookie},
		{"Set-Cookie set aside, and a lifetime of the response's", anonymousGet, 200,
			fields("Cache-Control", `s-maxage=60, no-cache="Set-Cookie"`, "Set-Cookie", "a=b"),
			obey, ok},
		{"Set-Cookie set aside, and Expires", anonymousGet, 200, fields("Cache-Control",
			`private="set-cookie"`, "Set-Cookie", "a=b", "Expires", after(time.Hour)), obey, ok},
		{"Set-Cookie set aside, and the operator's lifetime", anonymousGet, 200,
			fields("Cache-Control", `no-cache="Set-Cookie"`, "Set-Cookie", "a=b"), timed,
			ReasonSetCookie},
		{"Set-Cookie set aside, and the operator's lifetime, shared", anonymousGet, 200,
			fields("Cache-Control", `public, no-cache="Set-Cookie"`, "Set-Cookie", "a=b"), shared,
			ReasonSetCookie},
		{"Set-Cookie set aside, and a guess", anonymousGet, 200, fields("Cache-Control",
			`private="Set-Cookie"`, "Set-Cookie", "a=b", "Last-Modified", lm), guess,
			ReasonSetCookie},
		{"Set-Cookie set aside, and a lifetime of 0", anonymousGet, 200, fields("Cache-Control",
			`max-age=0, no-cache="Set-Cookie"`, "Set-Cookie", "a=b", "ETag", etag), obey,
			ReasonSetCookie},
		{"Set-Cookie set aside, and cookies stored", anonymousGet, 200, fields("Cache-Control",
			`no-cache="Set-Cookie"`, "Set-Cookie", "a=b"), policy.Policy{TTL: time.Minute,
			StoreCookies: true}, ok},
		{"Set-Cookie under another spelling", anonymousGet, 200, http.Header{"set-cookie": {"a=b"},
			"Cache-Control": {"max-age=60"}}, obey, ReasonSetCookie},
		{"Set-Cookie, and the operator allows it", anonymousGet, 200, fields("Cache-Control",
			"max-age=60", "Set-Cookie", "a=b"), policy.Policy{StoreCookies: true}, ok},
		{"Set-Cookie that is private", anonymousGet, 200, fields("Cache-Control",
			`max-age=60, private="set-cookie"`, "Set-Cookie", "a=b"), obey, ok},
		{"Set-Cookie that is not cached", anonymousGet, 200, fields("Cache-Control",
			`max-age=60, no-cache="set-cookie"`, "Set-Cookie", "a=b"), obey, ok},
		{"Set-Cookie, and the operator shares", anonymousGet, 200, fields("Set-Cookie", "a=b"),
			shared, ReasonSetCookie},
		{"Set-Cookie set aside, behind another cache", anonymousGet, 200, fields("Cache-Control",
			"max-age=60", "Cache-Control", `no-cache="Set-Cookie"`, "Set-Cookie", "a=b",
			"Cache-Status", "App; fwd=uri-miss; stored"), obey, ReasonSetCookie},

		{"the operator's lifetime: 200", anonymousGet, 200, fields(), timed, ok},
		{"410", anonymousGet, 410, fields(), timed, ok},
		{"not for 404", anonymousGet, 404, fields(), timed, ReasonNoLifetime},
		{"not for 500", anonymousGet, 500, fields(), timed, ReasonNoLifetime},
		{"not for 302", anonymousGet, 302, fields(), timed, ReasonNoLifetime},
		{"not for 401", anonymousGet, 401, fields(), timed, ReasonNoLifetime},
		{"a guess", anonymousGet, 200, fields("Last-Modified", lm), guess, ok},
		{"a guess for 404", anonymousGet, 404, fields("Last-Modified", lm), guess, ok},
		{"no guess for 302", anonymousGet, 302, fields("Last-Modified", lm), guess,
			ReasonNoLifetime},
		{"a guess for 302 that is public", anonymousGet, 302, fields("Last-Modified", lm,
			"Cache-Control", "public"), guess, ok},
		{"no guess without Last-Modified", anonymousGet, 200, fields("ETag", etag), guess,
			ReasonNoLifetime},
		{"guesses are off", anonymousGet, 200, fields("Last-Modified", lm), obey, ReasonNoLifetime},

		{"no-cache with a validator", anonymousGet, 200, fields("Cache-Control", "no-cache", "ETag",
			etag), obey, ok},
		{"no-cache without", anonymousGet, 200, fields("Cache-Control", "no-cache, max-age=60"),
			obey, ReasonNoCache},
		{"no-cache with a validator that is none", anonymousGet, 200, fields("Cache-Control",
			"no-cache", "Last-Modified", "x"), obey, ReasonNoCache},
		{"no-cache, and the operator's lifetime", anonymousGet, 200, fields("Cache-Control",
			"no-cache"), timed, ReasonNoCache},
		{"no-cache with field names", anonymousGet, 200, fields("Cache-Control",
			`no-cache="x-a", max-age=60`), obey, ok},

		{"expired", anonymousGet, 200, fields("Cache-Control", "max-age=60", "Age", "60"), obey,
			ReasonExpired},
		{"nearly", anonymousGet, 200, fields("Cache-Control", "max-age=60", "Age", "59"), obey, ok},
		{"expired, with a validator", anonymousGet, 200, fields("Cache-Control", "max-age=60",
			"Age", "90", "ETag", etag), obey, ok},
		{"expired, with grace left", anonymousGet, 200, fields("Cache-Control",
			"max-age=60, stale-while-revalidate=60", "Age", "90"), obey, ok},
		{"expired, past its grace", anonymousGet, 200, fields("Cache-Control",
			"max-age=60, stale-while-revalidate=60", "Age", "120"), obey, ReasonExpired},
		{"expired, with the operator's grace left", anonymousGet, 200, fields("Cache-Control",
			"max-age=60", "Age", "90"), policy.Policy{StaleIfError: time.Minute}, ok},
		{"max-age=0", anonymousGet, 200, fields("Cache-Control", "max-age=0"), obey, ReasonExpired},
		{"max-age=0, and the operator's grace", anonymousGet, 200, fields("Cache-Control",
			"max-age=0"), policy.Policy{StaleWhileRevalidate: time.Minute}, ReasonExpired},
		{"max-age=0, and the operator's lifetime", anonymousGet, 200, fields("Cache-Control",
			"max-age=0"), timed, ReasonExpired},
		{"Expires: 0, and the operator's lifetime", anonymousGet, 200, fields("Expires", "0"),
			timed, ReasonExpired},
		{"Expires: 0, and a guess", anonymousGet, 200, fields("Expires", "0", "Last-Modified", lm),
			guess, ok},

		{"a targeted field against Cache-Control", anonymousGet, 200, fields("Cache-Control",
			"no-store", "CDN-Cache-Control", "max-age=60"), obey, ok},
		{"a targeted no-store", anonymousGet, 200, fields("Cache-Control", "max-age=60",
			"CDN-Cache-Control", "no-store"), obey, ReasonNoStore},
		{"an invalid targeted field", anonymousGet, 200, fields("Cache-Control", "no-store",
			"CDN-Cache-Control", `max-age="60"`), obey, ReasonNoStore},
		{"a targeted field that says nothing does away with Expires", anonymousGet, 200,
			fields("Expires", after(time.Hour), "CDN-Cache-Control", "foo"), obey,
			ReasonNoLifetime},
		{"a targeted field that says nothing leaves the operator's lifetime nothing to do",
			anonymousGet, 200, fields("Cache-Control", "no-store", "CDN-Cache-Control", "public"),
			timed, ReasonNoLifetime},
		{"a targeted field alone, and the operator's lifetime", anonymousGet, 200,
			fields("CDN-Cache-Control", "public"), timed, ok},

		{"a lifetime of 0 and must-revalidate share nothing made for Authorization", authorizedGet,
			200, fields("Cache-Control", "max-age=0, must-revalidate"), obey, ReasonAuthorization},
		{"a stream that says nothing of a lifetime lacks one", anonymousGet, 200,
			fields("Content-Type", "application/x-ndjson"), obey, ReasonNoLifetime},

		{"the method before the status", &Request{Class: ClassUnsafe,
			Directives: noRequestDirectives()}, 103, fields(), obey, ReasonMethod},
		{"no-store before private", anonymousGet, 200, fields("Cache-Control", "private, no-store"),
			obey, ReasonNoStore},
		{"Authorization before Cookie and Set-Cookie", authorizedGet, 200, fields("Set-Cookie",
			"a=b"), timed, ReasonAuthorization},
	} {
		a := Admit(c.req, c.status, c.h, &c.p, c.p.TTL, received, received)
		if a.Store != (c.want == ok) || a.Reason != c.want {
			t.Errorf("%s: store %v, because of %q; want %q", c.why, a.Store, a.Reason, c.want)
		}
	}
}

// The statuses whose requirements on caches we meet are those of RFC 9110 that are in use, and 451.
// A 304 is never stored as one.
func TestUnderstood(t *testing.T) {
	var known []int
	for _, r := range [][2]int{{200, 206}, {300, 303}, {307, 308}, {400, 417}, {421, 422},
		{426, 426}, {451, 451}, {500, 505}} {
		for status := r[0]; status <= r[1]; status++ {
			known = append(known, status)
		}
	}
	for status := 100; status < 600; status++ {
		if got, want := understood(status), slices.Contains(known, status); got != want {
			t.Errorf("%d: understood %v; want %v", status, got, want)
		}
	}
}

// What a stored response is good for.
func TestAdmitSaysForHowLong(t *testing.T) {
	const m = time.Minute
	swr := policy.Policy{StaleWhileRevalidate: 2 * m, StaleIfError: 3 * m}
	for _, c := range []struct {
		why  string
		req  *Request
		h    http.Header
		p    policy.Policy
		want Admission
	}{
		{"the response's lifetime", anonymousGet, fields("Cache-Control", "max-age=60"),
			policy.Policy{}, Admission{Fresh: m, Retention: DefaultRetention, Explicit: true}},
		{"before the operator's", anonymousGet, fields("Cache-Control", "max-age=60"),
			policy.Policy{TTL: time.Hour}, Admission{Fresh: m, Retention: DefaultRetention,
				Explicit: true}},
		{"the operator's", anonymousGet, fields(), policy.Policy{TTL: m}, Admission{Fresh: m,
			Retention: DefaultRetention, Anonymous: true}},
		{"the operator's before a guess", anonymousGet, fields("Last-Modified",
			after(-10*time.Hour)), policy.Policy{TTL: m, Heuristic: true}, Admission{Fresh: m,
			Retention: DefaultRetention, Anonymous: true}},
		{"the operator's without bounds", anonymousGet, fields(), policy.Policy{TTL: math.MaxInt64,
			Retention: math.MaxInt64, StaleIfError: math.MaxInt64}, Admission{Fresh: maxSeconds,
			Retention: maxSeconds, StaleIfError: maxSeconds, Anonymous: true}},
		{"a guess", anonymousGet, fields("Content-Type", "text/css", "Last-Modified",
			after(-10*time.Hour)), policy.Policy{Heuristic: true}, Admission{Fresh: time.Hour,
			Retention: DefaultRetention, Anonymous: true}},
		{"a guess at most", anonymousGet, fields("Last-Modified", after(-10*time.Hour)),
			policy.Policy{Heuristic: true, HeuristicMax: m}, Admission{Fresh: m,
				Retention: DefaultRetention, Anonymous: true}},
		{"the operator's, shared", anonymousGet, fields(), policy.Policy{TTL: m, Shared: true},
			Admission{Fresh: m, Retention: DefaultRetention}},
		{"the operator's, and public", cookieGet, fields("Cache-Control", "public"),
			policy.Policy{TTL: m}, Admission{Fresh: m, Retention: DefaultRetention}},
		{"a targeted field", anonymousGet, fields("CDN-Cache-Control", "max-age=60",
			"Cache-Control", "s-maxage=5", "Expires", "0"), policy.Policy{}, Admission{Fresh: m,
			Retention: DefaultRetention, Explicit: true}},

		{"stale by the response", anonymousGet, fields("Cache-Control",
			"max-age=60, stale-while-revalidate=1, stale-if-error=2"), swr, Admission{Fresh: m,
			StaleWhileRevalidate: time.Second, StaleIfError: 2 * time.Second,
			Retention: DefaultRetention, Explicit: true}},
		{"stale by the operator", anonymousGet, fields("Cache-Control", "max-age=60"), swr,
			Admission{Fresh: m, StaleWhileRevalidate: 2 * m, StaleIfError: 3 * m,
				Retention: DefaultRetention, Explicit: true}},
		{"the response's 0 stands", anonymousGet, fields("Cache-Control",
			"max-age=60, stale-while-revalidate=0, stale-if-error=0"), swr, Admission{Fresh: m,
			Retention: DefaultRetention, Explicit: true}},
		{"the operator's lifetime and staleness", anonymousGet, fields(), policy.Policy{TTL: m,
			StaleWhileRevalidate: m}, Admission{Fresh: m, StaleWhileRevalidate: m,
			Retention: DefaultRetention, Anonymous: true}},
		{"must-revalidate", anonymousGet, fields("Cache-Control", "max-age=60, must-revalidate, "+
			"stale-if-error=5", "ETag", `"1"`), swr, Admission{Fresh: m,
			Retention: DefaultRetention, MustRevalidate: true, Explicit: true}},
		{"must-revalidate, with nothing to ask with", anonymousGet, fields("Cache-Control",
			"max-age=60, must-revalidate"), swr, Admission{Fresh: m, MustRevalidate: true,
			Explicit: true}},
		{"proxy-revalidate", anonymousGet, fields("Cache-Control", "max-age=60, proxy-revalidate"),
			swr, Admission{Fresh: m, MustRevalidate: true, Explicit: true}},
		{"s-maxage", anonymousGet, fields("Cache-Control", "s-maxage=60, max-age=5, "+
			"stale-while-revalidate=5"), swr, Admission{Fresh: m,
			StaleWhileRevalidate: 5 * time.Second, MustRevalidate: true, Explicit: true}},
		{"s-maxage alone", anonymousGet, fields("Cache-Control", "s-maxage=60, stale-if-error=5"),
			swr, Admission{Fresh: m, MustRevalidate: true, Explicit: true}},
		{"s-maxage=0 with a validator is no word for all", anonymousGet, fields("Cache-Control",
			"s-maxage=0", "ETag", `"1"`), policy.Policy{}, Admission{Retention: DefaultRetention,
			MustRevalidate: true, Explicit: true, Anonymous: true}},
		{"s-maxage beside must-revalidate", anonymousGet, fields("Cache-Control",
			"s-maxage=60, must-revalidate, stale-while-revalidate=5"), swr, Admission{Fresh: m,
			MustRevalidate: true, Explicit: true}},
		{"s-maxage beside proxy-revalidate", anonymousGet, fields("Cache-Control",
			"s-maxage=60, proxy-revalidate, stale-while-revalidate=5"), swr, Admission{Fresh: m,
			MustRevalidate: true, Explicit: true}},
		{"one that varies by who asks", anonymousGet, fields("Cache-Control", "max-age=60", "Vary",
			"Authorization, Cookie"), policy.Policy{}, Admission{Fresh: m,
			Retention: DefaultRetention, Explicit: true, Anonymous: true,
			Vary: []string{"authorization", "cookie"}}},
		{"one that varies by who asks, and is for all", anonymousGet, fields("Cache-Control",
			"max-age=60, public", "Vary", "Authorization, Cookie"), policy.Policy{},
			Admission{Fresh: m, Retention: DefaultRetention, Explicit: true,
				Vary: []string{"authorization", "cookie"}}},
		{"one that varies by cookies alone", anonymousGet, fields("Cache-Control", "max-age=60",
			"Vary", "Cookie"), policy.Policy{}, Admission{Fresh: m, Retention: DefaultRetention,
			Explicit: true, Vary: []string{"cookie"}}},
		{"no-cache", anonymousGet, fields("Cache-Control",
			"no-cache, max-age=60, stale-while-revalidate=5", "ETag", `"1"`), swr,
			Admission{Retention: DefaultRetention, MustRevalidate: true, Explicit: true,
				Anonymous: true}},
		{"max-age=0 with a validator", anonymousGet, fields("Cache-Control", "max-age=0", "ETag",
			`"1"`), swr, Admission{Retention: DefaultRetention, Explicit: true, Anonymous: true}},
		{"max-age=0 with a validator, and public", anonymousGet, fields("Cache-Control",
			"max-age=0, public", "ETag", `"1"`), swr, Admission{Retention: DefaultRetention,
			Explicit: true}},
		{"must-revalidate and the operator's", anonymousGet, fields("Cache-Control",
			"must-revalidate"), policy.Policy{TTL: m}, Admission{Fresh: m, MustRevalidate: true,
			Anonymous: true}},
		{"kept longer", anonymousGet, fields(), policy.Policy{TTL: m, Retention: time.Hour},
			Admission{Fresh: m, Retention: time.Hour, Anonymous: true}},
		{"not kept", anonymousGet, fields(), policy.Policy{TTL: m, Retention: -1},
			Admission{Fresh: m, Anonymous: true}},

		{"age", anonymousGet, fields("Cache-Control", "max-age=60", "Age", "5"), policy.Policy{},
			Admission{Age: 5 * time.Second, Fresh: m, Retention: DefaultRetention, Explicit: true}},
		{"what it varies by", anonymousGet, fields("Cache-Control", "max-age=60", "Vary",
			"Accept-Language, accept", "Vary", "Accept"), policy.Policy{}, Admission{Fresh: m,
			Retention: DefaultRetention, Explicit: true, Vary: []string{"accept",
				"accept-language"}}},
		{"what is not stored of it", anonymousGet, fields("Cache-Control",
			`max-age=60, no-cache="x-a", private="x-b, x-c"`, "Connection", "x-d", "X-D", "1"),
			policy.Policy{}, Admission{Fresh: m, Retention: DefaultRetention, Explicit: true,
				Strip: []string{"X-A", "X-B", "X-C", "Connection", "X-D"}}},
	} {
		got := Admit(c.req, 200, c.h, &c.p, c.p.TTL, received, received)
		c.want.Store, c.want.AsIs = true, len(c.want.Strip) == 0
		got.Source, got.Field = 0, "" // TestALifetimeHasOneSource
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.why, got, c.want)
		}
	}
}

// What is stored as it is, is what Storable makes of it; and nearly all responses are.
func TestAdmitAsIs(t *testing.T) {
	odd := []string{http.TrailerPrefix + "X-A", "x-a", "ETag", "set-cookie"}
	usual := []string{"Content-Type", "Content-Length", "Cache-Control", "Date", "Etag",
		"Last-Modified", "Vary", "Accept-Ranges", "X-Anything", "Location"}
	for i, name := range slices.Concat(odd, hopByHop, usual) {
		h := http.Header{"Cache-Control": {"max-age=60"}, name: {"max-age=60"}}
		a := Admit(anonymousGet, 200, h, &policy.Policy{}, 0, received, received)
		if want := i >= len(odd)+len(hopByHop); a.AsIs != want || want &&
			!reflect.DeepEqual(Storable(h, a.Strip), h) {
			t.Errorf("%s: as it is: %v", name, a.AsIs)
		}
	}
}

// A response that asks for credentials is stored for those who have none, unless it says that it is
// for all, or the operator does.
func TestAdmitKeepsWhatAsksForCredentialsForTheAnonymous(t *testing.T) {
	for _, c := range []struct {
		status    int
		says      string
		p         policy.Policy
		anonymous bool
	}{
		{401, "max-age=60", policy.Policy{}, true},
		{407, "max-age=60", policy.Policy{}, true},
		{401, "public, max-age=60", policy.Policy{}, false},
		{401, "s-maxage=60", policy.Policy{}, false},
		{401, "max-age=60", policy.Policy{Shared: true}, false},
		{403, "max-age=60", policy.Policy{}, false},
		{200, "max-age=60", policy.Policy{}, false},
	} {
		a := Admit(anonymousGet, c.status, fields("Cache-Control", c.says), &c.p, 0, received,
			received)
		if !a.Store || !a.Explicit || a.Anonymous != c.anonymous {
			t.Errorf("%d, %s, shared by the operator: %v: stored %v, explicitly %v, for the "+
				"anonymous alone %v; want true, true, %v",
				c.status, c.says, c.p.Shared, a.Store, a.Explicit, a.Anonymous, c.anonymous)
		}
	}
}

// A lifetime that the operator resolved for the request, not the policy's own, is what counts.
func TestAdmitTakesTheSettingsLifetime(t *testing.T) {
	p := &policy.Policy{TTL: time.Hour}
	if a := Admit(anonymousGet, 200, fields(), p, time.Minute, received, received); a.Fresh != time.Minute {
		t.Errorf("fresh for %v; want the setting's minute", a.Fresh)
	}
}

// Whatever a response to a request with credentials says by accident, it is not shared.
func FuzzAdmit(f *testing.F) {
	f.Add(200, "max-age=60", "CDN", "", "")
	f.Add(200, "", "max-age=60, public", "accept", "a=b")
	f.Add(206, "no-cache, s-maxage=5", "x", "*", "")
	f.Fuzz(func(t *testing.T, status int, control, aimed, vary, cookie string) {
		h := http.Header{"Cache-Control": {control}, "Cdn-Cache-Control": {aimed}, "Vary": {vary},
			"Etag": {`"1"`}}
		if cookie != "" {
			h["Set-Cookie"] = []string{cookie}
		}
		p := &policy.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Minute}
		before := h.Clone()
		for _, req := range []*Request{anonymousGet, cookieGet, authorizedGet, bothGet} {
			a := Admit(req, status, h, p, p.TTL, received, received)
			if a.Store != (a.Reason == "") {
				t.Errorf("store %v, because of %q", a.Store, a.Reason)
			}
			if a.Store && a.MustRevalidate && (a.StaleWhileRevalidate > 0 || a.StaleIfError > 0) {
				t.Errorf("must be revalidated, yet servable stale: %+v", a)
			}
			if a.Fresh < 0 || a.StaleWhileRevalidate < 0 || a.StaleIfError < 0 || a.Retention < 0 ||
				a.Age < 0 {
				t.Errorf("a negative duration: %+v", a)
			}
			if a.Store && req.Credentials && a.Anonymous {
				t.Errorf("made with credentials, and stored for those without: %+v", a)
			}
			if a.Store && req.Credentials && a.Fresh <= a.Age {
				t.Errorf("made with credentials, and stored to be validated: %+v", a)
			}
			if stored := Storable(h, a.Strip); a.AsIs && !reflect.DeepEqual(stored, h) {
				t.Errorf("said to be stored as it is: %q, which is stored as %q", h, stored)
			}
			if a.Store && len(h["Set-Cookie"]) > 0 && len(a.Strip) == 0 {
				t.Errorf("stored with Set-Cookie: %+v", a)
			}
		}
		if !reflect.DeepEqual(h, before) {
			t.Errorf("the header was changed: %s", strconv.Quote(control))
		}
	})
}

package cachetest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// statuses: any final one may be stored with a stated lifetime (RFC 9111 section 3), except those
// that answer what is in no key or forbid it.
func statuses() (all []story) {
	for _, status := range []int{
		200, 201, 202, 203, 204, 226, 299, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405,
		406, 409, 410, 414,
		418, 421, 422, 451, 499, 500, 501, 502, 503, 504, 599,
	} {
		all = append(all,
			kept(fmt.Sprintf("%d with a stated lifetime", status),
				code(status, "Cache-Control: max-age=60")))
	}
	for _, status := range []int{412, 416, 425, 428, 429, 431, 511} {
		all = append(all,
			refused(fmt.Sprintf("%d is never stored", status), "status",
				code(status, "Cache-Control: max-age=60")))
	}
	timed := policy.Policy{TTL: time.Minute}
	for _, status := range []int{200, 203, 300, 301, 308, 410} {
		all = append(all, keptBy(timed, fmt.Sprintf("%d by the operator's lifetime", status),
			code(status)))
	}
	for _, status := range []int{201, 204, 302, 400, 403, 404, 500, 503} {
		all = append(all,
			refusedBy(timed, fmt.Sprintf("%d not by the operator's lifetime", status),
				"no-lifetime", code(status)))
	}
	return append(all,
		story{name: "an empty 204 does not take a page's place (CVE-2025-49826)", policy: timed,
			origin: origin(code(204), says()), runs: 2, steps: steps(
				get("/").want("", "204", "!stored"), get("/").want("run 2", "stored"),
				get("/").want("run 2", "hit"))},
		refused("304 to a request without conditions", "status",
			code(304, "Cache-Control: max-age=60", `ETag: "a"`)),
		kept("must-understand lifts no-store for a status that is understood",
			says("Cache-Control: must-understand, no-store, max-age=60")),
		refused("must-understand with a status that is not", "must-understand",
			code(299, "Cache-Control: must-understand, no-store, max-age=60")),
		refused("must-understand with a status that is not, without no-store", "must-understand",
			code(299, "Cache-Control: must-understand, max-age=60")),
		refused("must-understand does not lift private", "private",
			says("Cache-Control: must-understand, private, max-age=60")),
		refused("must-understand with an argument is none", "no-store",
			says("Cache-Control: must-understand=1, no-store, max-age=60")),
	)
}

// admission: what a response forbids, wholly or in part (RFC 9111 sections 3, 4.1 and 5.2.2).
func admission() []story {
	partly := func(name, directive string) story {
		s := kept(name, says("Cache-Control: max-age=60, "+directive, "X-User: alice",
			"X-Other: kept"))
		s.steps[0].words = append(s.steps[0].words, "X-User: alice")
		s.steps[1].words = append(s.steps[1].words, "no X-User", "X-Other: kept")
		return s
	}
	asked := func(name, directives string) story {
		return story{name: name, origin: origin(says("Cache-Control: "+directives, `ETag: "a"`),
			validates(`"a"`)),
			runs: 2, steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 1", "!hit", "fwd=stale",
					"fwd-status=304"))}
	}
	return []story{
		refused("no-store", "no-store", says("Cache-Control: no-store, max-age=60")),
		refused("no-store in another line", "no-store", says("Cache-Control: max-age=60",
			"Cache-Control: No-Store")),
		refused("no-store with an argument", "no-store",
			says("Cache-Control: no-store=1, max-age=60")),
		refused("private (CVE-2026-24472)", "private", says("Cache-Control: private, max-age=60")),
		refused("private goes before public and s-maxage", "private",
			says("Cache-Control: public, private, s-maxage=60")),
		refused("private=true is private", "private",
			says("Cache-Control: private=true, max-age=60")),
		refused("private without names in its quotes (CVE-2026-13697)", "private",
			says(`Cache-Control: private="", max-age=60`)),
		partly("private for one field", `private="X-User"`),
		partly("private for several fields", `private="x-user, set-cookie"`),
		partly("no-cache for one field", `no-cache="X-User"`),
		refused("private, wholly and for one field (CVE-2026-13697)", "private",
			says(`Cache-Control: private="X-User", private, max-age=60`, "X-User: alice")),
		refused("no-cache, with nothing to ask with", "no-cache",
			says("Cache-Control: no-cache, max-age=60")),
		asked("no-cache is stored, and asked about each time", "no-cache, max-age=60"),
		asked("max-age=0 is stored, and asked about each time", "max-age=0"),
		refused("Vary: * (CVE-2026-6907)", "vary-star", says("Cache-Control: max-age=60",
			"Vary: *")),
		refused("Vary: * among others", "vary-star", says("Cache-Control: max-age=60",
			"Vary: Accept, *")),
		refused("Vary: * in another line", "vary-star", says("Cache-Control: max-age=60",
			"Vary: Accept", "Vary: *")),
		refused("Vary that is no field name", "vary-star", says("Cache-Control: max-age=60",
			"Vary: Accept Encoding")),
		refused("Vary on too many fields", "vary-star", says("Cache-Control: max-age=60",
			"Vary: "+manyFields(40))),
		refused("Set-Cookie", "set-cookie", says("Cache-Control: max-age=60",
			"Set-Cookie: sid=alice")),
		refused("Set-Cookie in spite of public", "set-cookie",
			says("Cache-Control: public, max-age=60", "Set-Cookie: sid=alice")),
		keptBy(policy.Policy{StoreCookies: true}, "Set-Cookie where the operator wants it",
			says("Cache-Control: max-age=60", "Set-Cookie: lang=en")),
		{name: "Set-Cookie that no-cache names is left out",
			origin: origin(says(`Cache-Control: max-age=60, no-cache="Set-Cookie"`,
				"Set-Cookie: sid=alice")),
			runs: 1, steps: steps(
				get("/").want("run 1", "Set-Cookie: sid=alice", "stored"),
				get("/").want("run 1", "hit", "no Set-Cookie"))},
		{name: "a field of one connection is not stored", runs: 1, origin: origin(says(
			"Cache-Control: max-age=60", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5",
			"Proxy-Authenticate: Basic", "X-End: 1")),
			steps: steps(get("/").want("run 1", "stored"),
				get("/").want("run 1", "hit", "no X-Hop", "no Keep-Alive", "no Proxy-Authenticate",
					"X-End: 1"))},
		{name: "an empty answer is an answer", runs: 1,
			origin: origin(does(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
			})), steps: steps(get("/").want("", "stored"), get("/").want("", "hit"))},
		{name: "the header is stored as it was", runs: 1, origin: origin(says(
			"Cache-Control: max-age=60", "Content-Type: text/x-test", "X-A: 1", "X-A: 2",
			"Content-Language: de")),
			steps: steps(get("/").want("run 1", "stored"),
				get("/").want("run 1", "hit", "Content-Type: text/x-test", "X-A: 1, 2",
					"Content-Language: de",
					"Content-Length: 5"))},
		{name: "the type that net/http guesses is stored", runs: 1,
			origin: origin(says("Cache-Control: max-age=60").saying("<html>hello")),
			steps: steps(get("/").want("<html>hello", "Content-Type: text/html; charset=utf-8"),
				get("/").want("<html>hello", "hit", "Content-Type: text/html; charset=utf-8"))},
	}
}

func manyFields(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("X-%d", i)
	}
	return strings.Join(names, ", ")
}

// validates answers a conditional request with 304 when it has the tag, and anything else with 418.
func validates(tag string, header ...string) answer {
	return does(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusTeapot
		if r.Header.Get("If-None-Match") == tag {
			status = http.StatusNotModified
		}
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Add(name, filled(value))
		}
		w.WriteHeader(status)
	})
}

// targeted: fields that speak to some caches only, in the place of Cache-Control (RFC 9213).
func targeted() []story {
	hour := "Cache-Control: max-age=3600"
	own := policy.Policy{Targeted: []string{"Freshet-Cache-Control", "CDN-Cache-Control"}}
	through := lives("CDN-Cache-Control goes before Cache-Control, which clients still see", 90,
		"CDN-Cache-Control: max-age=90", "Cache-Control: no-store")
	through.steps[1].words = append(through.steps[1].words, "Cache-Control: no-store")
	return []story{
		through,
		lives("it goes before Expires", 90, "CDN-Cache-Control: max-age=90", "Expires: 0"),
		lives("s-maxage in it", 90, "CDN-Cache-Control: max-age=10, s-maxage=90"),
		lives("in several lines", 90, "CDN-Cache-Control: public", "CDN-Cache-Control: max-age=90",
			"Cache-Control: no-store"),
		lives("with parameters, which are ignored", 90, "CDN-Cache-Control: max-age=90;x=1, y;z",
			"Cache-Control: no-store"),
		lives("too many seconds are 2^31", 1<<31, "CDN-Cache-Control: max-age=999999999999999"),
		refused("no-store in it", "no-store", says("CDN-Cache-Control: no-store", hour)),
		refused("private in it", "private", says("CDN-Cache-Control: private, max-age=60", hour)),
		refused("one that names no lifetime hides the others'", "no-lifetime",
			says("CDN-Cache-Control: must-revalidate", hour)),
		lives("one with a word for a number is ignored", 3600, "CDN-Cache-Control: max-age=abc",
			hour),
		lives("one with a quoted number is ignored", 3600, `CDN-Cache-Control: max-age="90"`, hour),
		lives("one with a fraction is ignored", 3600, "CDN-Cache-Control: max-age=90.5", hour),
		lives("one with a negative number is ignored", 3600, "CDN-Cache-Control: max-age=-90",
			hour),
		lives("one with capitals is no structured field", 3600, "CDN-Cache-Control: Max-Age=90",
			hour),
		lives("one that ends in a comma is no structured field", 3600,
			"CDN-Cache-Control: max-age=90,", hour),
		lives("an empty one is ignored", 3600, "CDN-Cache-Control:", hour),
		livesBy(own, "one that the operator named", 90,
			says("Freshet-Cache-Control: max-age=90", "CDN-Cache-Control: max-age=10", hour)),
		livesBy(own, "the next when the first is invalid", 10,
			says("Freshet-Cache-Control: max-age", "CDN-Cache-Control: max-age=10", hour)),
		livesBy(policy.Policy{Targeted: []string{}}, "none where the operator wants none", 3600,
			says("CDN-Cache-Control: no-store", hour)),
		lives("a name that is not listed", 3600, "Freshet-Cache-Control: no-store", hour),
		lives("Surrogate-Control", 90, "Surrogate-Control: max-age=90", "Cache-Control: no-store"),
		lives("Surrogate-Control comes after CDN-Cache-Control", 90,
			"Surrogate-Control: max-age=10",
			"CDN-Cache-Control: max-age=90"),
		lives("Surrogate-Control about other things", 3600,
			`Surrogate-Control: content="ESI/1.0", no-store-remote`, hour),
		lives("Surrogate-Control for another surrogate", 3600,
			"Surrogate-Control: max-age=90;elsewhere", hour),
		refused("Surrogate-Control: no-store", "no-store", says("Surrogate-Control: no-store",
			hour)),
		{name: "Surrogate-Control with a time to be served stale", runs: 2,
			origin: origin(says("Surrogate-Control: max-age=60+600", "Age: 90"), says(hour)),
			steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 1", "hit", "ttl ~ -30"),
				get("/").want("run 2", "hit").eventually())},
	}
}

// credentials: nothing personal is shared by default (RFC 9111 section 3.5, and stricter).
func credentials() (all []story) {
	hello := does(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "hello %s%s", r.Header.Get("Authorization"), r.Header.Get("Cookie"))
	})
	for _, who := range []struct{ name, line, why string }{
		{"Authorization", "Authorization: Bearer alice", "authorization"},
		{"Cookie", "Cookie: sid=alice", "cookie"},
		{"X-Api-Key", "X-Api-Key: alice", "cookie"},
	} {
		all = append(all,
			story{name: who.name + " keeps an answer out",
				origin: origin(says("Cache-Control: max-age=60")),
				runs:   3, steps: steps(
					get("/", who.line).want("run 1", "!stored", "detail="+who.why),
					get("/", who.line).want("run 2", "!hit"),
					get("/").want("run 3", "stored"),
					get("/").want("run 3", "hit"))})
		shareable := []string{"public, max-age=60", "s-maxage=60"}
		personal := []string{"max-age=60, proxy-revalidate", "max-age=60, immutable",
			`max-age=60, foo="public"`}
		if strict := "max-age=60, must-revalidate"; who.name == "Authorization" {
			shareable = append(shareable, strict)
		} else {
			personal = append(personal, strict)
		}
		for _, word := range shareable {
			all = append(all,
				same(who.name+" with "+word, policy.Policy{}, get("/", who.line), get("/"),
					"Cache-Control: "+word))
		}
		for _, word := range personal {
			all = append(all,
				story{name: who.name + " with " + word,
					origin: origin(says("Cache-Control: " + word)),
					runs:   1, steps: steps(
						get("/", who.line).want("run 1", "!stored", "detail="+who.why))})
		}
		all = append(all,
			story{name: who.name + ": what is validated each time is stored for nobody else",
				origin: origin(
					says("Cache-Control: no-cache, must-revalidate, max-age=0", `ETag: "1"`)),
				runs: 3, steps: steps(
					get("/", who.line).want("run 1", "!stored", "detail="+who.why),
					get("/").want("run 2", "stored"),
					get("/", who.line).want("run 3", "!stored", "detail="+who.why))},
			same(who.name+" on a route that is shared", policy.Policy{Shared: true},
				get("/", who.line), get("/")),
			story{name: "the operator's lifetime does not cover " + who.name,
				policy: policy.Policy{TTL: time.Minute},
				origin: origin(says()), runs: 2, steps: steps(
					get("/").want("run 1", "stored", "Cache-Control: max-age=60"),
					get("/", who.line).want("run 2", "!hit", "!stored",
						"Cache-Control: no-cache, no-store", "no Expires"),
					get("/").want("run 1", "hit"))},
			story{name: "the operator's lifetime, shared, covers " + who.name,
				policy: policy.Policy{TTL: time.Minute, Shared: true}, origin: origin(says()),
				runs: 1, steps: steps(
					get("/", who.line).want("run 1", "stored"), get("/").want("run 1", "hit"))})
	}
	for _, field := range []string{"X-Forwarded-User", "Cf-Access-Jwt-Assertion",
		"X-Amzn-Oidc-Data",
		"X-Csrf-Token", "X-Session-Id"} {
		all = append(all, story{name: "the operator's lifetime does not cover what was made for " +
			"a user of " + field,
			policy: policy.Policy{TTL: time.Minute}, origin: origin(says()), runs: 3, steps: steps(
				get("/", field+": alice").want("run 1", "!stored", "detail=cookie"),
				get("/", field+": bob").want("run 2", "!stored"),
				get("/").want("run 3", "stored"),
				get("/", "Sec-Fetch-User: ?1", "traceparent: 00-5f-5f-01").want("run 3", "hit"))})
	}
	session := policy.Policy{Credentials: func(r *http.Request) bool {
		return r.Header.Get("X-Session") != ""
	}}
	return append(all,
		same("what was made for the anonymous and says how long it lives is for all",
			policy.Policy{}, get("/"),
			get("/", "Cookie: sid=alice", "Authorization: x")),
		story{name: "everyone gets their own", runs: 5, origin: origin(hello), steps: steps(
			get("/", "Authorization: alice").want("hello alice"),
			get("/", "Authorization: bob").want("hello bob"),
			get("/", "Cookie: carol").want("hello carol"),
			get("/").want("hello ", "stored"),
			get("/").want("hello ", "hit"),
			get("/", "Cookie: dave", "Cache-Control: no-cache").want("hello dave", "!stored"))},
		story{name: "a cookie set for Alice is not Bob's", runs: 2, origin: origin(
			says("Cache-Control: max-age=60", "Set-Cookie: sid=alice"),
			says("Cache-Control: max-age=60", "Set-Cookie: sid=bob")), steps: steps(
			get("/").want("run 1", "Set-Cookie: sid=alice"), get("/").want("run 2",
				"Set-Cookie: sid=bob"))},
		story{name: "the operator says what identifies", policy: session,
			origin: origin(says("Cache-Control: max-age=60")), runs: 2, steps: steps(
				get("/", "X-Session: 1").want("run 1", "!stored", "detail=cookie"),
				get("/", "Cookie: lang=en").want("run 2", "stored"), get("/").want("run 2",
					"hit"))},
		story{name: "Authorization identifies whatever the operator says", policy: session,
			origin: origin(says("Cache-Control: max-age=60")), runs: 1, steps: steps(
				get("/", "Authorization: x").want("run 1", "!stored", "detail=authorization"))},
	)
}

package cachetest

import (
	"net/http"

	"github.com/freshet-go/freshet/policy"
)

// keys: which requests share an answer by default.
func keys() []story {
	none := policy.Policy{}
	return []story{
		same("the same target", none, get("/a?b=c"), get("/a?b=c")),
		apart("a host in another case, as routers see it", none, get("/", "Host: Site.Example"),
			get("/", "Host: site.example")),
		apart("a default port that is sent", none, get("/", "Host: site.example:80"),
			get("/", "Host: site.example")),
		apart("a full domain name", none, get("/", "Host: site.example."),
			get("/", "Host: site.example")),
		apart("absolute-form, which no browser sends", none, get("http://site.example/a?b"),
			get("/a?b")),
		same("absolute-form twice", none, get("http://site.example/a?b"),
			get("http://site.example/a?b")),
		same("the host of absolute-form counts, not the field's", none, get("http://a.example/",
			"Host: b.example"),
			get("http://a.example/", "Host: a.example")),
		apart("another host", none, get("/", "Host: a.example"), get("/", "Host: b.example")),
		apart("another port", none, get("/", "Host: a.example:8080"),
			get("/", "Host: a.example:8081")),
		apart("absolute-form does not fill the field's host", none, get("http://a.example/",
			"Host: b.example"),
			get("/", "Host: b.example")),
		apart("another path", none, get("/a"), get("/b")),
		apart("the path has case", none, get("/a"), get("/A")),
		apart("a slash at the end", none, get("/a"), get("/a/")),
		apart("two slashes", none, get("/a/b"), get("/a//b")),
		apart("an escaped slash", none, get("/a%2Fb"), get("/a/b")),
		apart("an escaped letter", none, get("/%61"), get("/a")),
		apart("an escaped question mark", none, get("/a%3Fb"), get("/a?b")),
		apart("dot segments", none, get("/x/../a"), get("/a")),
		apart("a null at the end", none, get("/a%00"), get("/a")),
		apart("a semicolon in the path", none, get("/a;x.css"), get("/a")),
		apart("the query counts (CVE-2026-30246)", none, get("/a?b=1"), get("/a?b=2")),
		apart("a query and none", none, get("/a?b"), get("/a")),
		apart("an empty query and none", none, get("/a?"), get("/a")),
		apart("the order of the query", none, get("/?a=1&b=2"), get("/?b=2&a=1")),
		apart("the case of the query", none, get("/?a=b"), get("/?a=B")),
		apart("%20 and +", none, get("/?a=b%20c"), get("/?a=b+c")),
		apart("empty parameters", none, get("/?a&"), get("/?a")),
		apart("a path that looks like a host and a path", none, get("//b.example/x"),
			get("/x", "Host: b.example")),
		apart("line ends in the target (CVE-2020-13254)", none, get("/a%0d%0aX:%20b"), get("/a")),
		apart("spaces in the target", none, get("/a%20b"), get("/a+b")),
		apart("the host that a proxy tells of", none, get("/", "X-Forwarded-Host: evil.example"),
			get("/")),
		apart("the scheme that a proxy tells of", none, get("/", "X-Forwarded-Proto: https"),
			get("/")),
		apart("Forwarded", none, get("/", "Forwarded: host=evil.example"), get("/")),
		same("the address of the client", none, get("/", "X-Forwarded-For: 192.0.2.1"),
			get("/", "X-Forwarded-For: 192.0.2.2")),
		same("the address of the client in Forwarded", none, get("/", "Forwarded: for=192.0.2.1"),
			get("/", "Forwarded: for=192.0.2.2")),
		same("fields that nothing names", none, get("/", "User-Agent: a", "Accept: text/html"),
			get("/", "User-Agent: b")),
		same("a fragment of nothing: trackers count unless dropped", none, get("/?utm_source=x"),
			get("/?utm_source=x")),
		{name: "GET and HEAD share, others do not",
			origin: origin(says("Cache-Control: max-age=60")),
			runs:   2, steps: steps(
				get("/").want("run 1"), head("/").want("", "hit"),
				request("OPTIONS", "/").want("run 2", "!hit", "fwd=method"))},
	}
}

// keyOptions: what the operator makes of keys.
func keyOptions() []story {
	key := func(k policy.KeyOptions) policy.Policy { return policy.Policy{Key: k} }
	sorted := key(policy.KeyOptions{SortQuery: true})
	keep := key(policy.KeyOptions{KeepParams: []string{"id"}})
	drop := key(policy.KeyOptions{DropParams: []string{"utm_*", "fbclid"}})
	tenant := key(policy.KeyOptions{Headers: []string{"x-tenant"}})
	lang := policy.Policy{Shared: true, Key: policy.KeyOptions{Cookies: []string{"lang"}}}
	byPath := key(policy.KeyOptions{Replace: func(r *http.Request) string {
		if r.URL.Path == "/none" {
			return ""
		}
		return r.URL.Path
	}})
	direct := key(policy.KeyOptions{IgnoreForwarded: true})
	return []story{
		same("sorted", sorted, get("/?b=2&a=1"), get("/?a=1&b=2")),
		same("sorted, with equal parameters", sorted, get("/?b=2&a=1&a=1"), get("/?a=1&b=2&a=1")),
		apart("sorted: values count", sorted, get("/?a=1&b=2"), get("/?a=2&b=1")),
		apart("sorted: duplicates count", sorted, get("/?a=1&a=1"), get("/?a=1")),
		same("kept", keep, get("/?id=1&x=2"), get("/?y=3&id=1")),
		same("kept, and nothing left", keep, get("/?x=2"), get("/")),
		apart("kept: values count", keep, get("/?id=1"), get("/?id=2")),
		same("kept: an escaped name is its name", keep, get("/?id=1&%78=2"), get("/?id=1")),
		apart("kept: an escaped name that is kept counts", keep, get("/?%69d=1"), get("/")),
		same("dropped", drop, get("/?a=1&utm_source=x&fbclid=y"), get("/?a=1")),
		same("dropped: an escaped name is its name", drop, get("/?a=1&utm%5Fsource=x"),
			get("/?a=1")),
		apart("dropped: other names count", drop, get("/?a=1&utm=x"), get("/?a=1")),
		apart("dropped: a semicolon hides nothing (parameter cloaking)", drop,
			get("/?a=1&utm_source=x;a=2"), get("/?a=1")),
		apart("dropped: a malformed name counts", drop, get("/?a=1&utm_%zz=x"), get("/?a=1")),
		same("a field in the key", tenant, get("/", "X-Tenant: a"), get("/", "X-Tenant: a")),
		apart("a field in the key that differs", tenant, get("/", "X-Tenant: a"),
			get("/", "X-Tenant: b")),
		apart("a field in the key that is missing", tenant, get("/", "X-Tenant: a"), get("/")),
		apart("a field in the key, in two lines or one", tenant, get("/", "X-Tenant: a",
			"X-Tenant: b"),
			get("/", "X-Tenant: a, b")),
		apart("a field in the key that looks like two", tenant, get("/", "X-Tenant: a=b"),
			get("/", "X-Tenant: a", "X-Tenant: b")),
		same("a cookie in the key, others not", lang, get("/", "Cookie: lang=en; sid=1"),
			get("/", "Cookie: sid=2; lang=en")),
		apart("a cookie in the key that differs", lang, get("/", "Cookie: lang=en"),
			get("/", "Cookie: lang=de")),
		apart("a cookie in the key that is missing", lang, get("/", "Cookie: lang=en"),
			get("/", "Cookie: sid=1")),
		same("a key of the operator's", byPath, get("/a?b", "Host: a.example"),
			get("/a?c", "Host: b.example")),
		apart("a key of the operator's that differs", byPath, get("/a"), get("/b")),
		{name: "no key: the request passes", policy: byPath,
			origin: origin(says("Cache-Control: max-age=60")),
			runs:   2, steps: steps(
				get("/none").want("run 1", "fwd=bypass", "detail=key", "!stored"),
				get("/none").want("run 2", "!hit"))},
		same("forwarding fields that the app does not read", direct,
			get("/", "X-Forwarded-Host: a.example"), get("/")),
	}
}

// passing: requests that are not the cache's business.
func passing() (all []story) {
	page := origin(says("Cache-Control: max-age=60"))
	passes := func(name, why string, s step) story {
		return story{name: name, origin: page, runs: 4, steps: steps(
			s.want("run 1", "!stored", "fwd=bypass", "detail="+why), get("/").want("run 2",
				"stored"),
			s.want("run 3", "!hit"), get("/").want("run 2", "hit"), s.want("run 4", "!hit"))}
	}
	all = append(all,
		passes("GET with a body (fat GET)", "body", get("/").sending("q=1")),
		passes("GET with a body of no length said", "body",
			get("/", "Transfer-Encoding: chunked").raw("1\r\nx\r\n0\r\n\r\n")),
		passes("If-Match", "precondition", get("/", `If-Match: "a"`)),
		passes("If-Unmodified-Since", "precondition", get("/", "If-Unmodified-Since: {now}")),
		passes("Upgrade", "upgrade", get("/", "Upgrade: foo")),
	)
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
		"X-Original-URL",
		"X-Rewrite-URL"} {
		all = append(all, passes(name, "method-override", get("/", name+": DELETE")))
	}
	return append(all,
		story{name: "a route that is off", policy: policy.Policy{Off: true}, origin: page, runs: 2,
			steps: steps(
				get("/").want("run 1", "detail=off", "!stored",
					"Cache-Control: no-cache, no-store"),
				get("/").want("run 2", "!hit"))},
		story{name: "HEAD with a body", origin: page, runs: 2, steps: steps(
			get("/").want("run 1"), head("/").sending("x").want("", "fwd=bypass", "detail=body"))},
	)
}

// variants: several answers of one resource (RFC 9111 section 4.1).
func variants() []story {
	none := policy.Policy{}
	encoding, language := "Vary: Accept-Encoding", "Vary: Accept-Language"
	ae := func(v string) step { return get("/", "Accept-Encoding: "+v) }
	al := func(v string) step { return get("/", "Accept-Language: "+v) }
	x := func(lines ...string) step { return get("/", lines...) }
	max := "Cache-Control: max-age=60"
	return []story{
		apart("what differs is apart, and both stay", none, ae("gzip"), ae("br"), encoding),
		apart("what is missing is apart", none, ae("gzip"), get("/"), encoding),
		same("what both lack is the same", none, get("/"), get("/"), encoding),
		same("names in Vary have no case", none, ae("gzip"), ae("gzip"), "Vary: ACCEPT-encoding"),
		{name: "another variant is a vary-miss", origin: origin(says(max, encoding)), runs: 2,
			steps: steps(
				ae("gzip").want("run 1", "fwd=uri-miss"), ae("br").want("run 2", "fwd=vary-miss"))},

		same("Accept-Encoding of a browser", none, ae("gzip, deflate, br, zstd"),
			ae("gzip, deflate, br, zstd"), encoding),
		same("white space around a line is none of it", none, ae("gzip, br"), ae(" gzip, br\t"),
			encoding),
		apart("Accept-Encoding: order (gorilla/handlers takes the first)", none,
			ae("gzip, deflate, br"),
			ae("deflate, gzip, br"), encoding),
		apart("Accept-Encoding: case (echo looks for gzip)", none, ae("gzip, br"), ae("GZIP, br"),
			encoding),
		apart("Accept-Encoding: spaces (many handlers cut at a comma and a space)", none,
			ae("gzip, br"),
			ae("gzip,br"), encoding),
		apart("Accept-Encoding: a weight of 1", none, ae("gzip, br"), ae("gzip;q=1.0, br;q=1"),
			encoding),
		apart("Accept-Encoding: weights of the same order", none, ae("br;q=0.9, gzip;q=0.8"),
			ae("br;q=0.2, gzip;q=0.1"), encoding),
		apart("Accept-Encoding: x-gzip", none, ae("x-gzip"), ae("gzip"), encoding),
		apart("Accept-Encoding: two lines (Header.Get reads the first)", none,
			get("/", "Accept-Encoding: gzip", "Accept-Encoding: br"), ae("gzip, br"), encoding),
		apart("Accept-Encoding: an empty first line", none, get("/", "Accept-Encoding:",
			"Accept-Encoding: gzip"),
			ae("gzip"), encoding),
		apart("Accept-Encoding: empty is not missing", none, ae(""), get("/"), encoding),
		apart("Accept-Encoding: one coding twice", none, ae("gzip, gzip"), ae("gzip"), encoding),
		apart("Accept-Encoding: refused is not accepted", none, ae("gzip;q=0"), ae("gzip"),
			encoding),
		apart("Accept-Encoding: identity refused", none, ae("gzip"), ae("gzip, identity;q=0"),
			encoding),
		apart("Accept-Language: case", none, al("en-US,en;q=0.5"), al("en-us,en;q=0.5"), language),
		apart("Accept-Language: spaces", none, al("en-US,en;q=0.5"), al("en-US, en;q=0.5"),
			language),
		apart("Accept-Language: the way of weights", none, al("en-US,en;q=0.5"),
			al("en-US,en;q=0.50"), language),
		apart("Accept-Language: order, though the weights say the same", none, al("de;q=0.5, en"),
			al("en, de;q=0.5"), language),
		apart("Accept-Language: the order of equals", none, al("de, en"), al("en, de"), language),
		apart("Accept-Language: weights", none, al("de, en;q=0.5"), al("de, en;q=0.9"), language),
		apart("Accept-Language: an empty first line", none, get("/", "Accept-Language:",
			"Accept-Language: de"),
			al("de"), language),
		apart("Accept: spaces", none, get("/", "Accept: text/html, text/plain"),
			get("/", "Accept: text/html,text/plain"), "Vary: Accept"),
		apart("Accept: case", none, get("/", "Accept: application/json"),
			get("/", "Accept: Application/JSON"), "Vary: Accept"),
		apart("Accept", none, get("/", "Accept: text/html"), get("/", "Accept: application/json"),
			"Vary: Accept"),
		apart("other fields: lines are no list", none, x("X-A: 1", "X-A: 2"), x("X-A: 1, 2"),
			"Vary: X-A"),
		apart("other fields: the order of lines", none, x("X-A: 1", "X-A: 2"),
			x("X-A: 2", "X-A: 1"), "Vary: X-A"),
		apart("other fields: case counts", none, x("X-A: a"), x("X-A: A"), "Vary: X-A"),
		apart("two fields, one differs", none, x("X-A: 1", "X-B: 1"), x("X-A: 1", "X-B: 2"),
			"Vary: X-A, X-B"),
		apart("two fields in two lines of Vary", none, x("X-A: 1", "X-B: 1"), x("X-A: 2", "X-B: 1"),
			"Vary: X-A", "Vary: X-B"),
		apart("values do not move from one field to another", none, x("X-A: 1 x-b=2"),
			x("X-A: 1", "X-B: 2"),
			"Vary: X-A, X-B"),
		apart("the origin of a script", none, x("Origin: https://a.example"),
			x("Origin: https://b.example"), "Vary: Origin"),
		apart("a public answer for each cookie (CVE-2026-44457)", none, x("Cookie: a"),
			x("Cookie: b"), "Vary: Cookie",
			"Cache-Control: public, max-age=60"),
		apart("a public answer for each Authorization (CVE-2026-44457)", none,
			x("Authorization: a"),
			x("Authorization: b"), "Vary: Authorization", "Cache-Control: public, max-age=60"),

		{name: "many variants at a time", origin: origin(says(max, "Vary: X-A")), runs: 5,
			steps: steps(
				x("X-A: 1").want("run 1"), x("X-A: 2").want("run 2"), x("X-A: 3").want("run 3"),
				x("X-A: 4").want("run 4"),
				x().want("run 5"),
				x("X-A: 1").want("run 1", "hit"), x("X-A: 2").want("run 2", "hit"),
				x("X-A: 3").want("run 3", "hit"),
				x("X-A: 4").want("run 4", "hit"), x().want("run 5", "hit"))},
		{name: "of several that match, the most recent", runs: 2,
			origin: origin(says(max, "Vary: X-A", "Date: {now-20}"),
				says(max, "Vary: X-B", "Date: {now-10}")), steps: steps(
				x("X-A: 1", "X-B: 1").want("run 1"), x("X-A: 2", "X-B: 2").want("run 2"),
				x("X-A: 1", "X-B: 2").want("run 2", "hit"), x("X-A: 1", "X-B: 1").want("run 1",
					"hit"))},
		{name: "of several that match, the most recent by its Date", runs: 2,
			origin: origin(says(max, "Vary: X-A", "Date: {now-10}"),
				says(max, "Vary: X-B", "Date: {now-20}")), steps: steps(
				x("X-A: 1", "X-B: 1").want("run 1"), x("X-A: 2", "X-B: 2").want("run 2"),
				x("X-A: 1", "X-B: 2").want("run 1", "hit"), x("X-A: 3", "X-B: 2").want("run 2",
					"hit"))},
		{name: "an answer that begins to vary", runs: 2,
			origin: origin(says(max, "Date: {now-20}"), says(max, "Vary: X-A", "Date: {now-10}")),
			steps: steps(
				x("X-A: 1").want("run 1"), x("X-A: 2").want("run 1", "hit"),
				x("X-A: 2", "Cache-Control: no-cache").want("run 2"),
				x("X-A: 2").want("run 2", "hit"), x("X-A: 3").want("run 1", "hit"))},
		{name: "an answer that no longer varies", runs: 2,
			origin: origin(says(max, "Vary: X-A", "Date: {now-20}"), says(max, "Date: {now-10}")),
			steps: steps(
				x("X-A: 1").want("run 1"), x("X-A: 2").want("run 2"), x("X-A: 3").want("run 2",
					"hit"),
				x("X-A: 1").want("run 2", "hit"))},
		{name: "HEAD and 304 of a variant", runs: 2,
			origin: origin(says(max, "Vary: X-A", `ETag: "a"`), says(max, "Vary: X-A",
				`ETag: "b"`)), steps: steps(
				x("X-A: 1").want("run 1"), x("X-A: 2").want("run 2"),
				head("/", "X-A: 1").want("", "hit", `ETag: "a"`),
				x("X-A: 2", `If-None-Match: "b"`).want("", "304", "hit"),
				x("X-A: 2", `If-None-Match: "a"`).want("run 2", "hit"))},
		{name: "a variant that may not be stored leaves the others", runs: 3,
			origin: origin(says(max, "Vary: X-A"), says("Cache-Control: no-store")), steps: steps(
				x("X-A: 1").want("run 1", "stored"), x("X-A: 2").want("run 2", "!stored"),
				x("X-A: 2").want("run 3", "!stored"), x("X-A: 1").want("run 1", "hit"))},
	}
}

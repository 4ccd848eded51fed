package cachetest

import (
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// requestDirectives: what clients may ask of the cache (RFC 9111 sections 5.2.1 and 5.4).
func requestDirectives() (all []story) {
	fresh := says("Cache-Control: max-age=100", "Age: 40")
	asked := func(name string, p policy.Policy, lines ...string) story {
		return story{name: name, policy: p, origin: origin(fresh), runs: 2, steps: steps(
			get("/").want("run 1", "stored"), get("/", lines...).want("run 2", "fwd=request",
				"stored"),
			get("/").want("run 2", "hit"))}
	}
	served := func(name string, p policy.Policy, lines ...string) story {
		return story{name: name, policy: p, origin: origin(fresh), runs: 1, steps: steps(
			get("/").want("run 1", "stored"), get("/", lines...).want("run 1", "hit"))}
	}
	none, deaf := policy.Policy{}, policy.Policy{IgnoreClientDirectives: true}
	for _, directive := range []string{"no-cache", "NO-CACHE", "max-age=30", "max-age=0",
		`max-age="30"`, "max-age=abc",
		"max-age", "min-fresh=90", "min-fresh=x",
		"max-age=1000, max-age=30", "foo, no-cache", `no-cache="x"`} {
		all = append(all,
			asked("Cache-Control: "+directive+" asks the origin", none, "Cache-Control: "+
				directive),
			served("Cache-Control: "+directive+" where clients may not force the cache", deaf,
				"Cache-Control: "+directive))
	}
	for _, directive := range []string{"max-age=60", "min-fresh=30", "max-stale", "foo=bar", "",
		"no-transform",
		"max-age=99999999999999999999", "no-store", "only-if-cached"} {
		all = append(all, served("Cache-Control: "+directive+" is served", none, "Cache-Control: "+
			directive))
	}
	stale := says("Cache-Control: max-age=60", "Age: 90", `ETag: "a"`)
	tooStale := func(name, own, asks string, p policy.Policy) story {
		return story{name: name, policy: p,
			origin: origin(says("Cache-Control: "+own, "Age: 90", `ETag: "a"`),
				says("Cache-Control: max-age=60")),
			runs: 2, steps: steps(
				get("/").want("run 1", "stored"), get("/", "Cache-Control: "+asks).want("run 2",
					"fwd=stale"))}
	}
	for _, directive := range []string{"max-stale=60", "max-stale",
		"max-stale=99999999999999999999"} {
		all = append(all,
			story{name: directive + " takes a stale answer", origin: origin(stale,
				says("Cache-Control: max-age=100")),
				runs: 2, steps: steps(
					get("/").want("run 1", "stored"),
					get("/", "Cache-Control: "+directive).want("run 1", "hit", "ttl ~ -30"),
					get("/").want("run 2", "hit").eventually())})
	}
	all = append(all,
		tooStale("max-stale takes no answer that is staler", "max-age=60", "max-stale=10", none),
		tooStale("max-stale of junk takes none", "max-age=60", "max-stale=x", none),
		tooStale("max-stale does not lift must-revalidate", "max-age=60, must-revalidate",
			"max-stale", none),
		tooStale("max-stale does not lift s-maxage", "s-maxage=60", "max-stale", none),
		tooStale("max-stale where clients may not force the cache", "max-age=60", "max-stale",
			deaf),
		tooStale("max-age takes no stale answer, though it be younger",
			"max-age=60, stale-while-revalidate=600",
			"max-age=1000", none),
		tooStale("no-cache takes no stale answer", "max-age=60, stale-while-revalidate=600",
			"no-cache, max-age=5", none),

		asked("Pragma: no-cache asks the origin", none, "Pragma: no-cache"),
		served("Pragma: no-cache where clients may not force the cache", deaf, "Pragma: no-cache"),
		served("Pragma beside Cache-Control is not looked at", none, "Pragma: no-cache",
			"Cache-Control: max-age=1000"),
		served("Pragma with another word", none, "Pragma: foo"),

		story{name: "no-store keeps the answer out of the store", origin: origin(fresh), runs: 2,
			steps: steps(
				get("/", "Cache-Control: no-store").want("run 1", "!stored",
					"detail=request-no-store"),
				get("/").want("run 2", "stored"),
				get("/", "Cache-Control: no-store").want("run 2", "hit"))},
		story{name: "no-store counts where clients may not force the cache", policy: deaf,
			origin: origin(fresh),
			runs:   1, steps: steps(
				get("/", "Cache-Control: no-store").want("run 1", "!stored",
					"detail=request-no-store"))},
		story{name: "only-if-cached with nothing stored", origin: origin(fresh), runs: 0,
			steps: steps(
				get("/", "Cache-Control: only-if-cached").want("*", "504", "detail=only-if-cached",
					"!hit"))},
		story{name: "only-if-cached with something stale", origin: origin(stale), runs: 1,
			steps: steps(
				get("/").want("run 1", "stored"), get("/", "Cache-Control: only-if-cached").want(
					"*", "504"))},
		story{name: "only-if-cached with another variant",
			origin: origin(says("Cache-Control: max-age=60", "Vary: X-A")), runs: 1, steps: steps(
				get("/", "X-A: 1").want("run 1", "stored"),
				get("/", "X-A: 2", "Cache-Control: only-if-cached").want("*", "504"),
				get("/", "X-A: 1", "Cache-Control: only-if-cached").want("run 1", "hit"))},
		story{name: "only-if-cached for HEAD", origin: origin(fresh), runs: 1, steps: steps(
			head("/", "Cache-Control: only-if-cached").want("", "504"), get("/").want("run 1"),
			head("/", "Cache-Control: only-if-cached").want("", "hit"))},
		story{name: "only-if-cached where clients may not force the cache", policy: deaf,
			origin: origin(fresh),
			runs:   0, steps: steps(
				get("/", "Cache-Control: only-if-cached").want("*", "504"))},
		story{name: "more than anyone needs is no-cache and no-store", origin: origin(fresh),
			runs: 2, steps: steps(
				get("/").want("run 1", "stored"),
				get("/", "Cache-Control: a"+strings.Repeat(",a", 5000)).want("run 2", "!hit",
					"!stored"),
				get("/").want("run 1", "hit"))},
		story{name: "asking again is asking with the tag",
			origin: origin(says("Cache-Control: max-age=100", `ETag: "a"`), validates(`"a"`)),
			runs:   2, steps: steps(
				get("/").want("run 1", "stored"),
				get("/", "Cache-Control: no-cache").want("run 1", "fwd=request",
					"fwd-status=304"))},
	)
	return all
}

// conditionals: preconditions judged by what is stored (RFC 9110 section 13, RFC 9111 section
// 4.3.2).
func conditionals() (all []story) {
	page := []string{"Cache-Control: max-age=60", `ETag: "a"`, "Last-Modified: Sun, 06 Nov 1994 " +
		"08:49:37 GMT",
		"Content-Location: /here", "Vary: Accept"}
	same := func(name string, lines ...string) story {
		return story{name: name, origin: origin(says(page...)), runs: 1, steps: steps(
			get("/").want("run 1", "stored"),
			get("/", lines...).want("", "304", "hit", `ETag: "a"`, "Cache-Control: max-age=60",
				"Vary: Accept",
				"Content-Location: /here", "no Content-Length", "no Content-Type"))}
	}
	changed := func(name string, lines ...string) story {
		return story{name: name, origin: origin(says(page...)), runs: 1, steps: steps(
			get("/").want("run 1", "stored"), get("/", lines...).want("run 1", "hit"))}
	}
	for _, tags := range []string{`"a"`, `"x", "a"`, `"x","a","y"`, `W/"a"`, `*`, `, ,"a"`,
		`x, "a"`, `"x, y", "a"`} {
		all = append(all, same("If-None-Match: "+tags, "If-None-Match: "+tags))
	}
	for _, tags := range []string{`"b"`, `a`, `"a`, `w/"a"`, `"A"`, `"x" "a"`, `""`, ``, `"x, "a"`,
		`"*"`} {
		all = append(all, changed("If-None-Match: "+tags+" names another", "If-None-Match: "+tags))
	}
	for _, date := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994", "Mon, 07 Nov 1994 08:49:37 GMT", "{now}"} {
		all = append(all, same("If-Modified-Since: "+date, "If-Modified-Since: "+date))
	}
	for _, date := range []string{"Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:37 EST",
		"Sun, 06 Nov 2044 08:49:37", "yesterday", "", "0", "784111777",
		"Sunday, 06-Nov-93 08:49:37 GMT"} {
		all = append(all, changed("If-Modified-Since: "+date+" is before, or no date",
			"If-Modified-Since: "+date))
	}
	weak := []string{"Cache-Control: max-age=60", `ETag: W/"a"`}
	return append(all,
		same("If-None-Match in two lines", `If-None-Match: "x"`, `If-None-Match: "a"`),
		same("If-None-Match matches, If-Modified-Since does not", `If-None-Match: "a"`,
			"If-Modified-Since: Sat, 05 Nov 1994 08:49:37 GMT"),
		changed("If-Modified-Since is not looked at beside If-None-Match", `If-None-Match: "x"`,
			"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"),
		changed("If-Modified-Since is not looked at beside an If-None-Match of junk",
			`If-None-Match: ,`,
			"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"),
		changed("If-Modified-Since twice", "If-Modified-Since: {now}", "If-Modified-Since: {now}"),
		story{name: "a weak tag matches a strong one", origin: origin(says(weak...)), runs: 1,
			steps: steps(
				get("/").want("run 1"), get("/", `If-None-Match: "a"`).want("", "304", "hit"),
				get("/", `If-None-Match: W/"a"`).want("", "304", "hit"))},
		story{name: "a comma in a tag", origin: origin(says("Cache-Control: max-age=60",
			`ETag: "a,b"`)),
			runs: 1, steps: steps(
				get("/").want("run 1"), get("/", `If-None-Match: "x", "a,b"`).want("", "304"),
				get("/", `If-None-Match: "a"`).want("run 1"))},
		story{name: "without Last-Modified, Date stands in",
			policy: policy.Policy{NoValidators: true},
			origin: origin(says("Cache-Control: max-age=60")), runs: 1, steps: steps(
				get("/").want("run 1"), get("/", "If-Modified-Since: {now+30}").want("", "304",
					"hit"),
				get("/", "If-Modified-Since: {now-30}").want("run 1", "hit"))},
		story{name: "HEAD with a condition", origin: origin(says(page...)), runs: 1, steps: steps(
			get("/").want("run 1"), head("/", `If-None-Match: "a"`).want("", "304", "hit"))},
		story{name: "an error is no representation", origin: origin(code(404, page...)), runs: 1,
			steps: steps(
				get("/").want("run 1", "404"), get("/", `If-None-Match: "a"`).want("run 1", "404",
					"hit"))},
		story{name: "a redirect is no representation",
			origin: origin(code(301, append(page, "Location: /there")...)),
			runs:   1, steps: steps(
				get("/").want("run 1", "301"),
				get("/", `If-None-Match: "a"`).want("run 1", "301", "hit", "Location: /there"))},
		story{name: "the condition of the first client is not the origin's",
			origin: origin(says(page...)),
			runs:   1, steps: steps(
				get("/", `If-None-Match: "a"`).want("", "304", "fwd=uri-miss", "stored",
					`ETag: "a"`),
				get("/").want("run 1", "hit"))},
		story{name: "a condition on what may not be stored",
			origin: origin(says("Cache-Control: no-store", `ETag: "a"`)), runs: 2, steps: steps(
				get("/", `If-None-Match: "a"`).want("", "304", "!stored"),
				get("/", `If-None-Match: "b"`).want("run 2", "!stored"))},
		story{name: "304 from a stale answer that was confirmed", runs: 2,
			origin: origin(says("Cache-Control: max-age=60", "Age: 90", `ETag: "a"`),
				validates(`"a"`, "Cache-Control: max-age=60", `ETag: "a"`)), steps: steps(
				get("/").want("run 1"), get("/", `If-None-Match: "a"`).want("", "304", "fwd=stale"),
				get("/", `If-None-Match: "b"`).want("run 1", "hit"))},
	)
}

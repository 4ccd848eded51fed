package cachetest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/policy"
)

func itoa(n int) string { return strconv.Itoa(n) }

// cacheStatus: every answer says what the cache did (RFC 9211), and never the key. What holds for
// each answer of the table is checked by always.
func cacheStatus() []story {
	max := "Cache-Control: max-age=60"
	return []story{
		{name: "miss, hit, method", runs: 2, origin: origin(says(max)), steps: steps(
			get("/secret?token=x").want("run 1", "Cache-Status: Freshet; fwd=uri-miss; "+
				"fwd-status=200; stored"),
			get("/secret?token=x").want("run 1", "hit", "ttl ~ 60"),
			post("/secret?token=x").want("run 2", "Cache-Status: Freshet; fwd=method; "+
				"fwd-status=200"))},
		{name: "why it was not stored", runs: 1, origin: origin(says("Cache-Control: private")),
			steps: steps(
				get("/").want("run 1", "Cache-Status: Freshet; fwd=uri-miss; fwd-status=200; "+
					"detail=private"))},
		{name: "what caches before us said stays", runs: 1,
			origin: origin(says(max, `Cache-Status: Origin; hit, "a, b"; fwd=miss`)), steps: steps(
				get("/").want("run 1", "fwd=uri-miss",
					`Cache-Status has Origin; hit, "a, b"; fwd=miss`),
				get("/").want("run 1", "hit", "Cache-Status has Origin; hit"))},
		{name: "a 304, a 206, a 416, HEAD and 504", runs: 1, origin: origin(says(max, `ETag: "a"`)),
			steps: steps(
				get("/").want("run 1", "stored"),
				get("/", `If-None-Match: "a"`).want("", "304", "hit", "ttl ~ 60", "Age ~ 0"),
				get("/", "Range: bytes=0-0").want("r", "206", "hit", "ttl ~ 60", "Age ~ 0"),
				get("/", "Range: bytes=9-").want("", "416", "hit"),
				head("/").want("", "hit", "Age ~ 0"),
				get("/x", "Cache-Control: only-if-cached").want("*", "504",
					"detail=only-if-cached"))},
	}
}

// madeValidators: an ETag and a Last-Modified where the origin sent neither.
func madeValidators() []story {
	max := "Cache-Control: max-age=60"
	none := func(name string, p policy.Policy, a answer) story {
		return story{name: name, policy: p, runs: 1, origin: origin(a), steps: steps(
			get("/").want("*", itoa(a.status), "no ETag", "no Last-Modified"))}
	}
	both := func(name string, p policy.Policy, a answer) story {
		return story{name: name, policy: p, runs: 1, origin: origin(a), steps: steps(
			get("/").want("*", "ETag has \"", "Last-Modified has GMT"),
			get("/").want("*", "hit", "ETag: {etag}", "Last-Modified: {modified}"),
			head("/").want("", "hit", "ETag: {etag}", "Last-Modified: {modified}"),
			get("/", "If-None-Match: {etag}").want("", "304", "hit", "ETag: {etag}"),
			get("/", "If-None-Match: {etag}", "If-Modified-Since: {modified}").want("", "304",
				"hit"),
			// another version of that second has the same
			get("/", "If-Modified-Since: {modified}").want("*", "200", "hit"),
			get("/", "If-Modified-Since: {now+30}").want("", "304", "hit"),
			get("/", `If-None-Match: "another"`).want("*", "hit"),
			get("/", "Range: bytes=0-2", "If-Range: {etag}").want("*", "206", "hit",
				"ETag: {etag}"))}
	}
	zero := policy.Policy{}
	off := policy.Policy{NoValidators: true}
	long := does(func(w http.ResponseWriter, r *http.Request) {
		lives60(w)
		io.WriteString(w, big)
	})
	long.status = 200
	flushes := does(func(w http.ResponseWriter, r *http.Request) {
		lives60(w)
		io.WriteString(w, "some")
		http.NewResponseController(w).Flush()
		io.WriteString(w, " more")
	})
	return []story{
		both("what the first client gets with its miss, later ones get with their hits", zero,
			says(max)),
		both("by the operator's lifetime", policy.Policy{TTL: time.Minute}, says()),
		both("for a body that is longer than what is held back", zero, long),
		both("for a body that is flushed", zero, flushes),
		none("off for a route", off, says(max)),
		none("not for an error", zero, code(404, max)),
		none("not for what is not stored", zero, says("Cache-Control: no-store")),
		{name: "a tag of the origin's stays alone", runs: 1,
			origin: origin(says(max, `ETag: "mine"`)), steps: steps(
				get("/").want("run 1", `ETag: "mine"`, "no Last-Modified"),
				get("/").want("run 1", "hit", `ETag: "mine"`, "no Last-Modified"))},
		{name: "a Last-Modified of the origin's stays alone", runs: 1,
			origin: origin(says(max, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")), steps: steps(
				get("/").want("run 1", "no ETag", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"),
				get("/").want("run 1", "hit", "no ETag"))},
		{name: "the same content has the same tag after another run", runs: 2,
			origin: origin(says(max).saying("same")), steps: steps(
				get("/").want("same"),
				get("/", "Cache-Control: no-cache").want("same", "fwd=request", "ETag: {etag}"))},
		{name: "a client that has the content gets 304 also when the origin had to run", runs: 2,
			origin: origin(says(max).saying("same")), steps: steps(
				get("/").want("same"),
				get("/", "Cache-Control: no-cache", "If-None-Match: {etag}").want("", "304",
					"fwd=request"))},
	}
}

// settings: lifetimes for resources by name, and what clients see of them.
func settings() []story {
	expires := func(set ...policy.ExpirySetting) func() *policy.Expires {
		return func() *policy.Expires {
			x, err := policy.NewExpires([]string{"record"}, set...)
			if err != nil {
				panic(err)
			}
			return x
		}
	}
	seconds := func(name string, n int) policy.ExpirySetting {
		return policy.ExpirySetting{Name: name, TTL: time.Duration(n) * time.Second}
	}
	environ := func(name string, n int) policy.ExpirySetting {
		s := seconds(name, n)
		s.Environ = true
		return s
	}
	record := policy.Policy{Resource: "record"}
	scoped := policy.Policy{Resource: "record", Scope: func(r *http.Request) []string {
		return strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	}}
	minute, off := expires(seconds("record", 60)), expires(seconds("record", 0))
	forbidden := []string{"Cache-Control: no-cache, no-store", "no Expires", "!stored"}
	not := func(name string, x func() *policy.Expires, a answer, lines ...string) story {
		return story{name: name, policy: record, expires: x, runs: 2, origin: origin(a),
			steps: steps(
				get("/", lines...).want("run 1", append(forbidden, itoa(a.status))...),
				get("/", lines...).want("run 2", append(forbidden, itoa(a.status), "!hit")...))}
	}
	at := func(path string, n int) step {
		return get(path).want("*", "Cache-Control: max-age="+itoa(n), "stored")
	}
	return []story{
		{name: "a setting is a lifetime, and clients see it", policy: record, expires: minute,
			runs:   1,
			origin: origin(says()), steps: steps(
				get("/").want("run 1", "stored", "Cache-Control: max-age=60", "Expires has GMT",
					"ETag has \"",
					"Last-Modified has GMT", "Vary has Authorization, Cookie"),
				get("/").want("run 1", "hit", "ttl ~ 60", "Cache-Control: max-age=60",
					"Expires has GMT", "ETag: {etag}"),
				get("/", "If-None-Match: {etag}").want("", "304", "hit",
					"Cache-Control: max-age=60"),
				head("/").want("", "hit", "Cache-Control: max-age=60"))},
		not("0 means uncacheable", off, says()),
		not("0 means uncacheable, whatever the answer says", off,
			says("Cache-Control: public, max-age=60", "Expires: {now+60}")),
		not("no setting and nothing said", expires(), says()),
		not("an error page is not kept by a setting", minute, code(500)),
		not("a setting is for the anonymous: Cookie", minute, says(), "Cookie: sid=alice"),
		not("a setting is for the anonymous: Authorization", minute, says(),
			"Authorization: Basic x"),
		{name: "an answer that speaks for itself", policy: record, expires: minute, runs: 1,
			origin: origin(says("Cache-Control: max-age=5")), steps: steps(
				get("/").want("run 1", "stored", "Cache-Control: max-age=5", "no Expires"))},
		{name: "an answer to credentials that speaks for itself", policy: record, expires: minute,
			runs:   1,
			origin: origin(says("Cache-Control: private, max-age=5")), steps: steps(
				get("/", "Cookie: sid=alice").want("run 1", "!stored", "Cache-Control: private, "+
					"max-age=5"))},
		{name: "an answer that speaks for itself with Expires", policy: record, expires: minute,
			runs:   1,
			origin: origin(says("Expires: {now+600}")), steps: steps(
				get("/").want("run 1", "stored", "no Cache-Control"), get("/").want("run 1", "hit",
					"ttl ~ 600"))},
		{name: "the most specific wins", policy: scoped, runs: 4, origin: origin(says()),
			expires: expires(seconds("record", 10), seconds("blog.record", 20),
				seconds("blog.articles.record", 30)), steps: steps(
				at("/shop/things", 10), at("/blog/pages", 20), at("/blog/articles", 30),
				at("/blog", 20))},
		{name: "the most specific wins, though it be 0", policy: scoped, runs: 1,
			origin:  origin(says()),
			expires: expires(seconds("record", 10), seconds("blog.articles.record", 0)),
			steps:   steps(get("/blog/articles").want("run 1", forbidden...))},
		{name: "the most specific wins in either spelling", policy: scoped, runs: 2,
			origin:  origin(says()),
			expires: expires(seconds("blog.record", 20), seconds("blog_articles_record", 30)),
			steps:   steps(at("/blog/articles", 30), at("/blog/pages", 20))},
		{name: "the environment goes before the file", policy: record,
			expires: expires(seconds("record", 10), environ("record", 20)), runs: 1,
			origin: origin(says()),
			steps:  steps(at("/", 20))},
		{name: "the environment alone suffices", policy: scoped,
			expires: expires(environ("blog_record", 20)), runs: 1,
			origin: origin(says()), steps: steps(at("/blog/x", 20))},
		{name: "the policy's own lifetime where nothing is set",
			policy: policy.Policy{Resource: "record", TTL: 40 * time.Second}, expires: expires(),
			runs:   1,
			origin: origin(says()), steps: steps(at("/", 40))},
		{name: "a setting goes before the policy's own lifetime",
			policy: policy.Policy{Resource: "record", TTL: 40 * time.Second}, expires: minute,
			runs:   1,
			origin: origin(says()), steps: steps(at("/", 60))},
		{name: "other methods are left alone", policy: record, expires: minute, runs: 1,
			origin: origin(says()), steps: steps(
				post("/").want("run 1", "no Cache-Control", "no Expires"))},
		{name: "a write invalidates", policy: record, expires: minute, runs: 3,
			origin: origin(says()), steps: steps(
				get("/").want("run 1"), request("PUT", "/").want("run 2"), get("/").want("run 3",
					"!hit"))},
	}
}

package cachetest

import (
	"io"
	"net/http"
	"sync"

	"github.com/freshet-go/freshet/policy"
)

// posts: an answer to POST that later GETs may have (RFC 9110 section 9.3.3).
func posts() []story {
	max := "Cache-Control: max-age=60"
	serves := func(name string, header ...string) story {
		return story{name: name, runs: 1, origin: origin(says(header...)), steps: steps(
			post("/a").want("run 1", "fwd=method"), get("/a").want("run 1", "hit"),
			head("/a").want("", "hit"))}
	}
	not := func(name string, p policy.Policy, a answer, word string, lines ...string) story {
		return story{name: name, policy: p, runs: 2, origin: origin(a, says(max)), steps: steps(
			post("/a", lines...).want("run 1", "fwd=method", "!stored", word),
			get("/a").want("run 2", "!hit"))}
	}
	none := policy.Policy{}
	return []story{
		serves("with a lifetime and its own Content-Location", max, "Content-Location: /a"),
		serves("with an absolute Content-Location", max, "Content-Location: http://site.example/a"),
		serves("with a relative Content-Location", max, "Content-Location: a"),
		not("without a Content-Location", none, says(max), "200"),
		not("with another Content-Location", none, says(max, "Content-Location: /b"), "200"),
		not("with the Content-Location of another host", none,
			says(max, "Content-Location: http://other.example/a"), "200"),
		not("without a lifetime of its own", policy.Policy{TTL: 60e9}, says("Content-Location: /a"),
			"200"),
		not("with another status", none, code(201, max, "Content-Location: /a"), "201"),
		not("with no-store", none, says("Cache-Control: no-store, max-age=60",
			"Content-Location: /a"), "200"),
		not("with a cookie", none, says(max, "Content-Location: /a", "Set-Cookie: a=b"), "200"),
		not("to a request with credentials", none, says(max, "Content-Location: /a"), "200",
			"Cookie: sid=alice"),
		not("with Vary", none, says(max, "Content-Location: /a", "Vary: X-A"), "200"),
		{name: "POST is never answered from the store", runs: 3,
			origin: origin(says(max, "Content-Location: /a")), steps: steps(
				get("/a").want("run 1"), post("/a").want("run 2", "!hit"), post("/a").want("run 3",
					"!hit"),
				get("/a").want("run 3", "hit"))},
		{name: "POST reaches the origin whole", runs: 1,
			origin: origin(does(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				io.WriteString(w, r.Method+" "+string(b))
			})), steps: steps(post("/").sending("hello").want("POST hello", "fwd=method"))},
	}
}

// invalidation: what a successful unsafe request makes unusable (RFC 9111 section 4.4).
func invalidation() (all []story) {
	fresh := says("Cache-Control: max-age=60")
	a := get("/a")
	drops := func(name string, unsafe step, answer answer, again step) story {
		return story{name: name, runs: 3, origin: origin(fresh, answer, fresh), steps: steps(
			again.want("run 1", "stored"), unsafe, again.want("run 3", "!hit", "stored"),
			again.want("run 3", "hit"))}
	}
	leaves := func(name string, unsafe step, answer answer, again step) story {
		return story{name: name, runs: 2, origin: origin(fresh, answer, fresh), steps: steps(
			again.want("run 1", "stored"), unsafe, again.want("run 1", "hit"))}
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "MKCOL", "FROBNICATE",
		"get"} {
		all = append(all, drops(method, request(method, "/a").want("run 2", "fwd=method",
			"fwd-status=200"), says(), a))
	}
	for _, method := range []string{"OPTIONS", "PROPFIND", "REPORT", "SEARCH", "QUERY"} {
		all = append(all, leaves(method+" is safe", request(method, "/a").want("run 2",
			"fwd=method"), says(), a))
	}
	put := request("PUT", "/a")
	for _, status := range []int{201, 204, 302, 303} {
		all = append(all, drops("answered with "+itoa(status), put.want("*", itoa(status)),
			code(status), a))
	}
	for _, status := range []int{400, 403, 404, 409, 412, 500, 503} {
		all = append(all, leaves("answered with "+itoa(status), put.want("*", itoa(status)),
			code(status), a))
	}
	b, other := get("/b"), get("/b", "Host: other.example")
	to := func(field, where string) answer { return code(201, field+": "+where) }
	for _, field := range []string{"Location", "Content-Location"} {
		all = append(all,
			drops(field, put.want("*", "201"), to(field, "/b"), b),
			drops(field+", relative", put.want("*", "201"), to(field, "b"), b),
			drops(field+", absolute", put.want("*", "201"), to(field, "http://site.example/b"), b),
			drops(field+", absolute with case and port", put.want("*", "201"),
				to(field, "http://SITE.example:80/b"), b),
			drops(field+" with a fragment", put.want("*", "201"), to(field, "/b#x"), b),
			leaves(field+" of another host", put.want("*", "201"),
				to(field, "http://other.example/b"), other),
			leaves(field+" of another host without a scheme", put.want("*", "201"),
				to(field, "//other.example/b"), other),
			leaves(field+" of another host, while ours has the same path", put.want("*", "201"),
				to(field, "http://other.example/b"), b),
			leaves(field+" of another port", put.want("*", "201"),
				to(field, "http://site.example:81/b"), b),
			leaves(field+" of another scheme", put.want("*", "201"),
				to(field, "https://site.example/b"), b),
			leaves(field+" with a user", put.want("*", "201"), to(field, "http://u@site.example/b"),
				b),
			leaves(field+" that is none", put.want("*", "201"), to(field, "http://[/b"), b),
			leaves(field+" with an error", put.want("*", "404"), code(404, field+": /b"), b),
		)
	}
	return append(all,
		leaves("another path", put.want("*"), says(), b),
		leaves("another query", put.want("*"), says(), get("/a?x")),
		leaves("another host", put.want("*"), says(), get("/a", "Host: other.example")),
		drops("in absolute-form", request("PUT", "http://site.example/a").want("*"), says(), a),
		story{name: "all variants", runs: 5,
			origin: origin(says("Cache-Control: max-age=60", "Vary: X-A")), steps: steps(
				get("/", "X-A: 1").want("run 1"), get("/", "X-A: 2").want("run 2"),
				post("/").want("run 3"),
				get("/", "X-A: 1").want("run 4", "!hit"), get("/", "X-A: 2").want("run 5", "!hit"),
				get("/", "X-A: 1").want("run 4", "hit"))},
		story{name: "all keys of the URL", runs: 5,
			policy: policy.Policy{Key: policy.KeyOptions{Headers: []string{"X-Tenant"}}},
			origin: origin(fresh), steps: steps(
				get("/", "X-Tenant: a").want("run 1"), get("/", "X-Tenant: b").want("run 2"),
				post("/").want("run 3"),
				get("/", "X-Tenant: a").want("run 4", "!hit"), get("/", "X-Tenant: b").want("run 5",
					"!hit"))},
		story{name: "what a forged host made", runs: 3, origin: origin(fresh), steps: steps(
			get("/", "X-Forwarded-Host: evil.example").want("run 1"), post("/").want("run 2"),
			get("/", "X-Forwarded-Host: evil.example").want("run 3", "!hit"))},
		story{name: "a key of the operator's", runs: 3,
			policy: policy.Policy{Key: policy.KeyOptions{Replace: func(r *http.Request) string {
				return r.URL.Path
			}}},
			origin: origin(fresh), steps: steps(
				get("/a?x").want("run 1"), request("DELETE", "/a?y").want("run 2"),
				get("/a?x").want("run 3", "!hit"))},
		story{name: "a sorted key", runs: 3,
			policy: policy.Policy{Key: policy.KeyOptions{SortQuery: true}},
			origin: origin(fresh), steps: steps(
				get("/?a=1&b=2").want("run 1"), request("DELETE", "/?b=2&a=1").want("run 2"),
				get("/?a=1&b=2").want("run 3", "!hit"))},
		story{name: "a stale answer is not served after it", runs: 3,
			origin: origin(says("Cache-Control: max-age=60, stale-while-revalidate=600", "Age: 90"),
				says(),
				fresh), steps: steps(
				get("/").want("run 1", "stored"), post("/").want("run 2"), get("/").want("run 3",
					"!hit"))},
		story{name: "a stale answer does not stand in for an error after it", runs: 3,
			origin: origin(says("Cache-Control: max-age=60, stale-if-error=600", "Age: 90"), says(),
				code(500)), steps: steps(
				get("/").want("run 1", "stored"), post("/").want("run 2"), get("/").want("run 3",
					"500"))},
		story{name: "it beats a run that is on its way", runs: 3, play: func(g *stage) {
			k := newGate()
			old := does(func(w http.ResponseWriter, r *http.Request) {
				k.wait()
				lives60(w)
				io.WriteString(w, "old")
			})
			g.origin.script = origin(old, says(), says("Cache-Control: max-age=60"))
			var first sync.WaitGroup
			first.Go(func() {
				g.take("the one that reads", get("/").want("old", "!stored", "detail=outdated"))
			})
			g.arrived(k)
			g.take("the one that writes", post("/").want("run 2"))
			g.take("one who asks after the write", get("/").want("run 3", "!shared"))
			k.release()
			first.Wait()
			g.take("a later one", get("/").want("run 3", "hit"))
		}},
		story{name: "it beats a run that streams", runs: 3, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(streamed(k), says(), says("Cache-Control: max-age=60"))
			first := dial(g, g.address, get("/"))
			first.head("GET")
			g.take("the one that writes", post("/").want("run 2"))
			g.take("one who asks after the write", get("/").want("run 3", "!shared"))
			k.release()
			if got := first.rest(); got.body != "first, last" || got.err != nil {
				g.Errorf("the one that reads got %q %v", got.body, got.err)
			}
			g.take("a later one", get("/").want("run 3", "hit"))
		}},
	)
}

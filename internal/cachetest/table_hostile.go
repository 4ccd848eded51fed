package cachetest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/freshettest"
	"github.com/freshet-go/freshet/policy"
)

// hostile: input that nobody sends who means well.
func hostile() []story {
	page := says("Cache-Control: max-age=60", `ETag: "a"`)
	junk := func(n int) string { return strings.Repeat(`"x",`, n/4) }
	serves := func(name string, status string, lines ...string) story {
		return story{name: name, runs: 1, origin: origin(page), steps: steps(
			get("/").want("run 1", "stored"), get("/", lines...).want("*", status, "hit"))}
	}
	huge := "/?" + strings.Repeat("a=b&", 225<<10)
	return []story{
		{name: "a query of almost a megabyte passes", runs: 2, origin: origin(page), steps: steps(
			get(huge).want("run 1", "fwd=bypass", "detail=key-too-long"), get(huge).want("run 2",
				"!hit"))},
		{name: "a query of almost a megabyte, sorted", runs: 1,
			policy: policy.Policy{Key: policy.KeyOptions{SortQuery: true,
				DropParams: []string{"a*"}}},
			origin: origin(page), steps: steps(
				get(huge).want("run 1", "fwd=bypass", "detail=key-too-long"))},
		{name: "a write to it passes", runs: 1, origin: origin(page),
			steps: steps(post(huge).want("run 1", "!stored"))},
		{name: "a query of 32 KiB is a key", runs: 1, origin: origin(page), steps: steps(
			get("/?"+big[:32<<10]).want("run 1", "stored"), get("/?"+big[:32<<10]).want("run 1",
				"hit"))},
		{name: "many parameters, sorted", runs: 1,
			policy: policy.Policy{Key: policy.KeyOptions{SortQuery: true}},
			origin: origin(page), steps: steps(
				get("/?"+strings.Repeat("b&a&", 5000)).want("run 1", "stored"),
				get("/?"+strings.Repeat("b&a&", 5000)).want("run 1", "hit"))},
		serves("a huge field that nothing names", "200", "X-Big: "+strings.Repeat("x", 500<<10)),
		serves("a huge If-None-Match", "200", "If-None-Match: "+junk(500<<10)),
		serves("a huge If-None-Match that has it", "304", "If-None-Match: "+junk(400<<10)+`"a"`),
		serves("a huge If-None-Match of open quotes", "200", "If-None-Match: "+
			strings.Repeat(`W/",`, 100<<10)),
		serves("a huge If-Modified-Since", "200", "If-Modified-Since: "+strings.Repeat("Sun, ",
			100<<10)),
		serves("a hundred thousand ranges", "200", "Range: bytes="+strings.Repeat("0-0,", 100<<10)+
			"1-1"),
		serves("a huge range of commas", "200", "Range: bytes="+strings.Repeat(",", 400<<10)),
		serves("a huge range of digits", "416", "Range: bytes="+strings.Repeat("9", 400<<10)+"-"),
		serves("a huge If-Range", "200", "Range: bytes=0-1", "If-Range: "+junk(400<<10)),
		serves("a huge Pragma beside Cache-Control", "200", "Cache-Control: x",
			"Pragma: "+junk(400<<10)),
		{name: "a huge Cache-Control is no reason to wait", runs: 2, origin: origin(page),
			steps: steps(
				get("/").want("run 1"),
				get("/", "Cache-Control: "+strings.Repeat("a,", 200<<10)).want("run 2",
					"!stored"))},
		{name: "a huge Accept-Encoding is a variant", runs: 2,
			origin: origin(says("Cache-Control: max-age=60", "Vary: Accept-Encoding")),
			steps: steps(
				get("/", "Accept-Encoding: "+strings.Repeat("gzip,", 50<<10)).want("run 1",
					"stored"),
				get("/", "Accept-Encoding: gzip").want("run 2", "!hit"),
				get("/", "Accept-Encoding: "+strings.Repeat("gzip,", 50<<10)).want("run 1",
					"hit"))},
		{name: "a huge field in Vary is a variant", runs: 2,
			origin: origin(says("Cache-Control: max-age=60", "Vary: X-A")), steps: steps(
				get("/", "X-A: "+big).want("run 1", "stored"),
				get("/", "X-A: "+big+"!").want("run 2", "!hit"),
				get("/", "X-A: "+big).want("run 1", "hit"))},
		refused("a huge Cache-Control", "no-store", says("Cache-Control: max-age=60,"+
			strings.Repeat(" a,", 100<<10))),
		refused("a huge Vary", "vary-star", says("Cache-Control: max-age=60",
			"Vary: "+strings.Repeat("A,", 100<<10))),
		refused("a huge Age", "expired", says("Cache-Control: max-age=60",
			"Age: "+strings.Repeat("9", 100<<10))),
		kept("a huge Age of junk", says("Cache-Control: max-age=60", "Age: "+strings.Repeat("x",
			100<<10))),
		refused("a huge Expires", "expired", says("Expires: "+strings.Repeat("Sun, ", 20<<10))),
		lives("a huge targeted field of junk", 60, "Cache-Control: max-age=60",
			"CDN-Cache-Control: "+strings.Repeat("=", 4<<10)),
		{name: "line ends in an answer's field split nothing", runs: 1,
			origin: origin(does(func(w http.ResponseWriter, r *http.Request) {
				lives60(w)
				w.Header()["X-A"] = []string{"a\r\nX-Injected: 1\r\n\r\nbody"}
				io.WriteString(w, "page")
			})), steps: steps(get("/").want("page", "no X-Injected"), get("/").want("page", "hit",
				"no X-Injected"))},
		{name: "line ends in Location reach no other key", runs: 3,
			origin: origin(page, does(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Location"] = []string{"/b\r\nX-Injected: 1"}
			})), steps: steps(
				get("/b").want("run 1"), post("/a").want("", "no X-Injected"),
				get("/b").want("run 1", "hit"),
				get("/c").want("*"))},
		{name: "a very long Location", runs: 2,
			origin: origin(page, says("Location: /"+strings.Repeat("x", 200<<10))), steps: steps(
				get("/b").want("run 1"), post("/a").want("run 2"), get("/b").want("run 1", "hit"))},
		{name: "an oversized header that the origin refuses does not stay (CPDoS)", runs: 2,
			policy: policy.Policy{TTL: time.Minute, Heuristic: true},
			origin: origin(code(400), says()),
			steps: steps(get("/", "X-Big: "+big).want("run 1", "400", "!stored"),
				get("/").want("run 2"))},
		{name: "a personal page under a name that looks static (deception)", runs: 2,
			policy: policy.Policy{TTL: time.Minute, Heuristic: true}, origin: origin(says()),
			steps: steps(
				get("/account/x.css", "Cookie: sid=alice").want("run 1", "!stored"),
				get("/account/x.css").want("run 2", "!hit"))},
		{name: "a flood of targets stays within the store's bound", runs: 600, bound: 1 << 20,
			play: func(g *stage) {
				g.origin.script = origin(page.saying(big[:8<<10]))
				for i := range 600 {
					freshettest.Miss(g, freshettest.Get(g, g.handler, fmt.Sprintf("/?%d", i)))
				}
				if n := g.store.Bytes(); n > 1<<20 {
					g.Errorf("the store holds %d bytes, more than its bound", n)
				}
			}},
		{name: "a body that nobody reads is no request (CVE-2022-23959)", runs: 2,
			origin: origin(says(), page),
			play: func(g *stage) {
				inner := "GET /smuggled HTTP/1.1\r\nHost: site.example\r\n\r\n"
				w := dial(g, g.address, post("/").sending(inner))
				w.head("POST")
				if got := w.rest(); got.body != "run 1" {
					g.Errorf("the answer is %q %v", got.body, got.err)
				}
				g.take("the smuggled target", get("/smuggled").want("run 2", "fwd=uri-miss"))
			}},
		{name: "many targets, one after the other", runs: 200, origin: origin(page),
			play: func(g *stage) {
				for i := range 200 {
					g.take("a target", get(fmt.Sprintf("/?%d", i)).want(fmt.Sprintf("run %d", i+1),
						"stored"))
				}
			}},
	}
}

// http2: the same over HTTP/2 and TLS.
func http2() (all []story) {
	page := says("Cache-Control: max-age=60")
	all = []story{
		{name: "miss, hit, 304, 206, HEAD", runs: 1, origin: origin(page), steps: steps(
			get("/").want("run 1", "fwd=uri-miss", "stored", "ETag has \""),
			get("/").want("run 1", "hit", "Age ~ 0", "ETag: {etag}"),
			get("/", "If-None-Match: {etag}").want("", "304", "hit"),
			get("/", "Range: bytes=0-2").want("run", "206", "hit"),
			head("/").want("", "hit", "Content-Length: 5"))},
		{name: "a long body", runs: 1, origin: origin(page.saying(big)),
			steps: steps(get("/").want(big), get("/").want(big, "shared"))},
		{name: "a write", runs: 3, origin: origin(page),
			steps: steps(get("/").want("run 1"), post("/").want("run 2"), get("/").want("run 3",
				"!hit"))},
		{name: "an abort", runs: 2, origin: origin(does(func(w http.ResponseWriter,
			r *http.Request) {
			lives60(w)
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}), page), steps: steps(get("/").want("*", "cut"), get("/").want("run 2", "!hit"))},
		{name: "stale while it is refreshed", runs: 2,
			origin: origin(says("Cache-Control: max-age=60, stale-while-revalidate=60", "Age: 90"),
				page), steps: steps(
				get("/").want("run 1"), get("/").want("run 1", "hit", "ttl ~ -30"),
				get("/").want("run 2", "hit").eventually())},
		{name: "trailers", runs: 1, origin: origin(does(func(w http.ResponseWriter,
			r *http.Request) {
			lives60(w)
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "body")
			w.Header().Set("X-Sum", "4")
		})), play: func(g *stage) {
			for _, word := range []string{"fwd=uri-miss",
				"hit"} { // of a stream without a length, nothing is said before its end
				if got := g.take(word, get("/").want("body", word)); got.trailer.Get("X-Sum") != "4" {
					g.Errorf("%s: trailer %v, want X-Sum: 4", word, got.trailer)
				}
			}
		}},
	}
	for i := range all {
		all[i].http2 = true
	}
	return all
}

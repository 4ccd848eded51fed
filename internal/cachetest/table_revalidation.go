package cachetest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// revalidation: what is stored is confirmed and updated by a 304 (RFC 9111 sections 3.2, 4.3.1 to
// 4.3.4).
func revalidation() []story {
	old := []string{"Cache-Control: max-age=60", "Age: 90", `ETag: "a"`, "X-A: 1", "X-B: 1"}
	dated := []string{"Cache-Control: max-age=60", "Age: 90", "Last-Modified: Sun, 06 Nov 1994 " +
		"08:49:37 GMT"}
	// whole fails when the request has conditions.
	whole := does(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=100")
		for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Range", "Range"} {
			if v := r.Header[name]; v != nil {
				w.WriteHeader(http.StatusTeapot)
				fmt.Fprintf(w, "%s: %q", name, v)
				return
			}
		}
		w.Write([]byte("whole"))
	})
	return []story{
		{name: "a 304 makes it fresh and updates its header", runs: 2,
			origin: origin(says(old...), validates(`"a"`, "Cache-Control: max-age=100", `ETag: "a"`,
				"X-A: 2")),
			steps: steps(
				get("/").want("run 1", "stored", "Age: 90"),
				get("/").want("run 1", "fwd=stale", "fwd-status=304", "stored", "X-A: 2", "X-B: 1",
					"Cache-Control: max-age=100"),
				get("/").want("run 1", "hit", "X-A: 2", "X-B: 1", "ttl ~ 100", "Age ~ 0"))},
		{name: "a 304 without a tag speaks of the one that was asked about", runs: 2,
			origin: origin(says(old...), validates(`"a"`, "Cache-Control: max-age=100")),
			steps: steps(
				get("/").want("run 1"), get("/").want("run 1", "fwd-status=304", `ETag: "a"`),
				get("/").want("run 1", "hit"))},
		{name: "a 304 does not describe the content anew", runs: 2,
			origin: origin(says(old...),
				validates(`"a"`, "Cache-Control: max-age=100", "Content-Encoding: br",
					"Content-Range: bytes 0-1/2")), steps: steps(
				get("/").want("run 1"), get("/").want("run 1", "no Content-Encoding",
					"no Content-Range"),
				get("/").want("run 1", "hit", "no Content-Encoding", "Content-Length: 5"))},
		{name: "a 304 that speaks of another tag is no answer", runs: 3,
			origin: origin(says(old...), code(304, `ETag: "b"`, "Cache-Control: max-age=100"),
				whole), steps: steps(
				get("/").want("run 1"), get("/").want("whole", "fwd=stale", "fwd-status=200"),
				get("/").want("whole", "hit"))},
		{name: "a 304 that forbids storing", runs: 3,
			origin: origin(says(old...), code(304, `ETag: "a"`, "Cache-Control: no-store"),
				says("Cache-Control: max-age=60")), steps: steps(
				get("/").want("run 1"), get("/").want("run 1", "!stored",
					"Cache-Control: no-store"),
				get("/").want("run 3", "!hit"))},
		{name: "a cookie that comes with a 304 is its client's alone", runs: 3,
			origin: origin(says(old...), code(304, `ETag: "a"`, "Cache-Control: max-age=60",
				"Set-Cookie: sid=alice"),
				says("Cache-Control: max-age=60")), steps: steps(
				get("/").want("run 1"), get("/").want("run 1", "!stored", "Set-Cookie: sid=alice"),
				get("/").want("run 3", "!hit", "no Set-Cookie"))},
		{name: "a 200 takes its place", runs: 2,
			origin: origin(says(old...), says("Cache-Control: max-age=100", `ETag: "b"`)),
			steps: steps(
				get("/").want("run 1"), get("/").want("run 2", "fwd=stale", "stored", `ETag: "b"`,
					"no X-A"),
				get("/").want("run 2", "hit"))},
		{name: "a 404 takes its place", runs: 2,
			origin: origin(says(old...), code(404, "Cache-Control: max-age=100")), steps: steps(
				get("/").want("run 1"), get("/").want("run 2", "404", "stored"),
				get("/").want("run 2", "404", "hit"))},
		{name: "an error is passed on and leaves it to be asked about", runs: 3,
			origin: origin(says(old...), code(500), validates(`"a"`, "Cache-Control: max-age=100")),
			steps: steps(
				get("/").want("run 1"), get("/").want("run 2", "500", "fwd=stale", "!stored"),
				get("/").want("run 1", "fwd-status=304"), get("/").want("run 1", "hit"))},
		{name: "a weak tag asks as well", runs: 2,
			origin: origin(says("Cache-Control: max-age=60", "Age: 90", `ETag: W/"a"`),
				validates(`W/"a"`, `ETag: W/"a"`, "Cache-Control: max-age=60")), steps: steps(
				get("/").want("run 1"), get("/").want("run 1", "fwd-status=304"),
				get("/").want("run 1", "hit"))},
		{name: "Last-Modified asks as well", runs: 2,
			origin: origin(says(dated...), does(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				if r.Header.Get("If-Modified-Since") == "Sun, 06 Nov 1994 08:49:37 GMT" &&
					r.Header["If-None-Match"] == nil {
					w.WriteHeader(http.StatusNotModified)
				}
			})), steps: steps(
				get("/").want("run 1"), get("/").want("run 1", "fwd-status=304"),
				get("/").want("run 1", "hit"))},
		{name: "the client's own conditions do not reach the origin in their place", runs: 2,
			origin: origin(says(old...), validates(`"a"`, "Cache-Control: max-age=100")),
			steps: steps(
				get("/").want("run 1"),
				get("/", `If-None-Match: "z"`, "If-Modified-Since: {now}").want("run 1",
					"fwd-status=304"))},
		{name: "validators that the cache made do not reach the origin", runs: 2,
			policy: policy.Policy{StaleIfError: time.Hour},
			origin: origin(says("Cache-Control: max-age=60", "Age: 90"), whole), steps: steps(
				get("/").want("run 1", "stored"), get("/").want("whole", "fwd=stale"))},
		{name: "a Range on a stale answer is judged after it was confirmed", runs: 2,
			origin: origin(says(old...), validates(`"a"`, "Cache-Control: max-age=100")),
			steps: steps(
				get("/").want("run 1"),
				get("/", "Range: bytes=0-2").want("run", "206", "fwd-status=304",
					"Content-Range: bytes 0-2/5"))},
		{name: "each variant is confirmed for itself", runs: 3,
			origin: origin(says(append(old, "Vary: X-V")...),
				says(`ETag: "b"`, "Age: 90", "Cache-Control: max-age=60", "Vary: X-V"),
				validates(`"a"`, "Cache-Control: max-age=100")), steps: steps(
				get("/", "X-V: 1").want("run 1"), get("/", "X-V: 2").want("run 2"),
				get("/", "X-V: 1").want("run 1", "fwd-status=304"), get("/", "X-V: 1").want("run 1",
					"hit"))},
	}
}

// heads: HEAD from what is stored for GET, and what an origin's answer to HEAD means for that (RFC
// 9111 section 4.3.5).
func heads() []story {
	old := []string{"Cache-Control: max-age=60", "Age: 90", `ETag: "a"`, "X-A: 1"}
	asks := func(name string, answer answer, words ...string) story {
		return story{name: name, runs: 3,
			origin: origin(says(old...), answer, says("Cache-Control: max-age=60")), steps: steps(
				get("/").want("run 1", "stored"), head("/").want("", words...),
				get("/").want("run 3", "!hit"))}
	}
	return []story{
		{name: "HEAD from a stored GET", runs: 1,
			origin: origin(says("Cache-Control: max-age=60", "X-A: 1")), steps: steps(
				get("/").want("run 1"), head("/").want("", "hit", "Content-Length: 5", "X-A: 1",
					"Age ~ 0"))},
		{name: "HEAD stores nothing for GET", runs: 2,
			origin: origin(says("Cache-Control: max-age=60", "Content-Length: 5")), steps: steps(
				head("/").want("", "!stored", "Content-Length: 5"), get("/").want("run 2",
					"fwd=uri-miss", "stored"))},
		{name: "HEAD that a stale GET is updated by", runs: 2,
			origin: origin(says(old...),
				says("Cache-Control: max-age=100", `ETag: "a"`, "X-A: 2", "Content-Length: 5")),
			steps: steps(
				get("/").want("run 1"), head("/").want("", "fwd=stale", "X-A: 2"),
				get("/").want("run 1", "hit", "X-A: 2", "ttl ~ 100", "Content-Length: 5"))},
		asks("HEAD with another tag", says("Cache-Control: max-age=60", `ETag: "b"`)),
		asks("HEAD with another length", says("Cache-Control: max-age=60", `ETag: "a"`,
			"Content-Length: 6")),
		asks("HEAD that finds nothing", code(404), "404"),
		asks("HEAD that finds it gone", code(410), "410"),
		{name: "HEAD without validators updates nothing", runs: 3,
			origin: origin(says(old...), says("Cache-Control: max-age=100"),
				validates(`"a"`, "Cache-Control: max-age=60")), steps: steps(
				get("/").want("run 1"), head("/").want(""), get("/").want("run 1",
					"fwd-status=304"))},
		{name: "HEAD that fails leaves what is stored", runs: 3,
			origin: origin(says(old...), code(503), validates(`"a"`, "Cache-Control: max-age=60")),
			steps: steps(
				get("/").want("run 1"), head("/").want("", "503"), get("/").want("run 1",
					"fwd-status=304"))},
		{name: "HEAD past a fresh GET", runs: 2,
			origin: origin(says("Cache-Control: max-age=60", `ETag: "a"`, "X-A: 1"),
				says("Cache-Control: max-age=100", `ETag: "a"`, "X-A: 2", "Content-Length: 5")),
			steps: steps(
				get("/").want("run 1"), head("/", "Cache-Control: no-cache").want("",
					"fwd=request"),
				get("/").want("run 1", "hit", "X-A: 2"))},
	}
}

// stale: serving what is no longer fresh (RFC 5861, RFC 9111 section 4.2.4).
func stale() []story {
	grace := []string{"Cache-Control: max-age=60, stale-while-revalidate=60", "Age: 90"}
	fresh := says("Cache-Control: max-age=100")
	behind := func(name string, p policy.Policy, header ...string) story {
		return story{name: name, policy: p, runs: 2, origin: origin(says(header...), fresh),
			steps: steps(
				get("/").want("run 1", "stored"),
				get("/").want("run 1", "hit", "ttl ~ -30", "Age ~ 90"),
				get("/").want("run 2", "hit", "ttl ~ 100").eventually())}
	}
	waits := func(name string, p policy.Policy, header ...string) story {
		return story{name: name, policy: p, runs: 2, origin: origin(says(header...), fresh),
			steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 2", "fwd=stale", "stored"))}
	}
	instead := func(name string, p policy.Policy, failure answer, header ...string) story {
		return story{name: name, policy: p, runs: 2, origin: origin(says(header...), failure),
			steps: steps(
				get("/").want("run 1", "stored"),
				get("/").want("run 1", "fwd=stale", "!stored", "Age ~ 90", "no X-Failed"))}
	}
	fails := func(name string, p policy.Policy, failure answer, word string,
		header ...string) story {
		return story{name: name, policy: p, runs: 2, origin: origin(says(header...), failure),
			steps: steps(
				get("/").want("run 1", "stored"), get("/").want("*", word))}
	}
	none := policy.Policy{}
	onError := []string{"Cache-Control: max-age=60, stale-if-error=60", "Age: 90"}
	tagged := []string{"Cache-Control: max-age=60", "Age: 90", `ETag: "a"`}
	all := []story{
		behind("stale-while-revalidate", none, grace...),
		behind("stale-while-revalidate of the operator",
			policy.Policy{StaleWhileRevalidate: time.Minute},
			"Cache-Control: max-age=60", "Age: 90"),
		behind("stale-while-revalidate of a targeted field", none,
			"CDN-Cache-Control: max-age=60, stale-while-revalidate=60", "Cache-Control: no-store",
			"Age: 90"),
		{name: "max-age=0 with a stale-while-revalidate of its own", runs: 2,
			origin: origin(says("Cache-Control: max-age=0, stale-while-revalidate=60", "Age: 30"),
				fresh), steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 1", "hit", "ttl ~ -30"),
				get("/").want("run 2", "hit").eventually())},
		waits("past stale-while-revalidate", none, "Cache-Control: max-age=60, "+
			"stale-while-revalidate=60",
			"Age: 200", `ETag: "a"`),
		waits("stale-while-revalidate that is no number", none, "Cache-Control: max-age=60, "+
			"stale-while-revalidate=x",
			"Age: 90", `ETag: "a"`),
		waits("the answer's own goes before the operator's",
			policy.Policy{StaleWhileRevalidate: time.Hour},
			"Cache-Control: max-age=60, stale-while-revalidate=0", "Age: 90", `ETag: "a"`),
		waits("the operator's does not make up for max-age=0",
			policy.Policy{StaleWhileRevalidate: time.Hour},
			"Cache-Control: max-age=0", `ETag: "a"`),
		waits("nothing said", none, tagged...),
		{name: "a refresh that fails leaves the stale answer until one succeeds", runs: 3,
			origin: origin(says("Cache-Control: max-age=60, stale-while-revalidate=600", "Age: 90"),
				code(500),
				fresh), steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 1", "hit"),
				get("/").want("run 3", "hit").eventually())},
		{name: "a refresh confirms", runs: 2,
			origin: origin(says(append(grace, `ETag: "a"`)...),
				validates(`"a"`, "Cache-Control: max-age=100")), steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 1", "hit", "ttl ~ -30"),
				get("/").want("run 1", "hit", "ttl ~ 100").eventually())},
		{name: "a refresh asks for all, whatever its client asked for", runs: 2,
			origin: origin(says(append(grace, "Content-Length: 5")...), fresh), steps: steps(
				get("/").want("run 1", "stored"),
				get("/", "Range: bytes=0-2").want("run", "206", "hit"),
				get("/").want("run 2", "hit").eventually())},
		{name: "HEAD within grace", runs: 2, origin: origin(says(grace...), fresh), steps: steps(
			get("/").want("run 1", "stored"), head("/").want("", "hit", "ttl ~ -30"),
			get("/").want("run 2", "hit").eventually())},
		{name: "304 within grace", runs: 2, origin: origin(says(append(grace, `ETag: "a"`)...),
			fresh), steps: steps(
			get("/").want("run 1", "stored"), get("/", `If-None-Match: "a"`).want("", "304", "hit"),
			get("/").want("run 2", "hit").eventually())},
		{name: "one refresh for many who ask", runs: 2, origin: origin(says(grace...), fresh),
			steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 1", "hit"), get("/").want("*",
					"shared"),
				get("/").want("*", "shared"), get("/").want("run 2", "hit").eventually())},

		fails("past stale-if-error", none, code(500), "500", "Cache-Control: max-age=60, "+
			"stale-if-error=60",
			"Age: 200", `ETag: "a"`),
		fails("an error with nothing that allows a stale answer", none, code(500), "500",
			tagged...),
		fails("stale-if-error does not cover a 404", none, code(404), "404", onError...),
		fails("stale-if-error does not cover a 501", none, code(501), "501", onError...),
		instead("stale-if-error of the operator", policy.Policy{StaleIfError: time.Minute},
			code(503, "X-Failed: 1"),
			"Cache-Control: max-age=60", "Age: 90"),
		instead("an origin that is lost, with stale-if-error", none, lost(), onError...),
		instead("an origin that is lost, within what is kept", none, lost(), tagged...),
		fails("an origin that is lost, past what is kept",
			policy.Policy{Retention: 10 * time.Second}, lost(),
			"cut", tagged...),
		{name: "an origin that is lost when a client forces the cache: what is fresh stands in",
			runs:   2,
			origin: origin(says("Cache-Control: max-age=1000", `ETag: "a"`), lost()), steps: steps(
				get("/").want("run 1", "stored"), get("/", "Cache-Control: no-cache").want("run 1",
					"fwd=request"))},
	}
	for _, status := range []int{500, 502, 503, 504} {
		all = append(all,
			instead(fmt.Sprintf("stale-if-error in the place of a %d", status), none,
				code(status, "X-Failed: 1"), onError...))
	}
	return all
}

// lost is an origin that breaks the connection without an answer.
func lost() answer {
	return does(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

// staleForbidden: what forbids serving stale forbids it in every case (RFC 9111 section 4.2.4).
func staleForbidden() (all []story) {
	for _, words := range []string{
		"max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60",
		"no-cache, max-age=60",
		"max-age=60, must-revalidate=1",
		"s-maxage=60, proxy-revalidate",
	} {
		grace := ", stale-while-revalidate=600"
		if words == "s-maxage=60" {
			grace = "" // its own would count; the policy's does not
		}
		header := []string{"Cache-Control: " + words + grace + ", stale-if-error=600", "Age: 90",
			`ETag: "a"`}
		p := policy.Policy{StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour,
			Retention: time.Hour}
		all = append(all,
			story{name: words + ": no grace", policy: p, runs: 2,
				origin: origin(says(header...), says("Cache-Control: max-age=60")), steps: steps(
					get("/").want("run 1", "stored"), get("/").want("run 2", "fwd=stale"))},
			story{name: words + ": not in the place of an error", policy: p, runs: 2,
				origin: origin(says(header...), code(500)), steps: steps(
					get("/").want("run 1", "stored"), get("/").want("run 2", "500"))},
			story{name: words + ": not when the origin is lost", policy: p, runs: 2,
				origin: origin(says(header...), lost()), steps: steps(
					get("/").want("run 1", "stored"), get("/").want("*", "cut"))})
	}
	return all
}

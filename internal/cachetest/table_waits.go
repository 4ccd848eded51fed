package cachetest

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// soon is a bound that is over before the origin answers, since the story holds that back.
const soon = 30 * time.Millisecond

// held is an answer that waits at a gate.
func held(k gate, a answer) answer {
	return does(func(w http.ResponseWriter, r *http.Request) {
		k.wait()
		(&scripted{script: origin(a)}).ServeHTTP(w, r)
	})
}

// oldPage is a response that is stale when it comes, and that may stand in for an error.
func oldPage(directives string) answer {
	return says("Cache-Control: max-age=60, stale-if-error=600"+directives, "Age: 90", `ETag: "old"`).
		saying("old")
}

// waits: an origin that is slow or sick, and what clients get of it who do not wait for long.
func waits() []story {
	fresh := says("Cache-Control: max-age=60").saying("new")
	return []story{
		{name: "the origin is slow, and what is stale is served meanwhile", runs: 2,
			policy: policy.Policy{SoftTimeout: soon}, play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(oldPage(""), held(k, fresh))
				g.take("the first", get("/").want("old"))
				for range 3 {
					g.take("one who does not wait", get("/").want("old", "fwd=stale",
						"detail=soft-timeout", "Age ~ 90", "!stored"))
				}
				g.take("one for HEAD", head("/").want("", "detail=soft-timeout"))
				g.take("one for a part", get("/", "Range: bytes=1-").want("ld", "206",
					"detail=soft-timeout"))
				g.take("one who has it", get("/", `If-None-Match: "old"`).want("", "304",
					"detail=soft-timeout"))
				k.release()
				g.take("a later one", get("/").want("new", "hit").eventually())
			}},
		{name: "what must be revalidated is waited for", runs: 2,
			policy: policy.Policy{SoftTimeout: soon}, play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(oldPage(", must-revalidate"), held(k, fresh))
				g.take("the first", get("/").want("old"))
				time.AfterFunc(5*soon, k.release)
				g.take("one who waits", get("/").want("new", "fwd=stale"))
			}},
		{name: "a client that insists waits for the origin", runs: 2,
			policy: policy.Policy{SoftTimeout: soon}, play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(oldPage(""), held(k, fresh))
				g.take("the first", get("/").want("old"))
				time.AfterFunc(5*soon, k.release)
				g.take("a reload", get("/", "Cache-Control: no-cache").want("new"))
			}},
		{name: "an origin that hangs, and nothing stored: 504, and the page later", runs: 1,
			policy: policy.Policy{HardTimeout: soon}, play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(held(k, fresh))
				for range 3 {
					g.take("one who does not wait", get("/").want("*", "504", "detail=hard-timeout",
						"Cache-Control: no-store", "!stored"))
				}
				k.release()
				g.take("a later one", get("/").want("new", "hit").eventually())
			}},
		{name: "an error behind HardTimeout is its client's, after one run", runs: 1,
			policy: policy.Policy{HardTimeout: time.Minute},
			origin: origin(code(500).saying("sick")), steps: steps(get("/").want("sick", "500", "!stored"))},
		{name: "no more runs at once than MaxRuns: 503, and a hit needs none", runs: 3,
			policy: policy.Policy{MaxRuns: 1, MaxWait: soon}, play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(fresh, held(k, fresh), fresh)
				g.take("the first", get("/stored").want("new", "stored"))
				first := dial(g, g.address, get("/slow"))
				g.arrived(k)
				g.take("one without a place", get("/other").want("*", "503", "detail=busy",
					"Retry-After: 30", "Cache-Control: no-store"))
				g.take("a hit", get("/stored").want("new", "hit"))
				k.release()
				first.head("GET")
				if got := first.rest(); got.body != "new" {
					g.Errorf("the one with a place got %q", got.body)
				}
				g.take("when the place is free", get("/other").want("new", "stored").eventually())
			}},
		{name: "runs that hang have all places: what is stale is served at once", runs: 2,
			policy: policy.Policy{MaxRuns: 1, SoftTimeout: soon}, play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(oldPage(""), held(k, fresh))
				g.take("the first", get("/").want("old"))
				g.take("one who waits", get("/").want("old", "detail=soft-timeout"))
				busy := []string{"hit", "detail=busy", "ttl ~ -30", "Age ~ 90"}
				g.take("one who does not", get("/").want("old", busy...).eventually())
				g.take("one for HEAD", head("/").want("", busy...))
				g.take("one for a part", get("/", "Range: bytes=1-").want("ld", append(busy, "206")...))
				g.take("one who has it", get("/", `If-None-Match: "old"`).want("", append(busy, "304")...))
				k.release()
				g.take("a later one", get("/").want("new", "hit").eventually())
			}},
		{name: "who waits for a place gets it in turn", runs: 5,
			policy: policy.Policy{MaxRuns: 1}, play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
					k.wait()
					lives60(w)
					io.WriteString(w, r.URL.Path)
				}))
				done := make(chan struct{})
				for i := range 5 {
					go func() {
						path := fmt.Sprintf("/%d", i)
						g.take("a client", get(path).want(path, "stored"))
						done <- struct{}{}
					}()
				}
				g.arrived(k)
				k.release()
				for range 5 {
					<-done
				}
			}},
	}
}

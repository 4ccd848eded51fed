package cachetest

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// handlerTable is what every mount of handlers must do: what a server between the cache and its
// origin would hide.
func handlerTable() []chapter {
	return []chapter{{"handlers", handlers()}}
}

func handlers() []story {
	max := "Cache-Control: max-age=60"
	speaks := func(say func(*middleware.Response), header ...string) answer {
		return does(func(w http.ResponseWriter, r *http.Request) {
			say(middleware.FromContext(r.Context()))
			for _, line := range header {
				w.Header().Set("Cache-Control", line[len("Cache-Control: "):])
			}
			io.WriteString(w, "page")
		})
	}
	return []story{
		{name: "a body longer than declared is not stored", runs: 2,
			origin: origin(does(func(w http.ResponseWriter, r *http.Request) {
				lives60(w)
				w.Header().Set("Content-Length", "4")
				io.WriteString(w, "page")
				if _, err := io.WriteString(w, " and more"); err != http.ErrContentLength {
					panic("the handler was not told that it wrote too much")
				}
			}), says(max)), play: func(g *stage) {
				if got := ask(g, g.address, get("/")); got.err == nil && got.body != "page" {
					g.Errorf("the first client took %q for complete", got.body)
				}
				g.take("the second", get("/").want("run 2", "!hit", "stored"))
			}},
		{name: "a handler that says no", runs: 2,
			origin: origin(speaks((*middleware.Response).NoStore, max)), steps: steps(
				get("/").want("page", "!stored", "detail=handler", "Cache-Control: max-age=60"),
				get("/").want("page", "!hit"))},
		{name: "a handler that names a lifetime", runs: 1,
			origin: origin(speaks(func(s *middleware.Response) { s.SetTTL(time.Hour) })),
			steps: steps(
				get("/").want("page", "stored"), get("/").want("page", "hit", "ttl ~ 3600"))},
		{name: "a handler that fails is stood in for", runs: 2,
			origin: origin(says(max, "Age: 90", `ETag: "a"`),
				does(func(w http.ResponseWriter, r *http.Request) {
					middleware.FromContext(r.Context()).Fail(errors.New("no answer"))
					w.WriteHeader(http.StatusBadGateway)
				})), steps: steps(get("/").want("run 1", "stored"), get("/").want("run 1",
				"fwd=stale"))},
		{name: "a deadline that a handler respects", runs: 2,
			policy: policy.Policy{Timeout: 20 * time.Millisecond},
			origin: origin(says(max, "Age: 90", `ETag: "a"`),
				does(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })),
			steps: steps(
				get("/").want("run 1", "stored"), get("/").want("run 1", "fwd=stale"))},
		{name: "a handler that has a name for a field in no case", runs: 2,
			origin: origin(does(func(w http.ResponseWriter, r *http.Request) {
				lives60(w)
				w.Header()["set-cookie"] = []string{"sid=alice"}
				io.WriteString(w, "page")
			})), steps: steps(get("/").want("page", "!stored", "detail=set-cookie"),
				get("/").want("page", "!hit"))},
	}
}

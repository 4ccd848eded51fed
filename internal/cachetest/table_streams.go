package cachetest

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// streams: bytes reach clients as the origin writes them; trailers and informational responses.
func streams() []story {
	summed := does(func(w http.ResponseWriter, r *http.Request) {
		lives60(w)
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		http.NewResponseController(w).Flush()
		w.Header().Set("X-Sum", "4")
	})
	return []story{
		{name: "the first byte comes when it is flushed", runs: 1, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(streamed(k))
			w := dial(g, g.address, get("/"))
			if h := w.head("GET"); h.err != nil || w.read(5) != "first" {
				g.Errorf("got %q %v", h.body, h.err)
			}
			k.release()
			if got := w.rest(); got.body != "first, last" || got.err != nil {
				g.Errorf("got %q %v", got.body, got.err)
			}
			g.take("the next", get("/").want("first, last", "shared"))
		}},
		{name: "the first byte of what may not be stored comes when it is flushed", runs: 1,
			play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, "first")
					http.NewResponseController(w).Flush()
					k.wait()
					io.WriteString(w, ", last")
				}))
				w := dial(g, g.address, get("/"))
				if h := w.head("GET"); h.err != nil || w.read(5) != "first" {
					g.Errorf("got %q %v", h.body, h.err)
				}
				k.release()
				if got := w.rest(); got.body != "first, last" || got.err != nil {
					g.Errorf("got %q %v", got.body, got.err)
				}
			}},
		{name: "a long body streams without being flushed", runs: 1, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
				lives60(w)
				io.WriteString(w, big)
				k.wait()
				io.WriteString(w, big)
			}))
			w := dial(g, g.address, get("/"))
			if h := w.head("GET"); h.err != nil || w.read(16) != big[:16] {
				g.Errorf("no first bytes before the end: %v", h.err)
			}
			k.release()
			if got := w.rest(); got.body != big+big || got.err != nil {
				g.Errorf("got %d bytes, %v", len(got.body), got.err)
			}
			g.take("the next", get("/").want(big+big, "shared"))
		}},
		{name: "trailers, from the origin and from the store", runs: 1, origin: origin(summed),
			play: func(g *stage) {
				for i, words := range [][]string{{"fwd=uri-miss"},
					{"hit"}} { // of a stream without a length, nothing is said before its end
					got := g.take(fmt.Sprintf("request %d", i+1), get("/").want("body", words...))
					if sum := got.trailer.Get("X-Sum"); sum != "4" {
						g.Errorf("request %d: the trailer X-Sum is %q, want 4", i+1, sum)
					}
				}
			}},
		{name: "a 103 is for the client that asked, and never stored", runs: 1,
			origin: origin(does(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", "</a.css>; rel=preload")
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
				lives60(w)
				io.WriteString(w, "body")
			})), play: func(g *stage) {
				got := g.take("the first", get("/").want("body", "stored", "no Link"))
				if len(got.early) != 1 || got.early[0].StatusCode != 103 ||
					got.early[0].Header.Get("Link") == "" {
					g.Errorf("the first client got %v before its response, want a 103 with Link",
						got.early)
				}
				if got = g.take("the second", get("/").want("body", "hit", "no Link")); len(got.early) != 0 {
					g.Errorf("the second client got %v before its response, want nothing",
						got.early)
				}
			}},
	}
}

// broken: what is cut, panics or is shorter than declared is never stored, and never looks
// complete.
func broken() []story {
	after := says("Cache-Control: max-age=60")
	breaks := func(name string, h http.HandlerFunc) story {
		return story{name: name, runs: 2, origin: origin(does(h), after), steps: steps(
			get("/").want("*", "cut"), get("/").want("run 2", "!hit", "stored"),
			get("/").want("run 2", "hit"))}
	}
	flushed := func(then func()) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			lives60(w)
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			then()
		}
	}
	abort := func() { panic(http.ErrAbortHandler) }
	boom := func() { panic("boom") }
	return []story{
		breaks("a panic before the header", func(http.ResponseWriter, *http.Request) { boom() }),
		breaks("an abort before the header", func(http.ResponseWriter, *http.Request) { abort() }),
		breaks("a panic after the header", func(w http.ResponseWriter, r *http.Request) {
			lives60(w)
			w.WriteHeader(200)
			boom()
		}),
		breaks("a panic in a body that is held back",
			func(w http.ResponseWriter, r *http.Request) {
				lives60(w)
				io.WriteString(w,
					"half")
				boom()
			}),
		breaks("an abort in a body that is held back",
			func(w http.ResponseWriter, r *http.Request) {
				lives60(w)
				io.WriteString(w,
					"half")
				abort()
			}),
		breaks("a panic in a body that streams", flushed(boom)),
		breaks("an abort in a body that streams", flushed(abort)),
		breaks("an abort in what may not be stored", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			abort()
		}),
		breaks("a body shorter than declared", func(w http.ResponseWriter, r *http.Request) {
			lives60(w)
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "12345")
		}),
		breaks("a long body shorter than declared", func(w http.ResponseWriter, r *http.Request) {
			lives60(w)
			w.Header().Set("Content-Length", fmt.Sprint(2*len(big)))
			io.WriteString(w, big)
		}),
		{name: "those who read along with a run that breaks see it break", runs: 2,
			play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
					lives60(w)
					io.WriteString(w, "first")
					http.NewResponseController(w).Flush()
					k.wait()
					abort()
				}), after)
				var all []*wire
				for range 3 {
					w := dial(g, g.address, get("/"))
					if w.head("GET").err == nil {
						w.read(5)
					}
					all = append(all, w)
				}
				k.release()
				for i, w := range all {
					if got := w.rest(); got.err == nil {
						g.Errorf("client %d took %q for complete", i+1, got.body)
					}
				}
				g.take("a later one", get("/").want("run 2", "!hit"))
			}},
		{name: "those who wait for a run that panics run the origin themselves", runs: 2,
			play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(does(func(http.ResponseWriter, *http.Request) {
					k.wait()
					abort()
				}), after)
				first := dial(g, g.address, get("/"))
				g.arrived(k)
				done := make(chan struct{})
				go func() { defer close(done); g.take("one who waited", get("/").want("run 2")) }()
				time.AfterFunc(20*time.Millisecond, k.release)
				if h := first.head("GET"); h.err == nil && h.status < 500 {
					g.Errorf("the first client got %d", h.status)
				}
				<-done
			}},
	}
}

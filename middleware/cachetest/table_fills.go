package cachetest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// big is more than is ever held back of a body.
var big = strings.Repeat("0123456789abcdef", 4<<10)

// gate lets a story say when the origin goes on.
type gate struct {
	entered chan struct{} // receives for each run that waits
	open    chan struct{} // closed to let all go on
	once    *sync.Once
}

func newGate() gate {
	return gate{make(chan struct{}, 100), make(chan struct{}), new(sync.Once)}
}

func (k gate) wait() {
	k.entered <- struct{}{}
	select {
	case <-k.open:
	case <-time.After(patience):
	}
}

func (k gate) release() { k.once.Do(func() { close(k.open) }) }

// arrived waits until a run of the origin waits at the gate.
func (g *stage) arrived(k gate) {
	g.Helper()
	select {
	case <-k.entered:
	case <-time.After(patience):
		g.Fatal("the origin was not asked")
	}
}

// lives60 sets a lifetime.
func lives60(w http.ResponseWriter) { w.Header().Set("Cache-Control", "max-age=60") }

// fills: one run of the origin, however many ask, and whoever of them leaves.
func fills() []story {
	return []story{
		{name: "one run for many who ask at once", runs: 1, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
				k.wait()
				lives60(w)
				io.WriteString(w, "slow")
			}))
			var all sync.WaitGroup
			for i := range 30 {
				all.Go(func() { g.take(fmt.Sprintf("client %d", i), get("/").want("slow")) })
			}
			g.arrived(k)
			time.AfterFunc(20*time.Millisecond, k.release)
			all.Wait()
			g.take("a later one", get("/").want("slow", "hit"))
		}},
		{name: "all who come while it streams read the same run", runs: 1, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(streamed(k))
			first := dial(g, g.address, get("/"))
			if h := first.head("GET"); h.err != nil || first.read(5) != "first" {
				g.Fatalf("no first bytes before the end: %v", h.err)
			}
			var others []*wire
			for range 10 {
				w := dial(g, g.address, get("/"))
				if h := w.head("GET"); h.err != nil || w.read(5) != "first" || !StatusOf(h.header).Collapsed {
					g.Errorf("one who joins got %v %v, want the first bytes, collapsed", h.err, h.header)
				}
				others = append(others, w)
			}
			k.release()
			for _, w := range append(others, first) {
				if got := w.rest(); got.err != nil || got.body != "first, last" {
					g.Errorf("got %q %v", got.body, got.err)
				}
			}
			g.take("a later one", get("/").want("first, last", "shared"))
		}},
		{name: "the first client leaves before there is an answer", runs: 1, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
				k.wait()
				lives60(w)
				io.WriteString(w, "whole")
			}))
			first := dial(g, g.address, get("/"))
			g.arrived(k)
			first.conn.Close()
			second := dial(g, g.address, get("/"))
			time.AfterFunc(20*time.Millisecond, k.release)
			second.head("GET")
			if got := second.rest(); got.body != "whole" || got.err != nil {
				g.Errorf("the second client got %q %v", got.body, got.err)
			}
			g.take("a third", get("/").want("whole", "hit"))
		}},
		{name: "the first client leaves in the middle", runs: 1, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(streamed(k))
			first, second := dial(g, g.address, get("/")), (*wire)(nil)
			first.head("GET")
			first.read(5)
			second = dial(g, g.address, get("/"))
			second.head("GET")
			first.conn.Close()
			k.release()
			if got := second.rest(); got.body != "first, last" || got.err != nil {
				g.Errorf("the second client got %q %v", got.body, got.err)
			}
			g.take("a third", get("/").want("first, last", "shared"))
		}},
		{name: "the only client leaves, and the answer is stored all the same", runs: 1, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(streamed(k))
			first := dial(g, g.address, get("/"))
			first.head("GET")
			first.conn.Close()
			k.release()
			g.take("a second", get("/").want("first, last", "shared"))
			g.take("a third", get("/").want("first, last", "hit").eventually())
		}},
		{name: "the first client stalls and hurts nobody", runs: 1, play: func(g *stage) {
			long := strings.Repeat(big, 64) // 4 MiB: more than connections hold
			g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
				lives60(w)
				io.WriteString(w, long)
			}))
			first := dial(g, g.address, get("/"))
			first.head("GET") // and reads no more
			second := dial(g, g.address, get("/"))
			second.head("GET")
			if got := second.rest(); got.err != nil || got.body != long {
				g.Errorf("the second client got %d bytes, %v", len(got.body), got.err)
			}
			g.take("a third", get("/").want(long, "shared"))
			if got := first.rest(); got.err != nil || got.body != long {
				g.Errorf("the first client got %d bytes in the end, %v", len(got.body), got.err)
			}
		}},
		{name: "those who wait for what may not be shared ask for themselves", runs: 5, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
				k.wait()
				w.Header().Set("Cache-Control", "private")
				io.WriteString(w, r.Header.Get("X-Who"))
			}))
			var all sync.WaitGroup
			for i := range 5 {
				all.Go(func() {
					g.take("a client", get("/", fmt.Sprintf("X-Who: %d", i)).want(fmt.Sprint(i), "!shared", "!stored"))
				})
			}
			g.arrived(k)
			time.AfterFunc(20*time.Millisecond, k.release)
			all.Wait()
		}},
		{name: "those who carry credentials do not wait for each other", runs: 3, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
				k.wait()
				lives60(w)
				io.WriteString(w, r.Header.Get("Cookie"))
			}))
			var all sync.WaitGroup
			for i := range 3 {
				all.Go(func() { g.take("a client", get("/", fmt.Sprintf("Cookie: %d", i)).want(fmt.Sprint(i), "!shared")) })
			}
			for range 3 { // all three are in the origin at the same time
				g.arrived(k)
			}
			k.release()
			all.Wait()
		}},
		{name: "those who wait for another variant get theirs", runs: 2, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
				k.wait()
				lives60(w)
				w.Header().Set("Vary", "X-A")
				io.WriteString(w, r.Header.Get("X-A"))
			}))
			var all sync.WaitGroup
			for i := range 6 {
				all.Go(func() { g.take("a client", get("/", fmt.Sprintf("X-A: %d", i%2)).want(fmt.Sprint(i%2))) })
			}
			g.arrived(k)
			time.AfterFunc(20*time.Millisecond, k.release)
			all.Wait()
		}},
		{name: "HEAD waits for a run that is on its way", runs: 1, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(streamed(k))
			first := dial(g, g.address, get("/"))
			first.head("GET")
			g.take("HEAD", head("/").want("", "shared", "X-A: 1"))
			k.release()
			first.rest()
		}},
		{name: "a body past the bound streams on, unstored", runs: 2, policy: policy.Policy{MaxBody: 1000},
			origin: origin(says("Cache-Control: max-age=60").saying(big)), steps: steps(
				get("/").want(big), get("/").want(big, "!hit"))},
		{name: "a body at the bound is stored", runs: 1, policy: policy.Policy{MaxBody: 1000},
			origin: origin(says("Cache-Control: max-age=60").saying(big[:1000])), steps: steps(
				get("/").want(big[:1000]), get("/").want(big[:1000], "hit"))},
	}
}

// streamed sends "first", and ", last" when the gate opens.
func streamed(k gate) answer {
	return does(func(w http.ResponseWriter, r *http.Request) {
		lives60(w)
		w.Header().Set("X-A", "1")
		io.WriteString(w, "first")
		http.NewResponseController(w).Flush()
		k.wait()
		io.WriteString(w, ", last")
	})
}

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
		{name: "the first byte of what may not be stored comes when it is flushed", runs: 1, play: func(g *stage) {
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
		{name: "trailers, from the origin and from the store", runs: 1, origin: origin(summed), play: func(g *stage) {
			for i, words := range [][]string{{"stored"}, {"hit"}} {
				got := g.take(fmt.Sprintf("request %d", i+1), get("/").want("body", words...))
				if sum := got.trailer.Get("X-Sum"); sum != "4" {
					g.Errorf("request %d: the trailer X-Sum is %q, want 4", i+1, sum)
				}
			}
		}},
		{name: "a 103 is for the client that asked, and never stored", runs: 1, origin: origin(does(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			lives60(w)
			io.WriteString(w, "body")
		})), play: func(g *stage) {
			got := g.take("the first", get("/").want("body", "stored", "no Link"))
			if len(got.early) != 1 || got.early[0].StatusCode != 103 || got.early[0].Header.Get("Link") == "" {
				g.Errorf("the first client got %v before its response, want a 103 with Link", got.early)
			}
			if got = g.take("the second", get("/").want("body", "hit", "no Link")); len(got.early) != 0 {
				g.Errorf("the second client got %v before its response, want nothing", got.early)
			}
		}},
	}
}

// broken: what is cut, panics or is shorter than declared is never stored, and never looks complete.
func broken() []story {
	after := says("Cache-Control: max-age=60")
	breaks := func(name string, h http.HandlerFunc) story {
		return story{name: name, runs: 2, origin: origin(does(h), after), steps: steps(
			get("/").want("*", "cut"), get("/").want("run 2", "!hit", "stored"), get("/").want("run 2", "hit"))}
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
		breaks("a panic after the header", func(w http.ResponseWriter, r *http.Request) { lives60(w); w.WriteHeader(200); boom() }),
		breaks("a panic in a body that is held back", func(w http.ResponseWriter, r *http.Request) { lives60(w); io.WriteString(w, "half"); boom() }),
		breaks("an abort in a body that is held back", func(w http.ResponseWriter, r *http.Request) { lives60(w); io.WriteString(w, "half"); abort() }),
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
		{name: "those who read along with a run that breaks see it break", runs: 2, play: func(g *stage) {
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
		{name: "those who wait for a run that panics run the origin themselves", runs: 2, play: func(g *stage) {
			k := newGate()
			g.origin.script = origin(does(func(http.ResponseWriter, *http.Request) { k.wait(); abort() }), after)
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

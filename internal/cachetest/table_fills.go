package cachetest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/freshettest"
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

// fills: one run of the origin, however many ask, and whichever of them leave.
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
				if h := w.head("GET"); h.err != nil || w.read(5) != "first" ||
					!freshettest.StatusOf(h.header).Collapsed {
					g.Errorf("one who joins got %v %v, want the first bytes, collapsed", h.err,
						h.header)
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
			g.take("a third", get("/").want("whole", "shared")) // the run may just be ending
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
		{name: "the only client leaves, and the answer is stored all the same", runs: 1,
			play: func(g *stage) {
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
		{name: "those who wait for what may not be shared ask for themselves", runs: 5,
			play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
					k.wait()
					w.Header().Set("Cache-Control", "private")
					io.WriteString(w, r.Header.Get("X-Who"))
				}))
				var all sync.WaitGroup
				for i := range 5 {
					all.Go(func() {
						g.take("a client", get("/", fmt.Sprintf("X-Who: %d", i)).want(fmt.Sprint(i),
							"!shared", "!stored"))
					})
				}
				g.arrived(k)
				time.AfterFunc(20*time.Millisecond, k.release)
				all.Wait()
			}},
		{name: "those who carry credentials do not wait for each other", runs: 3,
			play: func(g *stage) {
				k := newGate()
				g.origin.script = origin(does(func(w http.ResponseWriter, r *http.Request) {
					k.wait()
					lives60(w)
					io.WriteString(w, r.Header.Get("Cookie"))
				}))
				var all sync.WaitGroup
				for i := range 3 {
					all.Go(func() {
						g.take("a client",
							get("/", fmt.Sprintf("Cookie: %d", i)).want(fmt.Sprint(i), "!shared"))
					})
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
				all.Go(func() {
					g.take("a client", get("/", fmt.Sprintf("X-A: %d", i%2)).want(fmt.Sprint(i%2)))
				})
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
		{name: "a body past the bound streams on, unstored", runs: 2,
			policy: policy.Policy{MaxBody: 1000},
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

package cachetest

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// story is one row of the table: what the origin says, what clients ask one after the other and
// what they must get, and how often the origin has run in the end.
type story struct {
	name    string
	policy  policy.Policy
	expires func() *policy.Expires
	origin  script
	steps   []step
	runs    int
	bound   int64 // of the store, in bytes; 0: plenty
	http2   bool  // over HTTP/2 and TLS
	// play takes the place of steps where requests overlap.
	play func(*stage)
}

// chapter is a group of stories.
type chapter struct {
	name    string
	stories []story
}

// step is one request and what its client must get.
type step struct {
	method, target string
	// lines, as they are sent; {etag} and {modified} are those of the last response that had any
	header   []string
	body     string
	rawBody  bool   // the header says how long the body is
	wantBody string // "*": any
	words    []string
	until    bool // repeated until it gets what it wants
}

func request(method, target string, header ...string) step {
	return step{method: method, target: target, header: header, wantBody: "*"}
}

func get(target string, header ...string) step  { return request("GET", target, header...) }
func head(target string, header ...string) step { return request("HEAD", target, header...) }
func post(target string, header ...string) step {
	return request("POST", target, header...).sending("x=1")
}
func (s step) sending(body string) step { s.body = body; return s }
func (s step) raw(body string) step     { s.body, s.rawBody = body, true; return s }
func (s step) eventually() step         { s.until = true; return s }

// want says what the client must get: the body, and words about the rest, each one of
//
//	404                  the status; 200 where no word names one
//	hit, !stored         what Cache-Status says, or must not say
//	fwd=stale            a parameter of Cache-Status
//	ttl ~ 60             about that many seconds, of Cache-Status
//	Age ~ 90             about that number, of a field
//	ETag: "a"            the whole value of a field
//	Vary has Accept      some of it
//	no ETag              without that field
//	shared               hit, or collapsed into a run of the origin for someone else
//	cut                  the response must not look complete
func (s step) want(body string, words ...string) step {
	s.wantBody, s.words = body, words
	return s
}

func (s step) String() string {
	text := s.method + " " + s.target
	if len(text) > 80 {
		text = text[:80] + "…"
	}
	for _, line := range s.header {
		if len(line) > 120 {
			line = line[:120] + "…"
		}
		text += " | " + line
	}
	return text
}

// play runs stories against a mount.
func play(t *testing.T, mount Mount, chapters []chapter) {
	playOn(t, mount, func(_ *http.Server, _ http.Handler, l net.Listener) net.Listener { return l }, chapters)
}

func playOn(
	t *testing.T, mount Mount, listen func(*http.Server, http.Handler, net.Listener) net.Listener,
	chapters []chapter,
) {
	for _, c := range chapters {
		t.Run(c.name, func(t *testing.T) {
			for _, s := range c.stories {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					newStage(t, mount, listen, s).perform()
				})
			}
		})
	}
}

// stage is where one story is played.
type stage struct {
	*testing.T
	story   story
	origin  *scripted
	handler http.Handler
	store   *memstore.Store
	url     string
	address string
	client  *http.Client // of HTTP/2

	mu             sync.Mutex
	etag, modified string // of the last response that had them
}

func newStage(
	t *testing.T, mount Mount, listen func(*http.Server, http.Handler, net.Listener) net.Listener, s story,
) *stage {
	g := &stage{T: t, story: s, origin: &scripted{script: s.origin}}
	g.store = newStore(t, s.bound)
	site := Site{Origin: g.origin, Policy: s.policy, Store: g.store}
	if s.expires != nil {
		site.Expires = s.expires()
	}
	g.handler = mount(t, site)
	server := newServer(g.handler)
	if s.http2 {
		server.EnableHTTP2 = true
		server.StartTLS()
		g.client = newHTTP2(t)
	} else {
		server.Listener = listen(server.Config, g.handler, server.Listener)
		server.Start()
	}
	t.Cleanup(server.Close)
	g.url, g.address = server.URL, server.Listener.Addr().String()
	return g
}

func (g *stage) perform() {
	if g.story.play != nil {
		g.story.play(g)
	}
	for i, s := range g.story.steps {
		g.take(fmt.Sprintf("request %d, %v", i+1, s), s)
	}
	if runs := int(g.origin.runs.Load()); runs != g.story.runs {
		g.Errorf("the origin ran %d times, want %d", runs, g.story.runs)
	}
}

// take asks what a step asks and checks what it gets.
func (g *stage) take(what string, s step) *reply {
	g.Helper()
	s.header, s.words = g.filled(s.header), g.filled(s.words)
	var got *reply
	var wrong []string
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if g.client != nil {
			got = askHTTP2(g, g.client, g.url, s)
		} else {
			got = ask(g, g.address, s)
		}
		wrong = s.judge(got)
		if len(wrong) == 0 || !s.until || time.Now().After(deadline) {
			break
		}
	}
	for _, w := range wrong {
		g.Errorf("%s: %s", what, w)
	}
	if len(wrong) > 0 && got.header != nil {
		g.Logf("%s: got %d %v %.200q", what, got.status, got.header, got.body)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := got.header.Get("ETag"); v != "" {
		g.etag = v
	}
	if v := got.header.Get("Last-Modified"); v != "" {
		g.modified = v
	}
	return got
}

// filled puts what is known by now into lines.
func (g *stage) filled(lines []string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := strings.NewReplacer("{etag}", g.etag, "{modified}", g.modified)
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = filled(known.Replace(line))
	}
	return all
}

func silent() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

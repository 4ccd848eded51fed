package fleet

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

// read is a page that a client asked for.
type read struct {
	key          string
	node         *node
	began, ended time.Duration // since the story began
	version      int
	how          string
	healed       bool // all was well again for two seconds
	client       int
}

// write is a page that was changed, and invalidated.
type write struct {
	key          string
	node         *node
	began, ended time.Duration // ended: when the invalidation returned
	version      int
	number       uint64        // 0: the journal did not take the invalidation
	by           *server       // that took it
	taken        time.Duration // when it did
	leased       time.Duration // how long the others count the node in at least
	lost         bool          // with its node, before the journal had it
	client       int           // who has a token for it; 0: nobody
}

// story is a plan as it was carried out.
type story struct {
	plan
	start    time.Time
	server   *server
	database *database
	log      io.Writer

	mu      sync.Mutex
	nodes   []*node
	reads   []read
	writes  []write
	tokens  [3]string // of the clients
	writing [3]bool   // which of them have a change under way

	// where there is a replica: when it took over, and the newest number of the old server's that it has
	successor *server
	promoted  time.Duration
	kept      uint64
}

// run carries out a plan, in a bubble of testing/synctest. It returns when all nodes have ended.
func (p plan) run(log io.Writer) *story {
	s := &story{plan: p, start: time.Now(), server: newServer(p.postgres, 1, 0), log: log,
		database: &database{versions: map[string]int{}}}
	if p.replica {
		s.server.replica, s.server.lag = newServer(p.postgres, 2, p.skew), p.lag
	}
	fmt.Fprintf(log, "PostgreSQL: %t, replica: %t, which lacks %d writes, and whose clock is off by %v\n",
		p.postgres, p.replica, p.lag, p.skew)
	for i := range p.nodes {
		s.nodes = append(s.nodes, s.newNode(i, 0))
	}
	var work sync.WaitGroup
	for _, step := range p.steps {
		time.Sleep(step.at - s.now())
		fmt.Fprintf(log, "%v\n", step)
		n := s.nodes[step.node]
		switch step.do {
		case "get":
			work.Go(func() { s.get(n, step.key, step.client, false) })
		case "link":
			if !n.dead.Load() {
				n.link.becomes(step.way)
			}
		case "promote":
			s.promotes()
		case "end":
			s.server.ends(step.way)
		case "move":
			n.link.moves(s.successor)
		case "restart empty", "flush":
			s.server.loses(step.do == "restart empty")
		case "full", "room":
			s.server.becomes(step.do == "full")
		case "kill":
			s.kill(n)
		case "restart":
			s.restart(step.node, &work)
		default:
			work.Go(func() { s.change(n, step) })
		}
	}
	s.heal()
	work.Wait()
	time.Sleep(2 * time.Second)
	for key := range s.database.versions {
		for _, n := range s.nodes {
			work.Go(func() { s.get(n, key, 0, true) })
		}
	}
	work.Wait()
	for _, n := range s.nodes {
		n.end()
	}
	return s
}

func (s *story) newNode(i, life int) *node {
	server := s.server
	if life > 0 {
		server, _, _ = s.nodes[i].link.now()
	}
	return newNode(fmt.Sprintf("%d.%d", i, life), server, s.database,
		s.seed*64+uint64(8*life+i), slog.NewTextHandler(s.log, nil))
}

func (s *story) now() time.Duration { return time.Since(s.start) }

// heal has all be well.
func (s *story) heal() {
	time.Sleep(s.end - s.now())
	fmt.Fprintf(s.log, "%v: all is well\n", s.now())
	s.server.becomes(false)
	for _, n := range s.nodes {
		if !n.dead.Load() {
			if s.successor != nil {
				n.link.moves(s.successor)
			}
			n.link.becomes(passes)
		}
	}
}

func (s *story) get(n *node, key string, client int, healed bool) {
	if n.dead.Load() {
		return
	}
	r := read{key: key, node: n, began: s.now(), healed: healed, client: client}
	r.version, r.how = n.get(key, s.token(client))
	r.ended = s.now()
	fmt.Fprintf(s.log, "%v: node %s: client %d got %s of version %d since %v: %s\n", r.ended, n.name,
		client, key, r.version, r.began, r.how)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = append(s.reads, r)
}

// token returns the cookie that a client shows, or nothing.
func (s *story) token(client int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[client]
}

// writer returns the client, or 0 for another one where it has a change under way: of two at a time,
// the cookie of the later answer replaces the other's.
func (s *story) writer(client int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing[client] {
		return 0
	}
	s.writing[client] = client > 0
	return client
}

// shown notes the cookie that a client has been given for its change.
func (s *story) shown(client int, cookie string) {
	if client == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[client], _, _ = strings.Cut(cookie, ";")
	s.writing[client] = false
}

func (s *story) change(n *node, step step) {
	if n.dead.Load() {
		return
	}
	w := write{key: step.key, node: n, began: s.now()}
	ctx := context.Background()
	if step.do == "purge" { // which changes nothing: the page is made anew, of the part that there is
		n.cache.InvalidateURL(ctx, pageURL(step.key))
		s.get(n, step.key, 0, false)
		return
	}
	switch step.do {
	case "post":
		w.client = s.writer(step.client)
		part := error(nil)
		handler := n.cache.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			w.version = s.database.change(step.key)
			if step.key == composed { // a POST covers the URL that it is for
				_, part = n.invalidate(r.Context(), step.key)
			}
		}))
		r := httptest.NewRequestWithContext(context.WithValue(ctx, receiptOf{}, &w.number), "POST",
			pageURL(step.key), nil)
		if token := s.token(w.client); token != "" {
			r.Header.Set("Cookie", token)
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		if part != nil {
			w.number = 0
		}
		s.shown(w.client, answer.Header().Get("Set-Cookie"))
	default:
		w.version = s.database.change(step.key)
		receipt, err := n.invalidate(ctx, step.key)
		if step.do == "change by tag" {
			receipt, err = n.cache.InvalidateTag(ctx, "pages")
		} else if step.do == "change by prefix" {
			receipt, err = n.cache.InvalidatePrefix(ctx, "http://a.example/")
		}
		if err == nil {
			w.number = receipt.Number
		}
	}
	w.ended = s.now()
	fmt.Fprintf(s.log, "%v: node %s: version %d of %s, number %d\n", w.ended, n.name, w.version,
		w.key, w.number)
	w.leased = n.link.wellUntil().Add(store.LeaseTime - maxLag).Sub(s.start)
	if w.number > 0 {
		t := n.link.takenBy(w.number)
		w.by, w.taken = t.by, t.at.Sub(s.start)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.lost = n.dead.Load() && w.number == 0
	s.writes = append(s.writes, w)
}

// promotes has the replica take over.
func (s *story) promotes() {
	s.successor, s.kept = s.server.promotes()
	s.promoted = s.now()
}

// kill ends a node as a crash does: what it holds is lost.
func (s *story) kill(n *node) {
	n.dead.Store(true)
	n.died = time.Now()
	n.link.becomes(refuses)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.writes {
		if w.node == n && w.number == 0 {
			s.writes[i].lost = true
		}
	}
}

// restart ends a node in order, and another takes its place.
func (s *story) restart(i int, work *sync.WaitGroup) {
	old := s.nodes[i]
	old.dead.Store(true)
	old.died = time.Now()
	unsent := old.end() != nil
	s.mu.Lock()
	for j, w := range s.writes {
		if w.node == old && w.number == 0 && unsent {
			s.writes[j].lost = true
		}
	}
	s.mu.Unlock()
	s.nodes[i] = s.newNode(i, 1)
}

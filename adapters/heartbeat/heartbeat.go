// Package heartbeat answers the two questions of load balancers and monitors:
//
//   - [Path], /__heartbeat__: do the servers that the app needs work? It runs a probe of each.
//   - [AlivePath], /__lbheartbeat__: does this process live? It asks nobody.
//
// The names, and what is answered, are those of Kinto and of Mozilla's Dockerflow.
package heartbeat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The paths at which load balancers expect the answers.
const (
	Path      = "/__heartbeat__"
	AlivePath = "/__lbheartbeat__"
)

// Probe tries one server, or whatever else the app needs, and returns nil when it works.
// [ErrNotApplicable], found by errors.Is, says that there is nothing to try. ctx ends at the
// probe's deadline; a probe that goes on counts as failed, and no second run of it begins before it
// returns. A panic counts as failed. No two runs of one probe overlap.
type Probe func(ctx context.Context) error

// ErrNotApplicable is the answer of a probe of something that is switched off, say. The heartbeat
// answers null for it, which does no harm to the status.
var ErrNotApplicable = errors.New("not applicable")

// Options say what a heartbeat probes. The zero value probes nothing, and always answers 200 and
// {}.
type Options struct {
	// Probes are the probes by the names that the answer has: {"cache": heartbeat.Store(pages)}.
	Probes map[string]Probe
	// Timeout is how long a run of a probe may take. Default (0): 10 seconds; negative: New panics,
	// since a probe without a deadline could keep a load balancer waiting for ever.
	Timeout time.Duration
	// Log hears when a probe begins to fail, with its error, and when it succeeds again: the answer
	// has no errors, since everybody may read it. Nil: slog.Default().
	Log *slog.Logger
}

const defaultTimeout = 10 * time.Second

// Heartbeat answers [Path]. Make one with [New]. It is safe for concurrent use.
type Heartbeat struct {
	names   []string // sorted
	probes  []*prober
	timeout time.Duration
}

// New returns a heartbeat. It panics where the options cannot work, with a sentence that says what
// to do.
func New(o Options) *Heartbeat {
	if o.Timeout < 0 {
		panic(fmt.Sprintf("heartbeat: New: Options.Timeout is %v, and a probe needs a deadline: "+
			"set a positive one, or 0 for the default of %v", o.Timeout, defaultTimeout))
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	b := &Heartbeat{names: slices.Sorted(maps.Keys(o.Probes)), timeout: o.Timeout}
	for _, name := range b.names {
		if o.Probes[name] == nil {
			panic(fmt.Sprintf("heartbeat: New: the probe %q is nil: leave it out, or return "+
				"ErrNotApplicable", name))
		}
		b.probes = append(b.probes, &prober{name: name, probe: o.Probes[name], timeout: o.Timeout,
			log: o.Log})
	}
	return b
}

// ServeHTTP runs all probes at once, and answers with a JSON object that has true, false or null
// for each by its name: 503 when one is false, and 200 otherwise. Requests that come while a probe
// runs share that run. Methods other than GET and HEAD get 405. The answer says "no-store".
func (b *Heartbeat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !reads(w, r) {
		return
	}
	states := b.ask(r.Context())
	status := http.StatusOK
	answer := make(map[string]*bool, len(states))
	for i, s := range states {
		answer[b.names[i]] = s.json()
		if s == failed {
			status = http.StatusServiceUnavailable
		}
	}
	body, _ := json.Marshal(answer) // which cannot fail
	send(w, status, body)
}

// ask runs the probes, or waits for runs of them, and returns what became of each. When ctx is done
// first, what has no answer counts as failed: nobody reads it.
func (b *Heartbeat) ask(ctx context.Context) []state {
	states := make([]state, len(b.probes))
	var all sync.WaitGroup
	for i, p := range b.probes {
		all.Go(func() { states[i] = p.ask(ctx) })
	}
	all.Wait()
	return states
}

// Alive returns the handler of [AlivePath]: it answers 200 and {} for as long as the process serves
// at all. It says "no-store", and answers methods other than GET and HEAD with 405.
func Alive() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reads(w, r) {
			send(w, http.StatusOK, []byte("{}"))
		}
	})
}

// Around returns app with both paths before it, so that whatever app does to a request (a cache, a
// login, a limit) does nothing to these two.
func (b *Heartbeat) Around(app http.Handler) http.Handler {
	alive := Alive()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case Path:
			b.ServeHTTP(w, r)
		case AlivePath:
			alive.ServeHTTP(w, r)
		default:
			app.ServeHTTP(w, r)
		}
	})
}

// reads reports whether a request only reads, and answers it if it does not.
func reads(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	h := w.Header()
	h.Set("Allow", "GET, HEAD")
	h.Set("Cache-Control", "no-store")
	http.Error(w, "Method Not Allowed: send GET or HEAD.",
		http.StatusMethodNotAllowed)
	return false
}

func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // of which net/http sends nothing to a HEAD
}

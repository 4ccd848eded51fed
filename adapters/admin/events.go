package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
)

const (
	maxListeners = 16
	maxWaiting   = 256 // events that a listener has not taken
	maxPattern   = 200 // of path, in bytes
	maxSteps     = 500 // ... and of what it compiles to: each may be tried at each byte of a path
	idleAfter    = 15 * time.Second
	stallAfter   = time.Minute // a listener that takes nothing for so long is cut off
)

// event is a line of /events. Times are in seconds.
type event struct {
	Time     time.Time `json:"time"`
	Method   string    `json:"method"`
	Host     string    `json:"host"`
	Path     string    `json:"path"`
	Status   int       `json:"status"`
	Bytes    int64     `json:"bytes"`
	Took     float64   `json:"took"`
	Result   string    `json:"result"`
	Reason   string    `json:"reason,omitempty"`
	Cache    string    `json:"cache"` // as Cache-Status has it
	Resource string    `json:"resource,omitempty"`
	Key      string    `json:"key,omitempty"` // its hash
	Age      float64   `json:"age,omitempty"`
	Fill     float64   `json:"fill,omitempty"`
	Backend  float64   `json:"backend,omitempty"`
	Dropped  int       `json:"dropped,omitempty"` // events before this one that came too fast
}

// filter says which events a listener wants. What is empty wants all.
type filter struct {
	results, reasons, hosts []string
	path                    *regexp.Regexp
}

// readFilter reads ?result=miss,… &reason=… &host=… &path=REGEXP.
func readFilter(q url.Values) (f filter, err error) {
	for name := range q {
		switch name {
		case "result", "reason", "host", "path":
		default:
			return f, fmt.Errorf("%q: allowed are result, reason, host and path", name)
		}
	}
	list := func(name string) (all []string) {
		for _, text := range q[name] {
			all = append(all, strings.Split(text, ",")...)
		}
		return all
	}
	f.results, f.reasons, f.hosts = list("result"), list("reason"), list("host")
	if err := known("result", f.results, results); err != nil {
		return f, err
	}
	if err := known("reason", f.reasons, reasons); err != nil {
		return f, err
	}
	if pattern := q.Get("path"); pattern != "" {
		if len(pattern) > maxPattern {
			return f, fmt.Errorf("path: %d bytes: at most %d", len(pattern), maxPattern)
		}
		if f.path, err = regexp.Compile(pattern); err != nil {
			return f, fmt.Errorf("path: allowed is a regular expression of Go's: %w", err)
		}
		if n := steps(pattern); n > maxSteps {
			return f, fmt.Errorf("path: the regular expression has %d steps: at most %d; repeat less",
				n, maxSteps)
		}
	}
	return f, nil
}

// results and reasons are the words that events may have, sorted; miss is this filter's own.
var (
	results = sorted([]metrics.Result{"miss", metrics.Hit, metrics.Stale, metrics.Collapsed,
		metrics.Revalidated, metrics.Stored, metrics.Unstored, metrics.Passed, metrics.Refused,
		metrics.Refreshed})
	reasons = sorted(explain.Reasons())
)

func sorted[Word ~string](words []Word) (all []string) {
	for _, word := range words {
		all = append(all, string(word))
	}
	slices.Sort(all)
	return all
}

// known judges the words of a filter: one that no event has would be waited for in silence.
func known(name string, words, allowed []string) error {
	for _, word := range words {
		if !slices.Contains(allowed, word) {
			return fmt.Errorf("%s: there is no %q: allowed are %s", name, word,
				strings.Join(allowed, ", "))
		}
	}
	return nil
}

// steps returns the length of the program that an expression, which compiles, is compiled to.
func steps(pattern string) int {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return 0
	}
	return len(program.Inst)
}

// wants reports whether an event is wanted, its path aside. The result "miss" is every one for which
// a handler ran.
func (f *filter) wants(r *http.Request, e *middleware.Event, result string) bool {
	return (len(f.results) == 0 || slices.Contains(f.results, result) ||
		e.Fill > 0 && slices.Contains(f.results, "miss")) &&
		(len(f.reasons) == 0 || slices.Contains(f.reasons, string(e.Detail))) &&
		(len(f.hosts) == 0 || slices.ContainsFunc(f.hosts, func(host string) bool {
			return strings.EqualFold(host, r.Host)
		}))
}

// fits reports whether an event's path is wanted.
func (f *filter) fits(path string) bool { return f.path == nil || f.path.MatchString(path) }

// listener is one client of /events.
type listener struct {
	filter  filter
	events  chan event
	dropped int // touched with the Watch's lock
}

// tell gives an event to those who want it. Who does not take it in time loses it. Paths are matched
// without the lock: an expression may take its time for one, and no other request waits for that.
func (w *Watch) tell(r *http.Request, e *middleware.Event) {
	result := string(metrics.ResultOf(e))
	var room [maxListeners]*listener
	want := room[:0]
	w.mu.Lock()
	for l := range w.listeners {
		if l.filter.wants(r, e, result) {
			want = append(want, l)
		}
	}
	w.mu.Unlock()
	path := r.URL.Path[:min(len(r.URL.Path), maxText)]
	want = slices.DeleteFunc(want, func(l *listener) bool { return !l.filter.fits(path) })
	if len(want) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range want {
		select {
		case l.events <- eventOf(r, e, result, l.dropped):
			l.dropped = 0
		default:
			l.dropped++
		}
	}
}

func eventOf(r *http.Request, e *middleware.Event, result string, dropped int) event {
	return event{
		Time: time.Now().UTC(), Method: short(r.Method), Host: short(r.Host), Path: short(r.URL.Path),
		Status: e.Status, Bytes: e.Bytes, Took: e.Took.Seconds(), Result: result,
		Reason: string(e.Detail),
		Cache:  e.Outcome.String(), Resource: e.Resource, Key: e.KeyHash(), Age: e.Age.Seconds(),
		Fill: e.Fill.Seconds(), Backend: e.Backend.Seconds(), Dropped: dropped,
	}
}

// maxText is the longest method, host or path in an event, in bytes.
const maxText = 1 << 10

// short copies the beginning of what a client sent, so that an event does not hold the rest.
func short(s string) string { return strings.Clone(s[:min(len(s), maxText)]) }

// listen adds a listener, unless there are too many.
func (w *Watch) listen(f filter) *listener {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.listeners) >= maxListeners {
		return nil
	}
	l := &listener{filter: f, events: make(chan event, maxWaiting)}
	w.listeners[l] = true
	w.many.Add(1)
	return l
}

func (w *Watch) leave(l *listener) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.listeners, l)
	w.many.Add(-1)
}

// events sends events as they come, a line of JSON each, until the client leaves. An empty line
// says that nothing came for a while.
func (d *Door) events(w http.ResponseWriter, r *http.Request) {
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		// By an image, say, any page that an operator looks at would take all places.
		refuse(w, http.StatusForbidden, "the request comes from a page of another site")
		return
	}
	f, err := readFilter(r.URL.Query())
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	l := d.watch.listen(f)
	if l == nil {
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%d others listen already, which is "+
			"the limit", maxListeners))
		return
	}
	defer d.watch.leave(l)
	w.Header().Set("Content-Type", "application/x-ndjson")
	to, lines := http.NewResponseController(w), json.NewEncoder(w)
	patiently := func() { to.SetWriteDeadline(time.Now().Add(stallAfter)) }
	patiently()
	defer to.SetWriteDeadline(time.Time{})
	to.SetReadDeadline(time.Time{}) // the server's is for reading requests, and this one is read
	w.WriteHeader(http.StatusOK)
	idle := time.NewTicker(idleAfter)
	defer idle.Stop()
	for {
		if to.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case e := <-l.events:
			patiently()
			if lines.Encode(e) != nil {
				return
			}
		case <-idle.C:
			patiently()
			if _, err := w.Write([]byte("\n")); err != nil {
				return
			}
		}
	}
}

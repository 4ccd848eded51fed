package middleware

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// learn notes that a request for the target has come to the mount, and that a stored response
// answers it, so that the next one need not come through the app.
func (l *lookup) learn(h *Hits) {
	x := &l.x
	r := x.r
	if r.Method != http.MethodGet && r.Method != http.MethodHead ||
		len(r.Host)+len(r.RequestURI) > maxTarget || x.account != nil || !x.straight() {
		return
	}
	host, target := []byte(r.Host), []byte(r.RequestURI)
	sum := h.sum(r.Method, host, target)
	known, slot := h.known(sum, r.Method, host, target)
	if known != nil && known.mount == x.mount {
		return
	}
	if x.mount.looks(x.p) && x.c.root.Load().next != http.Handler(x.mount) {
		h.tell("functions of the app that the cache asks about each request (Options.Policy, "+
			"Options.Route or a policy's Scope, Credentials, TagsOf or Key.Replace) may want to know "+
			"what routers have found out: mount the cache around the whole app, with Cache.Handler, or "+
			"give the route a policy without them", r)
		return
	}
	if known == nil {
		slot = h.room(sum)
	}
	if slot == nil {
		return
	}
	if between := x.between(h.skip); between != "" {
		h.tellOf(between, r)
		return
	}
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil || *u != *r.URL {
		return
	}
	t := &Target{Method: r.Method, Host: strings.Clone(r.Host), RequestURI: strings.Clone(r.RequestURI),
		Pattern: strings.Clone(r.Pattern), mount: x.mount,
		Shown: x.c.options.Observe != nil || x.c.options.OnHeader != nil ||
			x.c.options.OnErrorHeader != nil || x.mount.looks(x.p)}
	if u, err = url.ParseRequestURI(t.RequestURI); err != nil {
		return
	}
	t.URL, t.Values = u, wildcards(r)
	h.enter(slot, t)
}

// looks reports whether functions of the app look at a request to find out by which policy, under
// which key and with which tags it is answered.
func (m *Mount) looks(p *policy.Policy) bool {
	return m.p == nil && m.c.options.Policy != nil || m.c.options.Route != nil || p.Scope != nil ||
		p.Credentials != nil || p.TagsOf != nil || p.Key.Replace != nil
}

// straight reports whether the request is the very one that came to the app's root, and its
// response leaves as the cache sends it.
func (x *exchange) straight() bool {
	a, r := x.arrival, x.r
	if a == nil || !x.came || x.taken || a.target != r.RequestURI || a.host != r.Host ||
		a.remote != r.RemoteAddr || mapOf(a.header) != mapOf(r.Header) || x.around != nil ||
		x.passing != nil || x.veiled || len(x.w.Header()) > 0 {
		return false
	}
	w, guards := x.w.(*guarded)
	root := x.c.root.Load()
	return guards && !w.gate.inner && bare(w.ResponseWriter) && root != nil &&
		x.c.rootOf(r) == http.Handler(root)
}

// between returns the name of the app's own function that stands between the root and the mount,
// and is not to be skipped, or nothing. Routers that look at the method, the host and the path
// alone choose the same handler each time. The root is the outermost guard: what stands around
// another one stands within it.
func (x *exchange) between(skip []string) string {
	var calls [64]uintptr
	n := runtime.Callers(2, calls[:])
	if n == len(calls) {
		return "a chain of more than 60 calls"
	}
	root := false
	for frames := runtime.CallersFrames(calls[:n]); ; {
		frame, more := frames.Next()
		switch name := frame.Function; {
		case name == guardServes && root:
			return "another guard of Cache.Guard or Cache.Root"
		case name == guardServes:
			root = true
		case root: // outside of it
		case name == "":
			return "a function without a name"
		case !ofCache(name) && !routes(name) && !skips(skip, name):
			return name
		}
		switch {
		case more:
		case root:
			return ""
		default:
			return "another goroutine"
		}
	}
}

const (
	ownPackage  = "github.com/freshet-go/freshet/middleware."
	guardServes = ownPackage + "(*guard).ServeHTTP"
)

// ofCache reports whether a function is the cache's own.
func ofCache(name string) bool { return strings.HasPrefix(name, ownPackage) }

// routes reports whether a function is a router's that chooses by the method, the host and the
// path, or nothing but a way of calling a handler.
func routes(name string) bool {
	switch name {
	case "net/http.(*ServeMux).ServeHTTP", "net/http.HandlerFunc.ServeHTTP":
		return true
	}
	return strings.HasPrefix(name, "github.com/go-chi/chi/v5.")
}

func skips(skip []string, name string) bool {
	for _, s := range skip {
		if begins, all := strings.CutSuffix(s, "*"); s == name || all && strings.HasPrefix(name, begins) {
			return true
		}
	}
	return false
}

// wildcards returns the path wildcards of the pattern that a ServeMux or chi has chosen, and their
// values. chi's may have a regular expression behind a colon.
func wildcards(r *http.Request) (all []string) {
	rest := r.Pattern
	for {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return all
		}
		name, next, _ := strings.Cut(after, "}")
		name, _, _ = strings.Cut(strings.TrimSuffix(name, "..."), ":")
		if name != "" && name != "$" {
			all = append(all, name, strings.Clone(r.PathValue(name)))
		}
		rest = next
	}
}

// maxTold is how many functions the log names.
const maxTold = 8

// tellOf logs, once for each, that a function of the app keeps pages from being answered in front
// of it.
func (h *Hits) tellOf(function string, r *http.Request) {
	if strings.Contains(function, " ") { // what has no name to skip it by
		h.tell(function+" stands between Cache.Root and the mount: mount the cache around it", r)
		return
	}
	h.tell(fmt.Sprintf("%s stands between Cache.Root and the mount, and would not run. Mount the cache "+
		"around it; or, if hits may do without it, name it in front.Front.Skip", function), r)
}

func (h *Hits) tell(why string, r *http.Request) {
	if _, said := h.told.LoadOrStore(why, true); said || h.said.Add(1) > maxTold {
		return
	}
	h.c.options.Log.Info("freshet: front: pages are left to net/http: "+why, "path", r.URL.Path)
}

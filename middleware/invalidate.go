package middleware

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Invalidate makes entries unusable, or stale if the marks are soft, also those that are being filled
// at this moment. When it has returned, no request is served what the marks cover.
func (c *Cache) Invalidate(ctx context.Context, marks ...store.Mark) error {
	c.setup()
	_, err := c.follow.append(ctx, marks)
	return err
}

// InvalidateURL makes everything that is stored for a URL unusable, in all its variants and under the
// policies of all mounts: whatever parameters they drop or sort, and whatever Key.Replace makes of it. The
// URL is absolute. Its host may be in any case and have its default port; http stands for https
// as well, since the handlers behind a proxy that ends TLS see http. A URL that nothing can be stored
// for is an error. Where Key.Replace looks at more than the URL, so that it makes no key of a bare GET, what is
// stored under it is unusable for this URL, and is still served to other URLs that share the key: tag
// such responses, and invalidate the tag.
func (c *Cache) InvalidateURL(ctx context.Context, rawURL string) error {
	c.setup()
	u, err := readURL(rawURL)
	if err != nil {
		return fmt.Errorf("middleware: InvalidateURL: %w", err)
	}
	var marks []store.Mark
	for _, scheme := range [...]string{"http", "https"} {
		each := *u
		each.Scheme = scheme
		if u.Port() == defaultPort[u.Scheme] {
			each.Host = strings.TrimSuffix(each.Host, ":"+u.Port())
		}
		get := getOf(&each)
		under := append([]*policy.Policy{c.policyFor(get)}, c.under().folds...)
		uris := policy.URIKeys(nil, scheme, each.Host, u.EscapedPath(), u.RawQuery, u.ForceQuery, under...)
		marks = c.under().tags(c.under().marks(marks, uris), get)
	}
	return c.Invalidate(ctx, marks...)
}

var defaultPort = map[string]string{"http": "80", "https": "443"}

// readURL reads a URL that something may be stored for.
func readURL(raw string) (*url.URL, error) {
	if len(raw) > policy.MaxKey {
		return nil, fmt.Errorf("the URL is too long: %d bytes, where keys have at most %d, so nothing is stored for it", len(raw), policy.MaxKey)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is not an absolute http or https URL", raw)
	case u.User != nil:
		return nil, fmt.Errorf("%q names a user, which is no part of what is asked for: leave it out", u.Redacted())
	case strings.ContainsFunc(u.Host, func(c rune) bool { return c > unicode.MaxASCII }):
		return nil, fmt.Errorf("the host of %q is not as clients send it: write it in ASCII (xn--…)", raw)
	}
	return u, nil
}

// invalidate runs the handler of an unsafe request, and when it answers with no error (2xx or 3xx)
// invalidates the target URI and the URIs of the same origin in Location and Content-Location (RFC
// 9111 section 4.4): before the client can learn of the success, and once more when the handler has
// returned, for what was read while it finished its work.
func (x *exchange) invalidate() {
	if x.within() {
		x.next.ServeHTTP(x.w, x.r)
		return
	}
	w := &unsafeWriter{
		passWriter: passWriter{ResponseWriter: x.w, x: *x, out: policy.Outcome{Fwd: policy.FwdMethod}, quiet: x.quiet},
		before:     x.c.replica.Head(), began: time.Now(),
	}
	if before := x.w.Header(); x.req.Class == policy.Post && len(before) > 0 {
		w.outer, w.x.outside = before.Clone(), policy.ReadOutside(before, x.p)
	}
	w.watch = w
	defer w.release()
	if !w.quiet {
		defer func() { w.x.observe(w.out) }()
	}
	w.serve()
	w.finish()
	w.last.release()
}

// unsafeWriter watches the response to an unsafe request.
type unsafeWriter struct {
	passWriter
	left     bool         // to a mount inside
	around   bool         // a mount inside has left it to this one
	also     []store.Mark // of that mount
	marks    []store.Mark
	room     [2]store.Mark // for marks
	before   uint64        // the journal's number when the handler began
	marked   uint64        // ... when the header came
	began    time.Time
	entry    *store.Entry // a response to POST that later GETs may have
	body     []byte
	granted  int64       // of the cache's budget, for body
	outer    http.Header // what outer handlers had put into the header
	declared int64
	last     *lastByte // ... which its client gets when the rest is stored
	sent     policy.Sent
	way      *passage // of the header to the gate, if there is one
}

func (w *unsafeWriter) onHeader(status int, h http.Header) {
	x := &w.x
	if status < 200 || status > 399 || w.left {
		return
	}
	if policy.OfWebDAV(x.r.Method) {
		seesWebDAV{x.c}.onHeader(status, h)
	}
	if x.req.URI == "" {
		return
	}
	w.marks = append(x.changes(w.room[:0], h), w.also...)
	storable := !x.off && !w.around && x.req.Class == policy.Post && x.req.Mount != "" && status == http.StatusOK && x.req.SelfLocation(h) && x.marksSince(w.before) == 0
	if w.marked = x.invalidateNow(w.marks); storable && w.marked > 0 {
		w.record(status, h)
	}
}

// changes returns the marks of what a change by this request covers: its target, and what its answer
// with the header h names, under all policies that are known.
func (x *exchange) changes(marks []store.Mark, h http.Header) []store.Mark {
	under := x.c.under()
	var few [4]string
	marks = under.marks(marks, append(x.req.Names(few[:0], under.folds...), x.req.URI))
	marks = under.marks(marks, x.req.Related(h, under.folds...))
	uris, below := x.req.Tree(x.r, x.c.webdav.Load(), under.folds...)
	marks = under.marks(marks, uris)
	for _, prefix := range below {
		marks = appendMark(marks, store.Mark{Kind: store.Prefix, Name: prefix})
	}
	if x.req.Tag != "" {
		marks = appendMark(marks, store.Mark{Kind: store.Tag, Name: x.req.Tag})
	}
	return under.tags(marks, x.r)
}

// invalidateNow appends the marks whatever becomes of the request: the change was made.
func (x *exchange) invalidateNow(marks []store.Mark) uint64 {
	ctx := context.Background()
	if x.c.follow.shared {
		ctx = context.WithoutCancel(x.r.Context()) // with what tracing has put there
	}
	number, _ := x.c.follow.append(ctx, marks) // the follower has said what went wrong
	return number
}

// record begins to keep a response to POST that names itself the representation of the target URI
// (RFC 9110 section 9.3.3): it has explicit freshness and a Content-Location that is the target.
func (w *unsafeWriter) record(status int, h http.Header) {
	x := &w.x
	now := time.Now()
	if h["Date"] == nil {
		h["Date"] = []string{now.UTC().Format(http.TimeFormat)}
	}
	h = h.Clone()
	subtract(h, w.outer)
	a := policy.Admit(&x.req, status, x.outside.Judged(h), x.p, 0, w.began, now)
	if !a.Store || x.outside.Cookie || len(a.Vary) > 0 || !x.req.SelfLocation(h) { // the handler's own Content-Location
		return
	}
	w.declared = -1
	if v := h["Content-Length"]; len(v) == 1 {
		w.declared, _ = strconv.ParseInt(v[0], 10, 64)
	}
	w.entry = &store.Entry{
		Key: x.req.Key, URI: x.req.URI, Status: status, Header: policy.Storable(h, a.Strip),
		Requested: w.began, Received: now, Age: a.Age,
		Fresh: a.Fresh, Grace: a.Grace, IfError: a.IfError, Keep: a.Keep,
		MustRevalidate: a.MustRevalidate, Anonymous: a.Anonymous,
	}
	if x.req.Tag != "" {
		w.entry.Tags = []string{x.req.Tag}
	}
	w.out.Stored = w.declared >= 0 && w.declared <= x.maxBody() && w.entry.Size()+w.declared <= x.c.room.most
	if w.declared > 0 {
		w.last = &lastByte{ResponseWriter: w.ResponseWriter, left: w.declared}
		w.ResponseWriter = w.last
	}
	w.onSend = func() {
		w.sent = policy.SentWith(w.Header(), x.p)
		if g := x.gate(); g != nil {
			w.way = g.expect(&passage{status: status, sent: w.sent, p: x.p, e: w.entry})
		}
	}
	w.onBody = func(p []byte) {
		if w.entry == nil {
			return
		}
		if int64(len(w.body)+len(p)) > x.maxBody() || !x.c.filling.take(int64(len(p))) {
			w.entry, w.body = nil, nil
			return
		}
		w.granted += int64(len(p))
		w.body = append(w.body, p...)
	}
}

// finish invalidates again, and stores the response to POST if nothing else was invalidated meanwhile.
func (w *unsafeWriter) finish() {
	if w.quiet && !w.wrote && !w.left {
		w.onHeader(http.StatusOK, w.Header()) // somebody outside answers, who knows how
	}
	if w.marks == nil {
		return
	}
	x := &w.x
	number := x.invalidateNow(w.marks)
	e := w.entry
	w.out.Stored = false // until it is
	if e == nil || w.failed || w.late() || x.marksSince(w.marked) != len(w.marks) || number == 0 || w.declared >= 0 && w.declared != int64(len(w.body)) {
		return
	}
	e.Fill, e.Body = number, w.body
	if _, there := e.Header["Content-Type"]; !there && e.Header["Content-Encoding"] == nil && len(e.Body) > 0 {
		e.Header["Content-Type"] = []string{http.DetectContentType(e.Body)}
	}
	e.Header["Content-Length"] = []string{strconv.Itoa(len(w.body))}
	w.out.Stored = x.c.fits(e) && x.c.set(e) == nil
}

// late reports whether a field appeared while the header was sent that makes the response one for its client
// alone, as a
// session's cookie does.
func (w *unsafeWriter) late() bool {
	if w.way != nil {
		return w.way.held() || w.way.why != ""
	}
	outside := w.sent.Late(w.Header(), w.x.p)
	return outside.Objects(w.entry, w.x.p, time.Now()) != ""
}

// marksSince counts the invalidations of anything since number. A response to POST is rare enough to be
// stored only when nothing else was invalidated meanwhile.
func (x *exchange) marksSince(number uint64) int {
	if f := &x.c.follow; !f.shared {
		return int(f.numbers.Load() - number) // there are no gaps
	}
	ctx, cancel := x.c.storeContext()
	defer cancel()
	marks, _, err := x.c.follow.since(ctx, number)
	if err != nil {
		return -1
	}
	return len(marks)
}

func (w *unsafeWriter) release() { w.x.c.filling.give(w.granted) }

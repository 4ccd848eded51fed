package simulate

import (
	"crypto/tls"
	"hash/maphash"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/freshet-go/freshet/internal/accesslog"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// request is a record as the engine would have seen it. Simulators of settings that read alike
// share it, and do not modify it.
type request struct {
	*accesslog.Record
	http  *http.Request
	asked *http.Request // http with the cookies that do not count
	req   rules.Request
	plan  rules.Plan
	why   policy.Reason
	hash  uint64 // of the key
	group int32
	// bytes of the whole response, where the record's own are those of a 304: as served before
	whole int64
}

// reader makes requests of records, under settings.
type reader struct {
	governor *governor
	sizes    []seenSize
}

// seenSize is the size of the last whole response under a key, by its hash.
type seenSize struct {
	hash uint64
	size int64
}

const seenSizes = 1 << 16 // a power of two

func newReader(s *Settings) *reader {
	own := *s
	own.Policy.Off, own.TTLs = false, nil // each simulator looks for itself
	return &reader{governor: newGovernor(&own), sizes: make([]seenSize, seenSizes)}
}

var (
	seed  = maphash.MakeSeed()
	https = &tls.ConnectionState{}
)

// mount stands for the name of the handler, which is a part of keys, and so of what entries take.
const mount = "github.com/freshet-go/freshet/cmd/freshet/proxy.(*Proxy).forward-fm"

// site is the host of records that have none.
const site = "site.invalid"

// httpRequest makes the request that a record tells of. It returns nil where no server would have
// taken its target.
func httpRequest(rec *accesslog.Record) *http.Request {
	u, err := url.ParseRequestURI(rec.Target)
	if rec.Method == http.MethodConnect {
		u, err = &url.URL{Host: rec.Target}, nil
	}
	if err != nil {
		return nil
	}
	r := &http.Request{
		Method: rec.Method, URL: u, RequestURI: rec.Target, Host: rec.Host,
		Header: make(http.Header, 3+len(rec.Request)),
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	if u.Host != "" && rec.Method != http.MethodConnect {
		r.Host, u.Host, u.Scheme = u.Host, "", "" // as the request would have come with a Host
		r.RequestURI = u.RequestURI()
	}
	if r.Host == "" {
		r.Host = site
	}
	if rec.Scheme == "https" {
		r.TLS = https
	}
	for _, f := range rec.Request {
		r.Header[f.Name] = append(r.Header[f.Name], f.Value)
	}
	set(r.Header, "User-Agent", rec.UserAgent)
	set(r.Header, "Referer", rec.Referer)
	if rec.User != "" && r.Header["Authorization"] == nil {
		r.Header["Authorization"] = []string{"Basic " + rec.User}
	}
	if rec.Status == http.StatusPartialContent {
		set(r.Header, "Range", "bytes=0-")
	}
	if rec.Status == http.StatusNotModified && r.Header["If-None-Match"] == nil {
		r.Header["If-None-Match"] = []string{`"logged"`}
	}
	return r
}

func set(h http.Header, name, value string) {
	if value != "" && h[name] == nil {
		h[name] = []string{value}
	}
}

// read reads a record, whose request is r.
func (rd *reader) read(rec *accesslog.Record, r *http.Request, group int32) request {
	p := rd.governor.of(r)
	q := request{Record: rec, http: rules.WithoutIgnoredCookies(r, p), asked: r, group: group,
		whole: rec.Bytes}
	q.req.Mount = mount
	q.plan, q.why = q.req.Read(q.http, p, nil)
	if q.plan != rules.PlanLookup {
		q.http = r
		return q
	}
	q.hash = maphash.String(seed, q.req.Key)
	place := &rd.sizes[q.hash%seenSizes]
	switch {
	case rec.Status == http.StatusOK && q.req.Class == rules.ClassRead:
		*place = seenSize{q.hash, rec.Bytes}
	case rec.Status == http.StatusNotModified && place.hash == q.hash:
		q.whole = place.size
	}
	return q
}

// contentType returns the type of the response, by the end of its path where the log does not say
// it.
func (q *request) contentType() string {
	if q.ContentType != "" {
		return q.ContentType
	}
	return types[strings.ToLower(path.Ext(q.http.URL.Path))]
}

// types are the types of what apps serve as files. What is not here counts as a document, which
// lives shorter by heuristics.
var types = map[string]string{
	".avif": "image/avif", ".css": "text/css", ".gif": "image/gif", ".ico": "image/x-icon",
	".jpeg": "image/jpeg",
	".jpg":  "image/jpeg", ".js": "text/javascript", ".map": "application/octet-stream",
	".mjs": "text/javascript",
	".mp3": "audio/mpeg", ".mp4": "video/mp4", ".otf": "font/otf", ".pdf": "application/pdf",
	".png": "image/png",
	".svg": "image/svg+xml", ".ttf": "font/ttf", ".txt": "text/plain", ".wasm": "application/wasm",
	".webm": "video/webm",
	".webp": "image/webp", ".woff": "font/woff", ".woff2": "font/woff2", ".zip": "application/zip",
	".gz":  "application/gzip",
	".xml": "application/xml", ".json": "application/json", ".html": "text/html",
	".htm": "text/html",
}

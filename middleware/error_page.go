package middleware

import (
	"bytes"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// What clients get that do not ask for HTML is as Kinto has it.
var (
	unavailableText = errorText{"Service Unavailable",
		"Service temporary unavailable due to overloading or maintenance, please retry later."}
	overdueText = errorText{"Gateway Timeout",
		"The response took too long to make, please retry later."}
)

// errorText is what the Cache's own page of an error says.
type errorText struct{ title, message string }

// json returns the body for programs.
func (t errorText) json(status int) string {
	return `{"code":` + strconv.Itoa(status) + `,"errno":201,"error":"` + t.title + `","message":"` +
		t.message + `"}`
}

// html returns the body for browsers. It has nothing of the request.
func (t errorText) html() string {
	return "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">" +
		"<meta name=\"viewport\" content=\"width=device-width\"><title>" + t.title + "</title>\n<h1>" +
		t.title + "</h1>\n<p>" + t.message + "</p>\n"
}

// errorPage returns the header and the body of a 503 or 504 that the Cache answers itself, because
// of why: the app's own, or one of ours.
func (x *exchange) errorPage(status int, why policy.Reason) (http.Header, []byte) {
	h, body := x.appsErrorPage(status, why)
	if h == nil {
		h, body = ownErrorPage(x.r, status)
	}
	rules.KeepFromAll(h)
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	after := x.c.options.RetryAfter
	if status == http.StatusServiceUnavailable && after > 0 && h["Retry-After"] == nil {
		h["Retry-After"] = []string{strconv.FormatInt(int64((after+time.Second-1)/time.Second), 10)}
	}
	return h, body
}

// ownErrorPage returns HTML for a client that asks for that and not for JSON, as browsers do, and
// else JSON.
func ownErrorPage(r *http.Request, status int) (http.Header, []byte) {
	text := unavailableText
	if status == http.StatusGatewayTimeout {
		text = overdueText
	}
	accept := strings.ToLower(strings.Join(r.Header["Accept"], ","))
	if strings.Contains(accept, "text/html") && !strings.Contains(accept, "json") {
		return http.Header{"Content-Type": {"text/html; charset=utf-8"}}, []byte(text.html())
	}
	return http.Header{"Content-Type": {"application/json"}}, []byte(text.json(status))
}

// appsErrorPage returns what Options.ErrorPage writes, or nil where there is none, or it panics. It
// is not called for a run in the background, whose page nobody gets.
func (x *exchange) appsErrorPage(status int, why policy.Reason) (h http.Header, body []byte) {
	page := x.c.options.ErrorPage
	if page == nil || x.refresh != nil {
		return nil, nil
	}
	w := &pageWriter{header: http.Header{}}
	defer func() {
		if v := recover(); v != nil {
			h, body = nil, nil
			x.c.options.Log.Error("freshet: Options.ErrorPage panicked, so that the client gets the "+
				"Cache's own page", "path", x.r.URL.Path, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	page(w, x.r, status, why)
	if w.header["Content-Type"] == nil {
		w.header["Content-Type"] = []string{http.DetectContentType(w.body.Bytes())}
	}
	return w.header, w.body.Bytes()
}

// pageWriter keeps what Options.ErrorPage writes.
type pageWriter struct {
	header http.Header
	body   bytes.Buffer
}

func (w *pageWriter) Header() http.Header         { return w.header }
func (w *pageWriter) WriteHeader(int)             {} // the Cache has chosen it
func (w *pageWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// sendUnavailable sends a 503, which nobody stores, and sendOverdue a 504.
func (x *exchange) sendUnavailable(out *policy.Outcome) {
	x.sendErrorPage(http.StatusServiceUnavailable, out)
}

func (x *exchange) sendOverdue(out *policy.Outcome) {
	x.sendErrorPage(http.StatusGatewayTimeout, out)
}

func (x *exchange) sendErrorPage(status int, out *policy.Outcome) {
	h, body := x.errorPage(status, out.Detail)
	x.headerOfError(h, out)
	x.head(status)
	if x.req.Class != rules.ClassHead {
		x.w.Write(body)
	}
}

// headerOfError fills the client's header with that of an error that the Cache answers itself.
// Nobody keeps it, whatever handlers outside say of what they answer: who can cause one would have
// a CDN give it to everybody.
func (x *exchange) headerOfError(h http.Header, out *policy.Outcome) {
	rules.KeepFromAll(h)
	rules.DropLifetimes(x.w.Header())
	x.header(h, nil, -1, out)
}

// writeErrorPage writes one into a response that a mount around answers.
func (x *exchange) writeErrorPage(w http.ResponseWriter, status int, why policy.Reason) {
	h, body := x.errorPage(status, why)
	rules.DropLifetimes(w.Header())
	for name, values := range h {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	if x.req.Class != rules.ClassHead {
		w.Write(body)
	}
}

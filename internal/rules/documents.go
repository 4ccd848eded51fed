package rules

import (
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// heuristicOf returns the lifetime that p guesses for a response without one: HeuristicLifetime,
// and for a document at most HeuristicDocumentMax.
func heuristicOf(p *policy.Policy, status int, h http.Header, received time.Time) time.Duration {
	lifetime, ok := HeuristicLifetime(status, h, received, p.HeuristicMax)
	if !ok || !isDocument(h) {
		return lifetime
	}
	limit := p.HeuristicDocumentMax
	if limit == 0 {
		limit = DefaultHeuristicDocumentMax
	}
	return min(lifetime, max(limit, 0)).Truncate(time.Second)
}

// isDocument reports whether a response is of a kind whose readers wait for what is new in it: a
// page, a feed, a calendar or data. How long it stood unchanged says little of when it will change.
// Pictures, scripts, stylesheets, plain text and downloads are none. A response without a type, or
// with several, can be any of them, and browsers take such a one for a page.
func isDocument(h http.Header) bool {
	media := mediaType(h)
	switch media {
	case "", "text/html", "text/xml", "text/json", "text/calendar",
		"application/xml", "application/json", "application/x-ndjson":
		return true
	}
	return !strings.HasPrefix(media, "image/") &&
		(strings.HasSuffix(media, "+xml") || strings.HasSuffix(media, "+json"))
}

// mediaType is the response's type in lower case, without parameters; empty where it has none, or
// several, also in one line: of "text/css; x=y, text/html" browsers take the last.
func mediaType(h http.Header) string {
	line := sole(h, "Content-Type")
	if strings.Contains(line, ",") {
		return ""
	}
	media, _, _ := strings.Cut(line, ";")
	return strings.ToLower(trimOWS(media))
}

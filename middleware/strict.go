package middleware

import (
	"net/http"
	"strconv"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// unavailableBody is the body of a 503, as Kinto has it.
const unavailableBody = `{"code":503,"errno":201,"error":"Service Unavailable","message":"Service temporary ` +
	`unavailable due to overloading or maintenance, please retry later."}`

// unavailable answers a request with 503 because the store or its journal fails, and Options.Strict
// says so. For a refresh in the background that is an error of the moment; see nowhere.refused.
func (x *exchange) unavailable(why policy.Reason) {
	out := policy.Outcome{Detail: why}
	x.sendUnavailable(&out)
	x.observe(out)
}

// sendUnavailable sends the 503.
func (x *exchange) sendUnavailable(out *policy.Outcome) {
	x.header(x.c.unavailableHeader(), nil, -1, out)
	x.head(http.StatusServiceUnavailable)
	if x.req.Class != rules.ClassHead {
		x.w.Write([]byte(unavailableBody))
	}
}

// unavailableHeader is the header of a 503.
func (c *Cache) unavailableHeader() http.Header {
	h := http.Header{
		"Cache-Control": {"no-store"}, "Content-Type": {"application/json"},
		"Content-Length": {strconv.Itoa(len(unavailableBody))},
	}
	if after := c.options.RetryAfter; after > 0 {
		h["Retry-After"] = []string{strconv.FormatInt(int64((after+time.Second-1)/time.Second), 10)}
	}
	return h
}

package middleware

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// arrival is what a request was like when it came to the app's Root or Guard. Handlers between that
// and a mount may have changed it: one that puts a slash behind a path, or a proxy's host into the
// place of the connection's, so that the mount knows the resource by another URL than its clients
// and the app's own invalidations; and one that takes a token off the request, once it has found
// out whose it is.
type arrival struct {
	context.Context
	host, target  string
	header        http.Header // the very map
	authorization []string    // its Authorization, if it had one
	remote        string
}

func arrivalOf(r *http.Request) arrival {
	return arrival{r.Context(), r.Host, r.RequestURI, r.Header, r.Header["Authorization"], r.RemoteAddr}
}

// is reports whether r is known to be the request that arrived, and not one that a handler has
// made. A clone with another RequestURI is not known to be. The runs around it have given their
// handlers the header in maps of their own.
func (a *arrival) is(r *http.Request, around *Response) bool {
	if a.target == r.RequestURI {
		return true
	}
	is := mapOf(r.Header)
	if mapOf(a.header) == is {
		return true
	}
	for ; around != nil && around.run != nil; around = around.run.x.around {
		if around.run.x.came && around.run.gave.Load() == is {
			return true
		}
	}
	return false
}

// lookAround finds out what is around the request, which came to the mount as r: mounts, a run, and
// the Root or Guard that it arrived at.
func (x *exchange) lookAround(r *http.Request) {
	switch speaks := x.r.Context().Value(speakingKey{}).(type) {
	case *gatedContext:
		x.arrival, x.over = &speaks.arrival, &speaks.gate.veil
		x.around, x.passing = passedOr(speaks.Context)
	case *Response:
		x.around = speaks
		if speaks.run != nil {
			x.arrival, x.over = speaks.run.x.arrival, &speaks.run.leaves.veil
		}
	case *passed:
		x.around, x.passing, x.arrival = speaks.x.around, speaks, speaks.x.arrival
		x.over = speaks.x.over
	}
	x.came = x.arrival != nil && x.arrival.is(r, x.around)
}

// readArrival finds out what handlers have changed of the request since it arrived. An
// Authorization that is gone says as much of the response as one that is there (RFC 9111 section
// 3.5), at a mount within another one as well, and so it does for any request with the context of
// the one that arrived: one that a handler has made, for a part of a page say, looks the same as a
// clone with another URL, and its handler may learn from the context who asks.
func (x *exchange) readArrival() {
	a := x.arrival
	if a == nil {
		return
	}
	if len(a.authorization) > 0 {
		x.req.Authorized(a.authorization)
		x.taken = !slices.Equal(a.authorization, x.r.Header["Authorization"])
	}
	if x.came && (a.target != x.r.RequestURI || a.host != x.r.Host) {
		x.arrivedAs = a.names(x.req.Scheme, x.p)
	}
}

// matches reports whether the request selects e, which varies by e.Vary.
func (x *exchange) matches(e *store.Entry) bool {
	h := x.r.Header
	if x.taken && e.Vary["Authorization"] != nil {
		h = x.authorized()
	}
	return rules.Matches(e.Vary, h)
}

// selects returns the header by which the request selects responses that vary by fields.
func (x *exchange) selects(fields []string) http.Header {
	if x.taken && slices.Contains(fields, "authorization") {
		return x.authorized()
	}
	return x.r.Header
}

// authorized returns the request's header with the Authorization that it arrived with: the handler's
// response varies by that, although it does not see the field.
func (x *exchange) authorized() http.Header {
	h := maps.Clone(x.r.Header)
	if h == nil {
		h = http.Header{}
	}
	h["Authorization"] = slices.Concat(x.arrival.authorization, h["Authorization"])
	return h
}

// names returns the URI texts of what the client asked for, as it is and under the policies.
func (a *arrival) names(scheme string, under ...*policy.Policy) []string {
	u, err := url.ParseRequestURI(a.target)
	if err != nil {
		return nil
	}
	host := a.host
	if u.Host != "" {
		host = u.Host
	}
	return rules.URIKeys(nil, scheme, host, u.EscapedPath(), u.RawQuery, u.ForceQuery, under...)
}

// arrivedCoverage returns the coverage, for what has the number and was begun when so many marks had
// been held, of the URIs by which the client asked for it.
func (x *exchange) arrivedCoverage(number, held uint64) invalidation.Coverage {
	c := invalidation.CoverageNone
	for _, uri := range x.arrivedAs {
		c = max(c, x.c.journal.CoversSince(&store.Entry{URI: uri, Number: number}, held))
	}
	return c
}

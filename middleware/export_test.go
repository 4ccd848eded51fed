package middleware

import (
	"net/http"

	"github.com/freshet-go/freshet/explain"
)

// Live has a request explained while it is answered as ever. end returns the explanation, once the
// request is over.
func Live(r *http.Request) (traced *http.Request, end func() *explain.Explanation) {
	t := &trace{mode: traceLive}
	r = t.traced(r)
	return r, func() *explain.Explanation {
		untrace()
		return t.explanation(r)
	}
}

// Explaining is how many requests carry a trace.
func Explaining() int64 { return explaining.Load() }

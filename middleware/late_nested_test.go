package middleware_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A mount inside http.TimeoutHandler that the request reaches only when time is over has nothing
// more to say of the response: the outer mount's run is at its end, in another goroutine.
func TestANestedMountThatIsReachedWhenTimeIsOver(t *testing.T) {
	c := newCache(t, middleware.Options{Policy: func(*http.Request) *policy.Policy {
		return &minute
	}})
	goOn, reached := make(chan struct{}), make(chan struct{})
	inner := c.With(policy.Policy{TTL: time.Hour})(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		defer close(reached)
		io.WriteString(w, "page")
	}))
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(goOn)
		inner.ServeHTTP(w, r)
	})
	h := c.Handler(http.TimeoutHandler(slow, 10*time.Millisecond, "late"))
	want(t, "status", get(h, "/").StatusCode, http.StatusServiceUnavailable)
	<-goOn
	<-reached
}

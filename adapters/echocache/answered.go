package echocache

import (
	"errors"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// An error that comes out of a handler whose response has begun is one of two things: the handler
// broke off in mid-response; or a middleware inside, or a mount of the cache, has had the error
// answered and passes it on to those outside, as echo's RequestLogger does. Nothing of echo's tells
// one from the other, so the adapter notes who was writing when the response began.

// beginning is how the response of a visit began.
type beginning struct {
	callers []uintptr // of Response.WriteHeader
	behind  bool      // the header came from a middleware of net/http that had held it back
}

// note is a hook of Response.Before.
func (b *beginning) note(c echo.Context, inner *echo.Response) {
	var stack [128]uintptr
	n := runtime.Callers(3, stack[:]) // without Callers, note and the closure that calls it
	b.callers = slices.Clone(stack[:n])
	top := c.Response()
	b.behind = top != inner && top.Committed
}

// answered reports whether err has had its answer, in inner, before the handler returned it.
func (v *visit) answered(inner *echo.Response, err error) bool {
	e := v.client.c.Echo()
	switch {
	case insideAnswered(v.client.c, inner):
		return true
	case v.beginning.behind:
		return inner.Status >= 400 && inner.Status == statusOf(err)
	}
	return calls(v.beginning.callers, e.HTTPErrorHandler)
}

// answeredKey is where a mount leaves the Response that holds an error's answer, for mounts around
// it.
const answeredKey = "freshet: answered"

// insideAnswered reports whether a mount inside has answered an error, and what it wrote to goes to
// inner.
func insideAnswered(c echo.Context, inner *echo.Response) bool {
	answered, ok := c.Get(answeredKey).(*echo.Response)
	if !ok {
		return false
	}
	for w := http.ResponseWriter(answered); w != nil; {
		if w == http.ResponseWriter(inner) {
			return true
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = wrapper.Unwrap()
	}
	return false
}

// contextError is the method of echo's Context by which middlewares have an error answered.
var contextError = reflect.TypeFor[echo.Context]().PkgPath() + ".(*context).Error"

// calls reports whether Context.Error or the app's handler of errors is among the callers.
func calls(callers []uintptr, handler echo.HTTPErrorHandler) bool {
	if len(callers) == 0 {
		return false
	}
	// of a method value
	name := strings.TrimSuffix(runtime.FuncForPC(reflect.ValueOf(handler).Pointer()).Name(), "-fm")
	frames := runtime.CallersFrames(callers)
	for {
		f, more := frames.Next()
		if f.Function == name || f.Function == contextError {
			return true
		}
		if !more {
			return false
		}
	}
}

// statusOf is what echo's own handler of errors answers err with.
func statusOf(err error) int {
	var he *echo.HTTPError
	if errors.As(err, &he) {
		return he.Code
	}
	return http.StatusInternalServerError
}

// throwsErrorsAway reports whether w writes to http.TimeoutHandler, by which echo's Timeout runs
// handlers: it throws away what was written when the handler returns an error.
func throwsErrorsAway(w http.ResponseWriter) bool {
	for w != nil {
		if t := reflect.TypeOf(w); t.Kind() == reflect.Pointer &&
			t.Elem().PkgPath() == "net/http" && t.Elem().Name() == "timeoutWriter" {
			return true
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = wrapper.Unwrap()
	}
	return false
}

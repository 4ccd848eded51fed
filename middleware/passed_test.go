package middleware_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A response that is not stored says why, each time: that nobody waits for it any more, because the
// one before was not to be shared either, hides no reason. Options.Observe hears of both.
func TestEveryAnswerKeepsItsReason(t *testing.T) {
	for _, s := range []struct {
		says   [2]string // a field
		detail policy.Reason
	}{
		{[2]string{"Set-Cookie", "a=b"}, rules.ReasonSetCookie},
		{[2]string{"Cache-Control", "private"}, rules.ReasonPrivate},
		{[2]string{"Cache-Control", "no-store"}, rules.ReasonNoStore},
		{[2]string{"Vary", "*"}, rules.ReasonVaryStar},
	} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			passed := map[policy.Reason]int{}
			c := newCache(t, middleware.Options{
				Observe: func(_ *http.Request, o middleware.Event) {
					mu.Lock()
					defer mu.Unlock()
					passed[o.Passed]++
				},
			})
			h := c.With(policy.Policy{TTL: time.Minute})(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set(s.says[0], s.says[1])
					time.Sleep(time.Second)
					fmt.Fprint(w, "mine")
				}))
			var all sync.WaitGroup
			for i := range 20 { // some wait, and some come when it is remembered that they need not
				all.Go(func() {
					// and none at the very moment
					time.Sleep(time.Duration(i) * 95 * time.Millisecond)
					status(t, get(h, "/"), "detail="+string(s.detail))
				})
			}
			all.Wait()
			mu.Lock()
			defer mu.Unlock()
			if passed[s.detail] != 19 || passed[""] != 1 {
				t.Errorf("passed for these reasons: %v, want 19 times %v and once for none", passed,
					s.detail)
			}
		})
	}
}

// What is stored says so and no reason, though it was not waited for; and what passed is forgotten
// in time.
func TestPassedAndStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last policy.Outcome
		c := newCache(t, middleware.Options{Observe: func(_ *http.Request, o middleware.Event) {
			last = o.Outcome
		}})
		o := &origin{}
		o.h = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			if o.runs.Load() == 1 {
				w.Header().Set("Set-Cookie", "a=b")
			}
		}
		h := c.Handler(o)
		get(h, "/")
		r := get(h, "/")
		want(t, "Cache-Status", r.Header.Get("Cache-Status"),
			"Freshet; fwd=uri-miss; fwd-status=200; stored")
		want(t, "passed", last.Passed, rules.ReasonSetCookie)
		o.runs.Store(0)
		get(h, "/2")
		time.Sleep(11 * time.Second)
		get(h, "/2")
		want(t, "passed, later", last.Passed, policy.Reason(""))
	})
}

// A request that passes has what the cache says in its header, also when its handler asked in vain
// for the connection; when it got that, nothing is written any more.
func TestAConnectionThatPasses(t *testing.T) {
	for _, given := range []bool{false, true} {
		w := &hijackable{ResponseRecorder: httptest.NewRecorder(), given: given}
		newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _, err := http.NewResponseController(w).Hijack()
			want(t, "it is given", err == nil, given)
		})).ServeHTTP(w, httptest.NewRequest("OPTIONS", "/", nil))
		want(t, fmt.Sprint("headers written, given=", given), w.headers == 0, given)
	}
}

// hijackable is a client whose connection may be had.
type hijackable struct {
	*httptest.ResponseRecorder
	given   bool
	headers int
}

func (w *hijackable) WriteHeader(status int) {
	w.headers++
	w.ResponseRecorder.WriteHeader(status)
}

func (w *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.given {
		return nil, nil, nil
	}
	return nil, nil, http.ErrNotSupported
}

// A response whose header nobody has seen go out was not shared for that reason, and not because
// requests have to ask.
func TestWhatIsSaidAfterAHeaderThatNeverWentOut(t *testing.T) {
	var passed []policy.Reason
	c := newCache(t, middleware.Options{Observe: func(_ *http.Request, out middleware.Event) {
		passed = append(passed, out.Passed)
	}})
	page := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		io.WriteString(w, "page")
	}))
	h := c.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// a writer of an app's own, which answers otherwise
		page.ServeHTTP(&blank{http.Header{}}, r)
		w.WriteHeader(http.StatusTeapot)
	}))
	get(h, "/")
	get(h, "/")
	want(t, "passed", fmt.Sprint(passed), "[ held]")
}

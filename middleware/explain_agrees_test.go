package middleware_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/internal/cachetest"
	"github.com/freshet-go/freshet/middleware"
)

// An explanation is written on the walk that decides: for every request of the behaviour table it
// has the outcome that Cache-Status tells, and what was foreseen by looking only is what came.
func TestExplanationsAgreeWithCacheStatus(t *testing.T) {
	var compared, foreseen atomic.Int64
	mount := func(t *testing.T, s cachetest.Site) http.Handler {
		c := cachetest.NewCache(t, s)
		app := c.Root(c.Handler(s.Origin))
		return &agreeing{t: t, c: c, app: app, compared: &compared, foreseen: &foreseen}
	}
	t.Run("table", func(t *testing.T) {
		cachetest.Run(t, mount)
		cachetest.RunHandlers(t, mount)
	})
	if compared.Load() < 500 || foreseen.Load() < 300 {
		t.Errorf("%d explanations were compared and %d foreseen, want some 500 and 300: this "+
			"test looks away", compared.Load(), foreseen.Load())
	}
}

// agreeing explains each request of an app before it is answered, and while.
type agreeing struct {
	t                  *testing.T
	c                  *middleware.Cache
	app                http.Handler
	running            atomic.Int64
	came               atomic.Int64
	compared, foreseen *atomic.Int64
}

func (g *agreeing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	before := g.running.Add(1)
	came := g.came.Add(1)
	defer g.running.Add(-1)
	look, err := g.c.Explain(r.Context(), r.WithContext(context.Background()),
		middleware.ExplainOptions{})
	if err != nil && r.Context().Err() == nil {
		g.t.Errorf("%s %s: %v", r.Method, r.RequestURI, err)
	}
	live, end := middleware.Live(r)
	returned := false
	defer func() {
		x := end()
		if returned {
			g.compare(w, r, x)
			// which carries the ticket that a look has not
			refresh := fmt.Sprintf("%T", w) == "*middleware.nowhere"
			if alone := before == 1 && g.came.Load() == came; look != nil && alone && !refresh {
				g.compareForeseen(r, look, x)
			}
		}
	}()
	g.app.ServeHTTP(w, live)
	returned = true
}

func (g *agreeing) compare(w http.ResponseWriter, r *http.Request, x *explain.Explanation) {
	g.compared.Add(1)
	values := w.Header()["Cache-Status"]
	if len(values) == 0 {
		if x.Outcome != "" {
			g.t.Errorf("%s %s: the explanation says %q, and Cache-Status nothing", r.Method,
				r.RequestURI, x.Outcome)
		}
		return
	}
	told := strings.TrimPrefix(values[len(values)-1], "Freshet; ")
	if x.Outcome != told && x.Outcome != strings.Replace(told, "; detail", "; stored; detail", 1) &&
		!streamed(w, x.Outcome, told) {
		g.t.Errorf("%s %s: the explanation says %q, and Cache-Status %q", r.Method, r.RequestURI,
			x.Outcome, told)
	}
	text, err := json.Marshal(x)
	if err != nil {
		g.t.Error(err)
	}
	for _, name := range []string{"Cookie", "Authorization", "X-Forwarded-User"} {
		for _, value := range r.Header[name] {
			if _, secret, _ := strings.Cut(value, "="); len(secret) > 3 && strings.Contains(string(text), secret) {
				g.t.Errorf("%s %s: the explanation has the value of %s: %s", r.Method, r.RequestURI,
					name, text)
			}
		}
	}
}

// streamed reports whether what the header could not know yet is all that tells two outcomes apart:
// whether a response that streams without a length is stored in the end.
func streamed(w http.ResponseWriter, outcome, told string) bool {
	end, _, _ := strings.Cut(strings.Replace(outcome, "; stored", "", 1), "; detail")
	begin, _, _ := strings.Cut(strings.Replace(told, "; stored", "", 1), "; detail")
	return end == begin && w.Header().Get("Content-Length") == ""
}

func (g *agreeing) compareForeseen(r *http.Request, look, x *explain.Explanation) {
	g.foreseen.Add(1)
	if !look.Would {
		g.t.Errorf("%s %s: looking says that something was done: %q", r.Method, r.RequestURI,
			look.Verdict)
	}
	if a, b := word(look.Outcome), word(x.Outcome); a != b {
		g.t.Errorf("%s %s: foreseen was %q, and %q came", r.Method, r.RequestURI, look.Outcome,
			x.Outcome)
	}
}

// word is the first parameter of an outcome: hit, or fwd with its word.
func word(outcome string) string {
	first, _, _ := strings.Cut(outcome, ";")
	return first
}

package echocache_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/freshet-go/freshet/adapters/echocache"
	"github.com/freshet-go/freshet/policy"
)

// Outer middlewares find in echo's Response what the client got: from the store or from a handler.
func TestOuterLoggerSeesWhatTheClientGot(t *testing.T) {
	a := newApp(t)
	a.Use(echocache.Middleware(a.cache))
	a.GET("/page", a.counted(page("twelve bytes")))
	a.HEAD("/page", a.counted(page("twelve bytes")))
	a.GET("/none", a.counted(func(c echo.Context) error { return nil }))

	tag := ""
	for _, step := range []struct {
		what, method, target string
		header               []string
		status               int
		size                 int64
		cache                string
		runs                 int64
	}{
		{"a miss", "GET", "/page", nil, 200, 12, "fwd=uri-miss", 1},
		{"a hit", "GET", "/page", nil, 200, 12, "hit", 1},
		{"a validated hit", "GET", "/page", []string{"If-None-Match", "tag"}, 304, 0, "hit", 1},
		{"a part", "GET", "/page", []string{"Range", "bytes=0-3"}, 206, 4, "hit", 1},
		{"HEAD", "HEAD", "/page", nil, 200, 0, "hit", 1},
		{"another key", "GET", "/page?b", nil, 200, 12, "fwd=uri-miss", 2},
		{"an unsafe method", "POST", "/page", nil, 405, 33, "fwd=method", 2},
		{"no route", "GET", "/lost", nil, 404, 24, "fwd=uri-miss", 2},
		{"a silent handler", "GET", "/none", nil, 200, 0, "fwd=uri-miss", 3},
	} {
		for i, v := range step.header {
			if v == "tag" {
				step.header[i] = tag
			}
		}
		r := a.ask(step.method, step.target, step.header...)
		if v := r.Header().Get("ETag"); v != "" {
			tag = v
		}
		want(t, step.what+": status", r.Code, step.status)
		want(t, step.what+": bytes", int64(r.Body.Len()), step.size)
		cacheStatus(t, r.Header(), step.cache)
		want(t, step.what+": logged status", a.last().status, step.status)
		want(t, step.what+": logged size", a.last().size, step.size)
		want(t, step.what+": runs", a.runs.Load(), step.runs)
	}
}

// Those that read along with a fill are accounted for like any other.
func TestFollowersAreAccountedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t)
		a.Use(echocache.Middleware(a.cache))
		a.GET("/slow", a.counted(func(c echo.Context) error {
			time.Sleep(time.Second)
			return page("slow")(c)
		}))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { want(t, "body", a.ask("GET", "/slow").Body.String(), "slow") })
		}
		all.Wait()
		want(t, "runs", a.runs.Load(), 1)
		want(t, "requests logged", len(a.lines), 20)
		for _, l := range a.lines {
			want(t, "logged", l, line{200, 4, nil})
		}
	})
}

// An error that a handler returns becomes its page inside, which is judged like any response.
func TestErrorPageIsRecorded(t *testing.T) {
	gone := echo.NewHTTPError(http.StatusGone, "moved out")
	careless := func(err error, c echo.Context) { // looks at no Committed
		c.String(http.StatusGone, "custom: "+err.Error())
	}
	for _, story := range []struct {
		name    string
		handler echo.HTTPErrorHandler
		body    string
	}{
		{"echo's own page", nil, `{"message":"moved out"}` + "\n"},
		{"a handler of errors that does not look at Committed", careless, "custom: " +
			gone.Error()},
	} {
		t.Run(story.name, func(t *testing.T) {
			a := newApp(t)
			if story.handler != nil {
				a.HTTPErrorHandler = story.handler
			}
			a.Use(echocache.Middleware(a.cache))
			a.GET("/gone", a.counted(func(c echo.Context) error {
				c.Response().Header().Set("Cache-Control", "max-age=60")
				return gone
			}))
			for i, err := range []error{gone, nil, nil} { // the hits have no error: nothing failed
				r := a.ask("GET", "/gone")
				want(t, "status", r.Code, http.StatusGone)
				want(t, "body", r.Body.String(), story.body)
				want(t, "logged", a.last(), line{http.StatusGone, int64(len(story.body)), err})
				cacheStatus(t, r.Header(), []string{"stored", "hit", "hit"}[i])
			}
			want(t, "runs", a.runs.Load(), 1)
		})
	}
}

// An error page without a lifetime of its own is not stored, whatever the route's lifetime is.
func TestErrorPageGetsNoLifetimeFromThePolicy(t *testing.T) {
	a := newApp(t)
	a.GET("/broken", a.counted(func(c echo.Context) error { return errors.New("boom") }),
		echocache.With(a.cache, policy.Policy{TTL: time.Hour}))
	for range 2 {
		r := a.ask("GET", "/broken")
		want(t, "status", r.Code, 500)
		want(t, "body", r.Body.String(), `{"message":"Internal Server Error"}`+"\n")
	}
	want(t, "runs", a.runs.Load(), 2)
}

func TestStaleStandsInForAnErrorPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t)
		boom := errors.New("boom")
		a.GET("/", a.counted(func(c echo.Context) error {
			if a.runs.Load() > 1 {
				return boom
			}
			return page("good")(c)
		}), echocache.With(a.cache, policy.Policy{StaleIfError: time.Hour}))
		want(t, "first", a.ask("GET", "/").Body.String(), "good")
		time.Sleep(2 * time.Minute)
		r := a.ask("GET", "/")
		want(t, "status", r.Code, 200)
		want(t, "body", r.Body.String(), "good")
		want(t, "logged", a.last(), line{200, 4, boom})
		want(t, "runs", a.runs.Load(), 2)
	})
}

// An error that the app's handler of errors has no page for leaves no response to store: echo's
// empty 200 is nobody's answer.
func TestErrorWithoutPageIsNotStored(t *testing.T) {
	a := newApp(t)
	boom := errors.New("boom")
	a.HTTPErrorHandler = func(error, echo.Context) {}
	a.Use(echocache.Middleware(a.cache))
	a.GET("/", a.counted(func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "max-age=60")
		return boom
	}))
	for range 2 {
		want(t, "status", a.ask("GET", "/").Code, 200) // as echo has it
		want(t, "logged", a.last(), line{200, 0, boom})
	}
	want(t, "runs", a.runs.Load(), 2)
}

// A panic that nothing was sent for is the outer Recover's, and one inside is a page that is
// recorded.
func TestPanic(t *testing.T) {
	for _, inside := range []bool{false, true} {
		t.Run(fmt.Sprintf("recovered inside %v", inside), func(t *testing.T) {
			a := newApp(t)
			if !inside {
				a.Use(recovers)
			}
			a.Use(echocache.Middleware(a.cache))
			if inside {
				a.Use(recovers)
			}
			a.GET("/panic", a.counted(func(c echo.Context) error {
				c.Response().Header().Set("Cache-Control", "max-age=60")
				panic(echo.NewHTTPError(http.StatusTeapot, "no tea"))
			}))
			a.GET("/ok", page("ok"))
			for range 2 {
				r := a.ask("GET", "/panic")
				want(t, "status", r.Code, http.StatusTeapot)
				want(t, "body", r.Body.String(), `{"message":"no tea"}`+"\n")
				want(t, "logged status", a.last().status, http.StatusTeapot)
				want(t, "after a panic", a.ask("GET", "/ok").Body.String(), "ok")
			}
			want(t, "runs", a.runs.Load(), map[bool]int64{false: 2, true: 1}[inside])
		})
	}
}

// The hooks of an outer Response run once a request, with the outer Response in the Context, and
// what they say is for this client alone.
func TestOuterHooks(t *testing.T) {
	const long = 100 << 10
	for _, story := range []struct {
		name string
		h    echo.HandlerFunc
	}{
		{"held back", page(strings.Repeat("x", 100))},
		{"streamed", page(strings.Repeat("x", long))},
		{"not stored", func(c echo.Context) error {
			return c.String(200, strings.Repeat("x", long))
		}},
	} {
		t.Run(story.name, func(t *testing.T) {
			a := newApp(t)
			var before, after int
			a.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					user := c.QueryParam("user")
					outer := c.Response()
					c.Response().Before(func() {
						before++
						c.Response().Header().Set("X-User", user)
						if c.Response() != outer {
							t.Error("the Context has not the Response that the hook was " +
								"registered on")
						}
					})
					c.Response().After(func() { after++ })
					return next(c)
				}
			})
			a.Use(echocache.With(a.cache,
				policy.Policy{Key: policy.KeyOptions{DropParams: []string{"user"}}}))
			a.GET("/", a.counted(func(c echo.Context) error {
				inner := c.Response()
				ran := 0
				inner.Before(func() { ran++ })
				err := story.h(c)
				want(t, "the handler's own hooks", ran, 1)
				want(t, "the handler's Response", c.Response(), inner)
				return err
			}))
			for i, user := range []string{"ada", "bob", "eve"} {
				r := a.ask("GET", "/?user="+user)
				want(t, "X-User", r.Header().Get("X-User"), user)
				want(t, "hooks before", before, i+1)
				want(t, "hooks after", after, i+1)
			}
		})
	}
}

// Mounted outside of echo's Gzip or inside, a client that takes no gzip gets none, and one that
// does can read what it gets.
func TestGzip(t *testing.T) {
	for _, outside := range []bool{true, false} {
		t.Run(fmt.Sprintf("gzip outside %v", outside), func(t *testing.T) {
			a := newApp(t)
			if outside {
				a.Use(zips, echocache.Middleware(a.cache))
			} else {
				a.Use(echocache.Middleware(a.cache), zips)
			}
			text := strings.Repeat("compress me ", 8000)
			a.GET("/", a.counted(page(text)))
			for range 2 {
				want(t, "plain", a.ask("GET", "/").Body.String() == text, true)
				r := a.ask("GET", "/", "Accept-Encoding", "gzip")
				want(t, "Content-Encoding", r.Header().Get("Content-Encoding"), "gzip")
				z, err := gzip.NewReader(r.Body)
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(z)
				want(t, "unzipped", string(b) == text && err == nil, true)
			}
			want(t, "runs", a.runs.Load(), map[bool]int64{true: 1, false: 2}[outside])
		})
	}
}

// An app's own Context comes through to its handlers.
func TestOwnContext(t *testing.T) {
	type own struct {
		echo.Context
		name string
	}
	a := newApp(t)
	a.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error { return next(&own{c, "mine"}) }
	}, echocache.Middleware(a.cache))
	a.GET("/", a.counted(func(c echo.Context) error { return page(c.(*own).name)(c) }))
	for range 2 {
		want(t, "body", a.ask("GET", "/").Body.String(), "mine")
	}
	want(t, "runs", a.runs.Load(), 1)
}

func TestWrongWiringFailsAtStart(t *testing.T) {
	defer func() {
		if v := fmt.Sprint(recover()); !strings.Contains(v, "freshet.New") {
			t.Errorf("it does not say what to do: %v", v)
		}
	}()
	echocache.Middleware(nil)
}

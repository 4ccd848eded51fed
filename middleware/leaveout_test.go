package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	// registers with http.DefaultServeMux, as in the apps that it is forgotten in
	_ "net/http/pprof"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

func wholeApp(t *testing.T, leaveOut []string, p policy.Policy) (*middleware.Cache, *origin) {
	c := newCache(t, middleware.Options{LeaveOut: leaveOut,
		Policy: func(*http.Request) *policy.Policy { return &p }})
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		if r.URL.RawQuery == "says" {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		fmt.Fprint(w, o.runs.Load())
	}
	return c, o
}

// What is left out lives by its own headers, whatever the app's policy says.
func TestLeaveOut(t *testing.T) {
	for _, s := range []struct {
		list []string
		path string
		left bool
	}{
		{nil, "/", false}, {nil, "/debug/", true}, {nil, "/debug/pprof/heap", true},
		{nil, "/debug", false},
		{nil, "/debugging", false},
		{nil, "/metrics", true}, {nil, "/metrics/a", true}, {nil, "/metrics-guide", false},
		{nil, "/health", true},
		{nil, "/healthz", true},
		{nil, "/healthy-recipes", false}, {nil, "/livez", true}, {nil, "/readyz", true},
		{nil, "/.well-known/acme-challenge/x", true},
		{nil, "/.well-known/security.txt", false}, {nil, "/%64ebug/vars", true}, {nil, "/m", false},
		{[]string{}, "/debug/", false}, {[]string{}, "/metrics", false},
		{[]string{"/admin/"}, "/admin/x", true}, {[]string{"/admin/"}, "/metrics", false},
		{[]string{"/"}, "/page", true}, {[]string{"/"}, "/", true},
	} {
		for _, p := range []policy.Policy{{TTL: time.Minute}, {Heuristic: true}} {
			c, o := wholeApp(t, s.list, p)
			h := c.Handler(o)
			get(h, s.path)
			get(h, s.path)
			if left := o.runs.Load() == 2; left != s.left {
				t.Errorf("%v, %s: left out %v, want %v", s.list, s.path, left, s.left)
			}
			get(h, s.path+"?says")
			status(t, get(h, s.path+"?says"), "hit")
		}
	}
}

// A route's own policy knows what it does, inside a whole-app mount too.
func TestLeaveOutIsForWholeAppsAlone(t *testing.T) {
	c, o := wholeApp(t, nil, policy.Policy{})
	route := c.With(policy.Policy{TTL: time.Minute})(o)
	get(route, "/metrics")
	status(t, get(route, "/metrics"), "hit")
	app := c.Handler(route)
	get(app, "/metrics?inside")
	status(t, get(app, "/metrics?inside"), "hit")
}

// What else the policy says holds there as well.
func TestLeaveOutLeavesTheRest(t *testing.T) {
	c, o := wholeApp(t, nil, policy.Policy{TTL: time.Minute, Off: true})
	status(t, get(c.Handler(o), "/metrics"), "detail=off")
}

func TestLeaveOutWantsPaths(t *testing.T) {
	defer func() {
		if v := fmt.Sprint(recover()); !strings.Contains(v, `"debug/"`) ||
			!strings.Contains(v, "slash") {
			t.Errorf("panicked with %q", v)
		}
	}()
	c, o := wholeApp(t, []string{"debug/"}, policy.Policy{})
	c.Handler(o)
}

// The real net/http/pprof, in an app that is cached as a whole for an hour: each profile is a new
// one, streams too.
func TestPprofUnderAWholeAppLifetime(t *testing.T) {
	c, _ := wholeApp(t, nil, policy.Policy{TTL: time.Hour})
	srv := httptest.NewServer(c.Handler(http.DefaultServeMux))
	defer srv.Close()
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline",
		"/debug/pprof/goroutine?debug=1",
		"/debug/pprof/heap", "/debug/pprof/trace?seconds=0.01"} {
		for range 2 {
			r, err := srv.Client().Get(srv.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r.Body); err != nil || len(b) == 0 || r.StatusCode != 200 {
				t.Errorf("%s: %d, %d bytes, %v", path, r.StatusCode, len(b), err)
			}
			r.Body.Close()
			if s := r.Header.Get("Cache-Status"); strings.Contains(s, "hit") ||
				strings.Contains(s, "stored") {
				t.Errorf("%s: Cache-Status is %q", path, s)
			}
			if cc := r.Header.Get("Cache-Control"); strings.Contains(cc, "max-age") {
				t.Errorf("%s: Cache-Control is %q", path, cc)
			}
		}
	}
	srv.Client().CloseIdleConnections()
}

// A path of one letter is a path.
func TestAShortPathIsLeftOut(t *testing.T) {
	c, o := wholeApp(t, []string{"/m"}, policy.Policy{TTL: time.Minute})
	for path, left := range map[string]bool{"/m": true, "/m/x": true, "/mx": false, "/": false,
		"/n": false} {
		get(c.Handler(o), path)
		r := get(c.Handler(o), path)
		want(t, path+" is left out", !strings.Contains(r.Header.Get("Cache-Status"), "hit"), left)
	}
}

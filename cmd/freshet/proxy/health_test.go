package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pool returns upstreams with names for hosts, and what they log.
func pool(ejectFor time.Duration, names ...string) (*upstreams, *strings.Builder) {
	var log strings.Builder
	var urls []*url.URL
	for _, name := range names {
		urls = append(urls, &url.URL{Scheme: "http", Host: name})
	}
	quiet := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "time" || a.Key == "error" {
			return slog.Attr{}
		}
		return a
	}
	return newUpstreams(urls, ejectFor, slog.New(slog.NewTextHandler(&log,
		&slog.HandlerOptions{ReplaceAttr: quiet}))), &log
}

// next begins a request and returns where it went.
func (u *upstreams) next(now time.Time, tried ...*upstream) string {
	s := u.begin(tried, now)
	if s == nil {
		return ""
	}
	return s.url.Host
}

var errSlow = errors.New("no response in time")

func TestRequestsGoRoundAndAwayFromTheBusy(t *testing.T) {
	now := time.Now()
	u, _ := pool(time.Second, "a", "b", "c")
	counts := map[string]int{}
	for range 30 {
		s := u.begin(nil, now)
		counts[s.url.Host]++
		u.end(s)
	}
	if counts["a"] != 10 || counts["b"] != 10 || counts["c"] != 10 {
		t.Errorf("%v, want each in turn", counts)
	}
	slow := u.all[1]
	slow.busy = 100
	for range 30 {
		s := u.begin(nil, now)
		if s == slow {
			t.Fatal("a request went to the upstream that 100 others wait for")
		}
		u.end(s)
	}
}

// An upstream that cannot be reached is left out, tried by one request when its time ends, and used
// again when that has an answer.
func TestEjection(t *testing.T) {
	now := time.Now()
	u, log := pool(10*time.Second, "a", "b")
	a, b := u.all[0], u.all[1]
	for range 3 { // of many requests at once
		u.lost(a, refused, now)
	}
	for range 4 {
		if got := u.next(now); got != "b" {
			t.Fatalf("a request went to %q, want b", got)
		}
	}
	later := now.Add(11 * time.Second)
	b.busy = 0
	var went []string
	for range 6 {
		went = append(went, u.next(later))
	}
	if n := len(slices.DeleteFunc(slices.Clone(went), func(s string) bool { return s == "b" })); n != 1 {
		t.Errorf("after its time %d requests went to a (%v), want one", n, went)
	}
	u.lost(a, refused, later)
	u.answered(b)
	u.answered(a)
	u.answered(a)
	a.busy, b.busy = 0, 0
	if got := []string{u.next(later), u.next(later)}; !slices.Contains(got, "a") {
		t.Errorf("after an answer requests went to %v, want a among them", got)
	}
	want := "level=ERROR msg=\"freshet proxy: an upstream is down\" upstream=http://a\n" +
		"level=INFO msg=\"freshet proxy: an upstream is up again\" upstream=http://a\n"
	if log.String() != want {
		t.Errorf("the log says\n%swant\n%s", log, want)
	}
}

func TestHowMuchEjects(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		story string
		does  func(u *upstreams, a *upstream)
		out   bool
	}{
		{"two responses that do not begin", func(u *upstreams, a *upstream) {
			u.lost(a, errSlow, now)
			u.lost(a, errSlow, now)
		}, false},
		{"three", func(u *upstreams, a *upstream) {
			for range 3 {
				u.lost(a, errSlow, now)
			}
		}, true},
		{"three with an answer between", func(u *upstreams, a *upstream) {
			u.lost(a, errSlow, now)
			u.lost(a, errSlow, now)
			u.answered(a)
			u.lost(a, errSlow, now)
		}, false},
		{"no connection", func(u *upstreams, a *upstream) { u.lost(a, refused, now) }, true},
		{"a bad check of two", func(u *upstreams, a *upstream) { u.checked(a, errSlow, 2, 2) },
			false},
		{"two bad checks with a good one between", func(u *upstreams, a *upstream) {
			u.checked(a, errSlow, 2, 2)
			u.checked(a, nil, 2, 2)
			u.checked(a, errSlow, 2, 2)
		}, false},
		{"two bad checks", func(u *upstreams, a *upstream) {
			u.checked(a, errSlow, 2, 2)
			u.checked(a, errSlow, 2, 2)
		}, true},
		{"two bad checks and a response", func(u *upstreams, a *upstream) {
			u.checked(a, errSlow, 2, 2)
			u.checked(a, errSlow, 2, 2)
			u.answered(a)
		}, true},
		{"two bad checks and two good ones", func(u *upstreams, a *upstream) {
			u.lost(a, refused, now)
			for _, err := range []error{errSlow, errSlow, nil, nil} {
				u.checked(a, err, 2, 2)
			}
		}, false},
	} {
		u, log := pool(time.Minute, "a", "b")
		c.does(u, u.all[0])
		if out := !u.all[0].health.ready(now); out != c.out {
			t.Errorf("%s: left out: %t, want %t", c.story, out, c.out)
		}
		if downs := strings.Count(log.String(), "is down"); downs > 1 || downs == 0 && c.out {
			t.Errorf("%s: logged %d times:\n%s", c.story, downs, log)
		}
	}
}

// While all are ejected, which is a guess, the one whose time ends first is asked. While the checks
// of all fail, none is.
func TestNoneIsWell(t *testing.T) {
	now := time.Now()
	u, _ := pool(10*time.Second, "a", "b")
	a, b := u.all[0], u.all[1]
	u.lost(b, refused, now)
	u.lost(a, refused, now.Add(time.Second))
	if got := u.next(now.Add(2 * time.Second)); got != "b" {
		t.Errorf("%q was asked, want b", got)
	}
	if got := u.next(now.Add(2*time.Second), b); got != "a" {
		t.Errorf("after b %q was asked, want a", got)
	}
	if got := u.next(now, a, b); got != "" {
		t.Errorf("%q was asked twice", got)
	}
	u.checked(a, errSlow, 1, 1)
	u.checked(b, errSlow, 1, 1)
	if got := u.next(now.Add(time.Hour)); got != "" {
		t.Errorf("%q was asked, whose checks fail", got)
	}
}

func TestNoEjection(t *testing.T) {
	u, log := pool(-1, "a", "b")
	u.lost(u.all[0], refused, time.Now())
	if !u.all[0].health.ready(time.Now()) || log.Len() > 0 {
		t.Errorf("a is left out, and the log says %q", log)
	}
}

// Checks begin at once and go on at intervals; a check without an answer ends in time, and all end
// with stop.
func TestChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, log := pool(time.Minute, "a", "b")
		var mu sync.Mutex
		asked := map[string]int{}
		bad := "a"
		c := &checks{health: Health{Path: "/", Interval: 5 * time.Second, Timeout: 2 * time.Second,
			Fall: 2, Rise: 2}}
		c.probe = func(ctx context.Context, at *upstream) error {
			mu.Lock()
			asked[at.url.Host]++
			hangs := at.url.Host == bad
			mu.Unlock()
			if hangs {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		c.start(u)
		failing := func() bool {
			synctest.Wait()
			u.mu.Lock()
			defer u.mu.Unlock()
			return u.all[0].health.failing
		}
		// a has had its first timeout, not its second
		time.Sleep(2*time.Second + 5*time.Second + time.Second)
		if failing() {
			t.Error("a is down after one bad check")
		}
		time.Sleep(time.Second)
		if !failing() {
			t.Error("a is not down after two bad checks")
		}
		mu.Lock()
		bad = ""
		if asked["b"] != 2 {
			t.Errorf("within 9 seconds b was checked %d times, want 2: at once and after 5 seconds",
				asked["b"])
		}
		mu.Unlock()
		time.Sleep(10*time.Second + time.Millisecond)
		if failing() {
			t.Error("a is down after two good checks")
		}
		mu.Lock()
		bad = "b"
		mu.Unlock()
		time.Sleep(5 * time.Second) // b's check is under way
		c.stop()
		want := "an upstream is down\" upstream=http://a\nlevel=INFO msg=\"freshet proxy: an " +
			"upstream is up again\" upstream=http://a\n"
		if got := log.String(); !strings.HasSuffix(got, want) || strings.Count(got, "\n") != 2 {
			t.Errorf("the log says\n%s", got)
		}
	})
}

var refused error = &net.OpError{Op: "dial", Err: errors.New("connection refused")}

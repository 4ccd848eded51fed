package rules

import (
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// A response that was received in the future is good for nothing, but for what clocks may differ
// by.
func TestJudgeAClockThatIsAhead(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration
		want  Verdict
	}{
		{0, Verdict{Use: UseFresh, TTL: time.Minute}},
		{ClockTolerance, Verdict{Use: UseFresh, TTL: time.Minute}},
		{ClockTolerance + 1, Verdict{Why: ReasonClock}},
		{time.Hour, Verdict{Why: ReasonClock}},
		{-time.Second, Verdict{Use: UseFresh, TTL: 59 * time.Second}},
	} {
		e := &store.Entry{Status: 200, Received: received.Add(c.ahead), Fresh: time.Minute,
			StaleWhileRevalidate: time.Minute}
		got := Judge(e, anonymousGet, &policy.Policy{}, received, invalidation.CoverageNone)
		if got != c.want {
			t.Errorf("%v ahead: %+v, want %+v", c.ahead, got, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	const s = time.Second
	// What the entries of these stories have in common: received with an age of 0, fresh for a
	// minute.
	minute := func(change func(*store.Entry)) *store.Entry {
		e := &store.Entry{Status: 200, Header: http.Header{}, Received: received, Fresh: 60 * s}
		change(e)
		return e
	}
	plain := minute(func(*store.Entry) {})
	grace := minute(func(e *store.Entry) { e.StaleWhileRevalidate = 30 * s })
	iferror := minute(func(e *store.Entry) { e.StaleIfError = 30 * s })
	kept := minute(func(e *store.Entry) { e.Retention = 30 * s })
	tagged := minute(func(e *store.Entry) {
		e.Header["Etag"] = []string{`"1"`}
		e.Retention = 600 * s
	})
	made := minute(func(e *store.Entry) { e.Header["Etag"] = []string{`"1"`}; e.MadeETag = true })
	strict := minute(func(e *store.Entry) {
		e.MustRevalidate, e.Header["Etag"], e.Retention = true, []string{`"1"`}, 600*s
		e.StaleIfError = 600 * s // never admitted so; Judge forbids it all the same
	})
	smaxage := minute(func(e *store.Entry) {
		e.MustRevalidate, e.Header["Etag"], e.Retention = true, []string{`"1"`}, 600*s
		e.StaleWhileRevalidate, e.StaleIfError = 30*s, 600*s
	})
	noCache := minute(func(e *store.Entry) {
		e.Fresh, e.MustRevalidate, e.Header["Etag"] = 0, true, []string{`"1"`}
	})
	aged := minute(func(e *store.Entry) { e.Age = 50 * s })
	anonymous := minute(func(e *store.Entry) { e.Anonymous = true })

	client := func(control string) *Request {
		return &Request{Directives: ParseRequestDirectives(fields("Cache-Control", control))}
	}
	obey, deaf := policy.Policy{}, policy.Policy{IgnoreClientDirectives: true}

	for _, c := range []struct {
		why      string
		e        *store.Entry
		req      *Request
		p        policy.Policy
		at       time.Duration
		coverage invalidation.Coverage
		want     Verdict
	}{
		{"fresh", plain, anonymousGet, obey, 0, invalidation.CoverageNone, Verdict{Use: UseFresh,
			TTL: 60 * s}},
		{"nearly stale", plain, anonymousGet, obey, 60*s - 1, invalidation.CoverageNone,
			Verdict{Use: UseFresh, TTL: 1}},
		{"as old as its lifetime", plain, anonymousGet, obey, 60 * s, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonStale, OnLost: true}},
		{"older when it came", aged, anonymousGet, obey, 5 * s, invalidation.CoverageNone,
			Verdict{Use: UseFresh, TTL: 5 * s}},
		{"a clock that went back a little", plain, anonymousGet, obey, -9 * s,
			invalidation.CoverageNone, Verdict{Use: UseFresh, TTL: 60 * s}},
		{"a clock that went back", plain, anonymousGet, obey, -time.Hour, invalidation.CoverageNone,
			Verdict{Why: ReasonClock}},
		{"stale, for nothing", plain, anonymousGet, obey, 61 * s, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonStale, TTL: -s}},

		{"in its grace", grace, anonymousGet, obey, 90 * s, invalidation.CoverageNone,
			Verdict{Use: UseStaleWhileRevalidate, Why: ReasonStale, TTL: -30 * s, OnSlow: true}},
		{"in its grace, beside s-maxage", smaxage, anonymousGet, obey, 90 * s,
			invalidation.CoverageNone, Verdict{Use: UseStaleWhileRevalidate, Why: ReasonStale,
				TTL: -30 * s, Validate: true, OnSlow: true}},
		{"past its grace, beside s-maxage", smaxage, client("max-stale"), obey, 91 * s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonStale, TTL: -31 * s,
				Validate: true}},
		{"in its grace, and to be refreshed", minute(func(e *store.Entry) {
			e.StaleWhileRevalidate, e.StaleIfError, e.Header["Etag"] = 30*s, 30*s, []string{`"1"`}
		}), anonymousGet, obey, 90 * s, invalidation.CoverageNone,
			Verdict{Use: UseStaleWhileRevalidate, Why: ReasonStale, TTL: -30 * s, Validate: true,
				OnError: true, OnLost: true, OnSlow: true}},
		{"past its grace", grace, anonymousGet, obey, 91 * s, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonStale, TTL: -31 * s}},
		{"good for an error", iferror, anonymousGet, obey, 90 * s, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonStale, TTL: -30 * s, OnError: true, OnLost: true,
				OnSlow: true}},
		{"a reload: good for an error, and not for a slow handler", iferror, client("no-cache"), obey, 90 * s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonClientNoCache,
				TTL: -30 * s, OnError: true, OnLost: true}},
		{"not any more", iferror, anonymousGet, obey, 91 * s, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonStale, TTL: -31 * s}},
		{"good when the handler is lost", kept, anonymousGet, obey, 90 * s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonStale, TTL: -30 * s,
				OnLost: true}},
		{"not any more", kept, anonymousGet, obey, 91 * s, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonStale, TTL: -31 * s}},
		{"to be revalidated", tagged, anonymousGet, obey, 61 * s, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonStale, TTL: -s, Validate: true, OnLost: true}},
		{"with a validator that the handler does not know", made, anonymousGet, obey, 61 * s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonStale, TTL: -s}},
		{"must be revalidated, but is fresh", strict, anonymousGet, obey, 59 * s,
			invalidation.CoverageNone, Verdict{Use: UseFresh, TTL: s}},
		{"must be revalidated", strict, anonymousGet, obey, 61 * s, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonStale, TTL: -s, Validate: true}},
		{"no-cache", noCache, anonymousGet, obey, 0, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonStale, Validate: true}},

		{"for those without credentials", anonymous, cookieGet, obey, 0, invalidation.CoverageNone,
			Verdict{Use: UseMiss, Why: ReasonCredentials, TTL: 60 * s}},
		{"for those without Authorization", anonymous, authorizedGet, obey, 0,
			invalidation.CoverageNone, Verdict{Use: UseMiss, Why: ReasonCredentials, TTL: 60 * s}},
		{"and one of them", anonymous, anonymousGet, obey, 0, invalidation.CoverageNone,
			Verdict{Use: UseFresh, TTL: 60 * s}},
		{"shared by the operator's word", anonymous, cookieGet, policy.Policy{Shared: true}, 0,
			invalidation.CoverageNone, Verdict{Use: UseFresh, TTL: 60 * s}},
		{"shared by the handler's", plain, cookieGet, obey, 0, invalidation.CoverageNone,
			Verdict{Use: UseFresh, TTL: 60 * s}},

		{"invalidated", tagged, anonymousGet, obey, 5 * s, invalidation.CoverageHard,
			Verdict{Why: ReasonInvalidated}},
		{"softly invalidated", tagged, anonymousGet, obey, 5 * s, invalidation.CoverageSoft,
			Verdict{Use: UseStale, Why: ReasonInvalidated, TTL: -s, Validate: true, OnLost: true}},
		{"softly invalidated, with grace", grace, anonymousGet, obey, 5 * s,
			invalidation.CoverageSoft, Verdict{Use: UseStaleWhileRevalidate, Why: ReasonInvalidated,
				TTL: -s, OnLost: true, OnSlow: true}},
		{"softly invalidated, and stale", grace, anonymousGet, obey, 91 * s,
			invalidation.CoverageSoft, Verdict{Use: UseStale, Why: ReasonInvalidated,
				TTL: -31 * s}},
		{"softly invalidated, and strict", strict, anonymousGet, obey, 5 * s,
			invalidation.CoverageSoft, Verdict{Use: UseStale, Why: ReasonInvalidated, TTL: -s,
				Validate: true}},
		{"softly invalidated, max-stale", plain, client("max-stale"), obey, 5 * s,
			invalidation.CoverageSoft, Verdict{Use: UseStale, Why: ReasonInvalidated, TTL: -s,
				OnLost: true}},

		{"a reload", tagged, client("no-cache"), obey, 5 * s, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonClientNoCache, TTL: 55 * s, Validate: true,
				OnLost: true}},
		{"a reload that may not force us", tagged, client("no-cache"), deaf, 5 * s,
			invalidation.CoverageNone, Verdict{Use: UseFresh, TTL: 55 * s}},
		{"a reload in its grace", grace, client("no-cache"), obey, 70 * s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonClientNoCache,
				TTL: -10 * s}},
		{"a reload in its grace that may not force us", grace, client("no-cache"), deaf, 70 * s,
			invalidation.CoverageNone, Verdict{Use: UseStaleWhileRevalidate, Why: ReasonStale,
				TTL: -10 * s, OnSlow: true}},
		{"max-age=0", plain, client("max-age=0"), obey, 0, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonClientMaxAge, TTL: 60 * s, OnLost: true}},
		{"max-age=0 that may not force us", plain, client("max-age=0"), deaf, 0,
			invalidation.CoverageNone, Verdict{Use: UseFresh, TTL: 60 * s}},
		{"younger than the client's max-age", plain, client("max-age=10"), obey, 10 * s,
			invalidation.CoverageNone, Verdict{Use: UseFresh, TTL: 50 * s}},
		{"older than that", plain, client("max-age=10"), obey, 11 * s, invalidation.CoverageNone,
			Verdict{Use: UseStale, Why: ReasonClientMaxAge, TTL: 49 * s, OnLost: true}},
		{"older than that, though any staleness would do", plain, client("max-age=10, max-stale"),
			obey, 11 * s, invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonClientMaxAge,
				TTL: 49 * s, OnLost: true}},
		{"a max-age without max-stale wants it fresh", grace, client("max-age=3600"), obey, 70 * s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonClientMaxAge,
				TTL: -10 * s}},
		{"a max-age without max-stale, as old as its lifetime", grace, client("max-age=3600"), obey,
			60 * s, invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonClientMaxAge,
				OnLost: true}},
		{"a max-age with max-stale does not", grace, client("max-age=3600, max-stale=20"), obey,
			70 * s, invalidation.CoverageNone, Verdict{Use: UseStaleWhileRevalidate,
				Why: ReasonStale, TTL: -10 * s, OnSlow: true}},
		{"min-fresh", plain, client("min-fresh=10"), obey, 50 * s, invalidation.CoverageNone,
			Verdict{Use: UseFresh, TTL: 10 * s}},
		{"less than min-fresh", plain, client("min-fresh=10"), obey, 51 * s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonClientFresh, TTL: 9 * s,
				OnLost: true}},
		{"less than min-fresh that may not force us", plain, client("min-fresh=10"), deaf, 51 * s,
			invalidation.CoverageNone, Verdict{Use: UseFresh, TTL: 9 * s}},
		{"max-stale", plain, client("max-stale=10"), obey, 70 * s, invalidation.CoverageNone,
			Verdict{Use: UseStaleWhileRevalidate, Why: ReasonStale, TTL: -10 * s, OnSlow: true}},
		{"more stale than max-stale", plain, client("max-stale=10"), obey, 71 * s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonStale, TTL: -11 * s}},
		{"however stale", plain, client("max-stale"), obey, time.Hour, invalidation.CoverageNone,
			Verdict{Use: UseStaleWhileRevalidate, Why: ReasonStale, TTL: 60*s - time.Hour, OnSlow: true}},
		{"max-stale of a client that is not heard", plain, client("max-stale"), deaf, 61 * s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonStale, TTL: -s}},
		{"max-stale against must-revalidate", strict, client("max-stale"), obey, 61 * s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonStale, TTL: -s,
				Validate: true}},
		{"max-stale against no-cache", noCache, client("max-stale"), obey, s,
			invalidation.CoverageNone, Verdict{Use: UseStale, Why: ReasonStale, TTL: -s,
				Validate: true}},
	} {
		if got := Judge(c.e, c.req, &c.p, received.Add(c.at), c.coverage); got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.why, got, c.want)
		}
	}
}

// A client insists when it refuses a fresh response. A stale response is refused for everybody, and
// a response that is renewed ahead of time is refused by nobody: neither counts.
func TestInsisted(t *testing.T) {
	for _, c := range []struct {
		why  string
		v    Verdict
		want bool
	}{
		{"a reload", Verdict{Use: UseStale, TTL: time.Second, Why: ReasonClientNoCache}, true},
		{"with a nanosecond left", Verdict{Use: UseStale, TTL: 1, Why: ReasonClientMaxAge}, true},
		{"a reload of what has just become stale", Verdict{Use: UseStale, Why: ReasonClientNoCache},
			false},
		{"a reload of what is stale", Verdict{Use: UseStale, TTL: -1, Why: ReasonClientNoCache},
			false},
		{"fresh", Verdict{Use: UseFresh, TTL: time.Second}, false},
		{"fresh, and kept from credentials", Verdict{Use: UseMiss, TTL: time.Second,
			Why: ReasonCredentials}, false},
		{"to be renewed while it is fresh", Verdict{Use: UseStale, TTL: time.Second}, false},
	} {
		if got := c.v.Insisted(); got != c.want {
			t.Errorf("%s: insisted %v", c.why, got)
		}
	}
}

// A newer response helps where the age of this one, or an invalidation, is what is wrong with it.
func TestNewerMayServe(t *testing.T) {
	d := func(change func(*RequestDirectives)) *Request {
		q := *anonymousGet
		change(&q.Directives)
		return &q
	}
	user := *anonymousGet
	user.Credentials = true
	for _, c := range []struct {
		name     string
		e        store.Entry
		req      *Request
		age      time.Duration
		coverage invalidation.Coverage
		want     bool
	}{
		{"fresh", store.Entry{}, anonymousGet, 0, invalidation.CoverageNone, false},
		{"stale", store.Entry{}, anonymousGet, time.Hour, invalidation.CoverageNone, true},
		{"invalidated", store.Entry{}, anonymousGet, 0, invalidation.CoverageSoft, true},
		{"a user", store.Entry{Anonymous: true}, &user, 0, invalidation.CoverageNone, false},
		{"a user, and stale", store.Entry{Anonymous: true}, &user, time.Hour,
			invalidation.CoverageNone, false},
		{"a reload", store.Entry{}, d(func(d *RequestDirectives) { d.NoCache = true }), 0,
			invalidation.CoverageNone, false},
		{"a reload of what is stale", store.Entry{},
			d(func(d *RequestDirectives) { d.NoCache = true }), time.Hour,
			invalidation.CoverageNone, false},
		{"max-age=0 of what is stale", store.Entry{},
			d(func(d *RequestDirectives) { d.MaxAge = 0 }), time.Hour,
			invalidation.CoverageNone, false},
		{"max-age of what is fresh", store.Entry{},
			d(func(d *RequestDirectives) { d.MaxAge = time.Second }), 10 * time.Second,
			invalidation.CoverageNone, false},
		{"max-age of what is stale", store.Entry{},
			d(func(d *RequestDirectives) { d.MaxAge = time.Second }), time.Hour,
			invalidation.CoverageNone, true},
		{"no-cache", store.Entry{Fresh: -1, MustRevalidate: true}, anonymousGet, 0,
			invalidation.CoverageNone, false},
		{"no lifetime, and served while it is renewed",
			store.Entry{Fresh: -1, StaleWhileRevalidate: time.Minute}, anonymousGet, time.Second,
			invalidation.CoverageNone, true},
		{"no lifetime, and served when the handler is lost",
			store.Entry{Fresh: -1, Retention: time.Minute}, anonymousGet, time.Second,
			invalidation.CoverageNone, true},
	} {
		e := c.e
		e.Status, e.Received, e.Header = 200, received, http.Header{}
		if e.Fresh = max(e.Fresh, 0); c.e.Fresh == 0 {
			e.Fresh = time.Minute
		}
		v := Judge(&e, c.req, &policy.Policy{}, received.Add(c.age), c.coverage)
		if got := NewerMayServe(&e, v, c.req); got != c.want {
			t.Errorf("%s: %v by %+v", c.name, got, v)
		}
	}
}

func TestJudgeAllocatesNothing(t *testing.T) {
	e := &store.Entry{Status: 200, Header: http.Header{"Etag": {`"1"`}, "Last-Modified": {date}},
		Received: received, Fresh: time.Minute}
	p := &policy.Policy{}
	for _, at := range []time.Duration{0, time.Hour} {
		if n := testing.AllocsPerRun(100,
			func() {
				Judge(e, anonymousGet, p, received.Add(at),
					invalidation.CoverageNone)
			}); n != 0 {
			t.Errorf("%v allocations at an age of %v; want 0", n, at)
		}
	}
}

func TestServerError(t *testing.T) {
	for status := 100; status < 600; status++ {
		want := status == 500 || status == 502 || status == 503 || status == 504
		if ServerError(status) != want {
			t.Errorf("ServerError(%d) = %v; RFC 5861 section 4 says %v", status, !want, want)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	e := &store.Entry{Status: 200, Header: http.Header{}, Received: received, Fresh: time.Minute}
	p, now := &policy.Policy{}, received.Add(time.Second)
	b.ReportAllocs()
	for b.Loop() {
		Judge(e, anonymousGet, p, now, invalidation.CoverageNone)
	}
}

package rules_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// as chi's NoCache says it
const noCache = "no-cache, no-store, no-transform, must-revalidate, private, max-age=0"

// What stands outside may be used with a stored response, or may not.
func TestOutsideObjects(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	past, future := now.Add(-time.Hour).Format(http.TimeFormat),
		now.Add(time.Hour).Format(http.TimeFormat)
	own := func(fields ...string) *store.Entry { return &store.Entry{Header: header(fields...)} }
	announced := func(fields ...string) *store.Entry {
		return &store.Entry{Header: header(fields...), Announced: true}
	}
	varies := func(names ...string) *store.Entry {
		e := own("Cache-Control", "max-age=60")
		e.Vary = http.Header{}
		for _, name := range names {
			e.Vary[name] = nil
		}
		return e
	}
	for _, s := range []struct {
		name    string
		p       policy.Policy
		outside http.Header
		e       *store.Entry
		want    policy.Reason
	}{
		{"nothing", policy.Policy{}, nil, own(), ""},
		{"nothing that matters", policy.Policy{}, header("X-Request-Id", "1", "Etag", `"a"`), own(),
			""},
		{"an empty field", policy.Policy{}, http.Header{"Set-Cookie": nil, "Cache-Control": {}},
			own(), ""},
		{"a cookie", policy.Policy{}, header("Set-Cookie", "a=1"), own("Cache-Control",
			"public, max-age=60"), rules.ReasonSetCookie},
		{"a cookie in another spelling", policy.Policy{}, http.Header{"set-cookie": {"a=1"}}, own(),
			rules.ReasonSetCookie},
		{"a cookie, and the page is for all", policy.Policy{Shared: true}, header("Set-Cookie",
			"a=1"), own(), ""},
		{"a cookie, and cookies are stored", policy.Policy{StoreCookies: true}, header("Set-Cookie",
			"a=1"), own(), ""},

		{"a nonce", policy.Policy{StoreCookies: true}, header("Content-Security-Policy",
			"script-src 'Nonce-abc'"), own(), rules.ReasonNonce},
		{"a nonce that is reported", policy.Policy{}, header("Content-Security-Policy-Report-Only",
			"script-src 'nonce-abc'"), own(), rules.ReasonNonce},
		{"a nonce, and the page is for all", policy.Policy{Shared: true},
			header("Content-Security-Policy", "script-src 'nonce-abc'"), own(), ""},
		{"no nonce", policy.Policy{}, header("Content-Security-Policy", "default-src 'self'"),
			own(), ""},

		{"no-store", policy.Policy{}, header("Cache-Control", "no-store"), own(),
			rules.ReasonNoStore},
		{"private", policy.Policy{}, header("Cache-Control", "private"), own(),
			rules.ReasonPrivate},
		{"no-cache", policy.Policy{}, header("Cache-Control", "no-cache"), own(),
			rules.ReasonNoCache},
		{"max-age=0", policy.Policy{}, header("Cache-Control", "max-age=0"), own(),
			rules.ReasonExpired},
		{"a lifetime", policy.Policy{}, header("Cache-Control", "max-age=5"), own(), ""},
		{"no-cache of a field", policy.Policy{}, header("Cache-Control", `no-cache="Set-Cookie"`),
			own(), ""},
		{"private, of a field that is stored", policy.Policy{}, header("Cache-Control",
			`private="X-User"`), own("X-User", "alice"), rules.ReasonPrivate},
		{"replaced", policy.Policy{}, header("Cache-Control", noCache, "Expires", past, "Pragma",
			"no-cache"), own("Cache-Control", "max-age=60"), ""},
		{"replaced by what was announced", policy.Policy{}, header("Cache-Control", noCache),
			announced("Cache-Control", "max-age=60", "Expires", future), rules.ReasonNoStore},
		{"replaced by Expires alone", policy.Policy{}, header("Cache-Control", "no-store"),
			own("Expires", future), rules.ReasonNoStore},
		{"replaced by a targeted field", policy.Policy{}, header("Cache-Control", "no-store"),
			own("Cdn-Cache-Control", "max-age=60"), ""},
		{"an Expires that is past", policy.Policy{}, header("Expires", past), own(),
			rules.ReasonExpired},
		{"an Expires of 0", policy.Policy{}, header("Expires", "0"), own(), rules.ReasonExpired},
		{"an Expires that is past beside what was announced", policy.Policy{},
			header("Expires", past), announced("Expires", future), rules.ReasonExpired},
		{"an Expires to come", policy.Policy{}, header("Expires", future), own(), ""},
		{"an Expires that is past, replaced", policy.Policy{}, header("Expires", past),
			own("Expires", future), ""},
		{"an Expires that is past, outdone", policy.Policy{}, header("Expires", past),
			own("Cache-Control", "max-age=60"), ""},

		{"a targeted field", policy.Policy{}, header("Cdn-Cache-Control", "no-store"),
			own("Cache-Control", "max-age=60"), rules.ReasonNoStore},
		{"a targeted field, replaced", policy.Policy{}, header("Cdn-Cache-Control", "no-store"),
			own("Cdn-Cache-Control", "max-age=60"), ""},
		{"a targeted field that is not obeyed", policy.Policy{Targeted: []string{}},
			header("Cdn-Cache-Control", "no-store"), own(), ""},
		{"a targeted field of the operator's",
			policy.Policy{Targeted: []string{"our-cache-control"}}, header("Our-Cache-Control",
				"private"), own(), rules.ReasonPrivate},
		{"a targeted field, and a lesser one of its own", policy.Policy{},
			header("Cdn-Cache-Control", "no-store"), own("Surrogate-Control", "max-age=60"),
			rules.ReasonNoStore},
		{"a targeted field that outdoes Cache-Control", policy.Policy{}, header("Cdn-Cache-Control",
			"max-age=5", "Cache-Control", "no-store"), own(), ""},

		{"a Vary that split it", policy.Policy{}, header("Vary", "X-Tenant"), varies("X-Tenant"),
			""},
		{"a Vary that did not", policy.Policy{}, header("Vary", "X-Tenant"), varies("Accept"),
			rules.ReasonVaryStar},
		{"Vary: *", policy.Policy{}, header("Vary", "*"), varies("Accept"), rules.ReasonVaryStar},
		{"a compressor's", policy.Policy{}, header("Vary", "Accept-Encoding"), varies(), ""},
		{"a CORS handler's, answered", policy.Policy{}, header("Vary", "Origin",
			"Access-Control-Allow-Origin", "https://a"), varies(), ""},
		{"a CORS handler's, not answered", policy.Policy{}, header("Vary", "Origin"), varies(),
			rules.ReasonVaryStar},
		{"a CORS handler's and another", policy.Policy{}, header("Vary", "Origin, X-Tenant",
			"Access-Control-Allow-Origin", "https://a"), varies("Origin"), rules.ReasonVaryStar},
		{"a session handler's", policy.Policy{}, header("Vary", "Cookie"), varies(),
			rules.ReasonVaryStar},
		{"a session handler's, and the page is for all", policy.Policy{Shared: true},
			header("Vary", "Cookie"), varies(), ""},
	} {
		o := rules.ReadOutside(s.outside, &s.p)
		if got := o.Objects(s.e, &s.p, now); got != s.want {
			t.Errorf("%s: got %q, want %q", s.name, got, s.want)
		}
	}
}

// What is judged is what the client gets; what stands outside alone is judged as well, and the
// handler's word on its lifetime replaces the one that stands outside.
func TestOutsideJudged(t *testing.T) {
	for _, s := range []struct {
		name               string
		p                  policy.Policy
		outside, own, want http.Header
	}{
		{"nothing outside", policy.Policy{}, nil, header("Vary", "A"), header("Vary", "A")},
		{"nothing that matters", policy.Policy{}, header("X-A", "1", "Last-Modified", "x"),
			header("Vary", "A"), header("Vary", "A")},
		{"a lifetime", policy.Policy{}, header("Cache-Control", "no-store", "Expires", "0"),
			header("X", "1"), header("X", "1", "Cache-Control", "no-store", "Expires", "0")},
		{"a lifetime, replaced", policy.Policy{}, header("Cache-Control", "no-store"),
			header("Cache-Control", "max-age=1"), header("Cache-Control", "max-age=1")},
		{"a Vary", policy.Policy{}, header("Vary", "B, Accept-Encoding"), header("Vary", "A"),
			header("Vary", "b", "Vary", "A")},
		{"a compressor's Vary beside none", policy.Policy{}, header("Vary", "Accept-Encoding"),
			header("X", "1"), header("X", "1")},
		{"a handler's own Vary", policy.Policy{}, header("Vary", "Accept-Encoding"),
			header("Vary", "Accept-Encoding"), header("Vary", "Accept-Encoding")},
		{"cookies", policy.Policy{}, header("Set-Cookie", "a=1"), header("Set-Cookie", "b=1"),
			header("Set-Cookie", "a=1", "Set-Cookie", "b=1")},
		{"cookies, and the page is for all", policy.Policy{Shared: true}, header("Set-Cookie",
			"a=1"), header("Set-Cookie", "b=1"), header("Set-Cookie", "b=1")},
		{"another spelling", policy.Policy{}, header("Cache-Control", "no-store"),
			http.Header{"cache-control": {"max-age=1"}}, header("Cache-Control", "max-age=1")},
		{"no header of its own", policy.Policy{}, header("Cache-Control", "no-store"), nil,
			header("Cache-Control", "no-store")},
	} {
		o := rules.ReadOutside(s.outside, &s.p)
		before := s.own.Clone()
		if got := o.Judged(s.own); !sameHeader(got, s.want) {
			t.Errorf("%s: got %v, want %v", s.name, got, s.want)
		}
		if !sameHeader(s.own, before) {
			t.Errorf("%s: the handler's header was changed to %v", s.name, s.own)
		}
	}
}

// What is added while a header is sent is seen, and nothing else is.
func TestSentLate(t *testing.T) {
	shared := &policy.Policy{Shared: true}
	before := header("Set-Cookie", "a=1", "Cache-Control", "max-age=60", "Vary", "A", "X", "1",
		"Surrogate-Control", "no-store",
		"Expires", "0")
	for _, s := range []struct {
		name string
		do   func(h http.Header)
		want policy.Reason
		p    *policy.Policy
	}{
		{"nothing", func(h http.Header) {}, "", nil},
		{"a field without meaning for caches", func(h http.Header) { h.Set("Y", "1") }, "", nil},
		{"a cookie", func(h http.Header) { h.Add("Set-Cookie", "b=1") }, rules.ReasonSetCookie,
			nil},
		{"a cookie in another spelling", func(h http.Header) { h["set-cookie"] = []string{"b=1"} },
			rules.ReasonSetCookie, nil},
		{"a cookie in another spelling, in the place of another field", func(h http.Header) {
			h["set-cookie"] = []string{"b=1"}
			delete(h, "X")
		}, rules.ReasonSetCookie, nil},
		{"a cookie in the place of another", func(h http.Header) { h.Set("Set-Cookie", "b=1") },
			rules.ReasonSetCookie, nil},
		{"what scs adds to a lifetime", func(h http.Header) {
			h.Add("Cache-Control", `no-cache="Set-Cookie"`)
		}, "", nil},
		{"no-store", func(h http.Header) { h.Set("Cache-Control", "no-store") },
			rules.ReasonNoStore, nil},
		{"private, added", func(h http.Header) { h.Add("Cache-Control", "private") },
			rules.ReasonPrivate, nil},
		{"an Expires", func(h http.Header) { h.Set("Expires", "-1") }, rules.ReasonExpired, nil},
		{"a Vary", func(h http.Header) { h.Add("Vary", "Cookie") }, rules.ReasonVaryStar, nil},
		{"a compressor's Vary", func(h http.Header) { h.Add("Vary", "Accept-Encoding") }, "", nil},
		{"a CORS handler's Vary", func(h http.Header) {
			h.Add("Vary", "Origin")
			h.Set("Access-Control-Allow-Origin", "https://a")
		}, "", nil},
		{"a cookie, and the page is for all", func(h http.Header) { h.Add("Set-Cookie", "b=1") },
			rules.ReasonSetCookie, shared},
		{"a cookie, and cookies are stored", func(h http.Header) { h.Add("Set-Cookie", "b=1") }, "",
			&policy.Policy{StoreCookies: true}},
		{"a targeted field", func(h http.Header) { h.Set("Cdn-Cache-Control", "no-store") },
			rules.ReasonNoStore, nil},
		{"a targeted field in the place of another", func(h http.Header) {
			h.Set("Surrogate-Control", "private")
		}, rules.ReasonPrivate, nil},
		{"a cookie that is taken back", func(h http.Header) { h["Set-Cookie"] = nil }, "", nil},
		{"a field beside the only targeted one that is obeyed", func(h http.Header) {
			h.Set("Y", "1")
		}, "", &policy.Policy{Targeted: []string{"Surrogate-Control"}}},
		{"a targeted field in another spelling", func(h http.Header) {
			h["cdn-cache-control"] = []string{"private"}
		}, rules.ReasonPrivate, nil},
		{"a targeted field that is not obeyed", func(h http.Header) {
			h.Set("Cdn-Cache-Control", "no-store")
		}, "", &policy.Policy{Targeted: []string{"My-Cache-Control"}}},
		{"a targeted field of the operator's", func(h http.Header) {
			h.Set("My-Cache-Control", "no-store")
		}, rules.ReasonNoStore, &policy.Policy{Targeted: []string{"my-cache-control"}}},
		{"a session handler's Vary, and the page is for all", func(h http.Header) {
			h.Add("Vary", "Cookie")
		}, "", shared},
	} {
		if s.p == nil {
			s.p = &policy.Policy{}
		}
		h := before.Clone()
		sent := rules.SentWith(h, s.p)
		s.do(h)
		o := sent.Late(h, s.p)
		if got := o.Objects(&store.Entry{}, s.p, time.Now()); got != s.want {
			t.Errorf("%s: got %q, want %q", s.name, got, s.want)
		}
	}
}

// What is set in the place of the response's own lifetime while its header is sent, or beside it,
// counts: the client gets no other. Where the response's own still stands and outdoes it (RFC 9213
// section 2.2, RFC 9111 section 5.3), it does not.
func TestALateLifetimeInThePlaceOfItsOwn(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	future := now.Add(time.Hour).Format(http.TimeFormat)
	for _, s := range []struct {
		name string
		own  http.Header
		do   func(h http.Header)
		want policy.Reason
	}{
		{"private", header("Cache-Control", "max-age=60"), func(h http.Header) {
			h.Set("Cache-Control", "private, no-store")
		}, rules.ReasonNoStore},
		{"private, added", header("Cache-Control", "public, max-age=60"), func(h http.Header) {
			h.Add("Cache-Control", "private")
		}, rules.ReasonPrivate},
		{"private, in another spelling", header("Cache-Control", "max-age=60"),
			func(h http.Header) { h["cache-control"] = []string{"private"} }, rules.ReasonPrivate},
		{"a lifetime of 0", header("Cache-Control", "max-age=60"), func(h http.Header) {
			h.Set("Cache-Control", "max-age=0")
		}, rules.ReasonExpired},
		{"another lifetime", header("Cache-Control", "max-age=60"), func(h http.Header) {
			h.Set("Cache-Control", "max-age=30")
		}, ""},
		{"what scs adds", header("Cache-Control", "max-age=60"), func(h http.Header) {
			h.Add("Cache-Control", `no-cache="Set-Cookie"`)
		}, ""},
		{"Expires", header("Expires", future), func(h http.Header) { h.Set("Expires", "0") },
			rules.ReasonExpired},
		{"Expires beside Cache-Control", header("Cache-Control", "max-age=60"),
			func(h http.Header) { h.Set("Expires", "0") }, ""},
		{"a targeted field", header("Cdn-Cache-Control", "max-age=60"), func(h http.Header) {
			h.Set("Cdn-Cache-Control", "no-store")
		}, rules.ReasonNoStore},
		{"a targeted field that outdoes its own", header("Surrogate-Control", "max-age=60"),
			func(h http.Header) { h.Set("Cdn-Cache-Control", "no-store") }, rules.ReasonNoStore},
		{"a targeted field beside Cache-Control", header("Cache-Control", "max-age=60"),
			func(h http.Header) { h.Set("Cdn-Cache-Control", "no-store") }, rules.ReasonNoStore},
		{"Cache-Control beside a targeted field", header("Cdn-Cache-Control", "max-age=60"),
			func(h http.Header) { h.Set("Cache-Control", "private") }, ""},
		{"Cache-Control in the place of a targeted field", header("Cdn-Cache-Control",
			"max-age=60"), func(h http.Header) {
			h.Del("Cdn-Cache-Control")
			h.Set("Cache-Control", "private")
		}, rules.ReasonPrivate},
	} {
		p := &policy.Policy{}
		h := s.own.Clone()
		sent := rules.SentWith(h, p)
		s.do(h)
		o := sent.Late(h, p)
		if got := o.Objects(&store.Entry{Header: s.own}, p, now); got != s.want {
			t.Errorf("%s: got %q, want %q", s.name, got, s.want)
		}
	}
}

// A Cache-Control, an Expires or a targeted field that is obeyed speaks outside; no other field
// does.
func TestWhatSpeaksOutside(t *testing.T) {
	for name, speaks := range map[string]bool{
		"Cache-Control": true, "Expires": true, "Cdn-Cache-Control": true,
		"My-Cache-Control": false, "Vary": false, "Set-Cookie": false,
	} {
		if o := rules.ReadOutside(header(name, "0"), &policy.Policy{}); o.Speaks() != speaks {
			t.Errorf("%s speaks: %v", name, !speaks)
		}
	}
}

// Every response of a mount is remembered as it is sent: without targeted fields that costs no
// memory.
func TestSentWithAllocatesNothing(t *testing.T) {
	h, p := header("Set-Cookie", "a=1", "Cache-Control", "max-age=60", "Vary", "A"),
		&policy.Policy{}
	if n := testing.AllocsPerRun(100, func() { rules.SentWith(h, p) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A shared cache keeps no response that sets a cookie.
func TestKeepFromOthers(t *testing.T) {
	for _, s := range []struct{ h, want http.Header }{
		{header("Cache-Control", "public, max-age=60"), header("Cache-Control",
			"public, max-age=60")},
		{header("Last-Modified", "today"), header("Last-Modified", "today")},
		{header("Set-Cookie", "a"), header("Set-Cookie", "a", "Cache-Control", "private")},
		{header("Set-Cookie", "a", "Last-Modified", "today"), header("Set-Cookie", "a",
			"Last-Modified", "today", "Cache-Control", "private")},
		{header("Set-Cookie", "a", "Cache-Control", "public, max-age=60"), header("Set-Cookie", "a",
			"Cache-Control", "private, max-age=60")},
		{header("Set-Cookie", "a", "Cache-Control", "max-age=60", "Cache-Control",
			"S-MaxAge=600, must-revalidate"), header("Set-Cookie", "a", "Cache-Control",
			"private, max-age=60, must-revalidate")},
		{header("Set-Cookie", "a", "Cache-Control", `max-age=60, no-cache="Set-Cookie, X"`),
			header("Set-Cookie", "a", "Cache-Control",
				`private, max-age=60, no-cache="Set-Cookie, X"`)},
		{header("Set-Cookie", "a", "Cache-Control", `private="X", max-age=60`), header("Set-Cookie",
			"a", "Cache-Control", "private, max-age=60")},
		{header("Set-Cookie", "a", "Cache-Control", "no-cache"), header("Set-Cookie", "a",
			"Cache-Control", "private, no-cache")},
		{header("Set-Cookie", "a", "Cache-Control", "Private, max-age=60"), header("Set-Cookie",
			"a", "Cache-Control", "Private, max-age=60")},
		{header("Set-Cookie", "a", "Cache-Control", "no-store, public"), header("Set-Cookie", "a",
			"Cache-Control", "no-store, public")},
		{header("Set-Cookie", "a", "Cache-Control", `public, x="y`), header("Set-Cookie", "a",
			"Cache-Control", "private, no-store")},
		{header("Set-Cookie", "a", "Expires", "later"), header("Set-Cookie", "a", "Expires",
			"later", "Cache-Control", "private")},
		{header("Set-Cookie", "a", "Cdn-Cache-Control", "max-age=60"), header("Set-Cookie", "a",
			"Cache-Control", "private")},
		{header("Set-Cookie", "a", "Cache-Control", "private", "Surrogate-Control", "max-age=60",
			"X-Accel-Expires", "60"), header("Set-Cookie", "a", "Cache-Control", "private")},
		{http.Header{"Set-Cookie": {}, "Cache-Control": {"public"}}, http.Header{"Set-Cookie": {},
			"Cache-Control": {"public"}}},
		{http.Header{"Set-Cookie": {"a"}, "Cache-Control": {}, "Cdn-Cache-Control": {}},
			http.Header{"Set-Cookie": {"a"}, "Cache-Control": {"private"},
				"Cdn-Cache-Control": {}}},
		{http.Header{"set-cookie": {"a"}, "cache-control": {"public"}},
			http.Header{"set-cookie": {"a"}, "Cache-Control": {"private"}}},
	} {
		got := s.h.Clone()
		rules.KeepFromOthers(got)
		if !sameHeader(got, s.want) {
			t.Errorf("%v: got %v, want %v", s.h, got, s.want)
		}
	}
}

// What Announce has written is taken back when a header that is on its way turns out to be for its
// client alone.
func TestRetract(t *testing.T) {
	announced := func(fields ...string) http.Header {
		h := header("Cache-Control", "max-age=60", "Expires", "soon", "Cdn-Cache-Control",
			"max-age=5", "Vary", "Authorization, Cookie")
		for i := 0; i < len(fields); i += 2 {
			h.Add(fields[i], fields[i+1])
		}
		return h
	}
	for _, s := range []struct{ h, want http.Header }{
		{announced("Set-Cookie", "a"), header("Set-Cookie", "a", "Vary", "Authorization, Cookie",
			"Cache-Control", "no-cache, no-store")},
		{announced("Set-Cookie", "a", "Cache-Control", `no-cache="Set-Cookie"`),
			header("Set-Cookie", "a", "Vary", "Authorization, Cookie", "Cache-Control",
				"no-cache, no-store")},
		{announced("Cache-Control", "private"), header("Vary", "Authorization, Cookie",
			"Cache-Control", "private")},
		{announced("Vary", "X-Tenant"), header("Vary", "Authorization, Cookie", "Vary", "X-Tenant",
			"Cache-Control", "no-cache, no-store")},
		{header("Cache-Control", "max-age=9, private", "Expires", "later", "Cdn-Cache-Control",
			"private"),
			header("Cache-Control", "max-age=9, private", "Expires", "later", "Cdn-Cache-Control",
				"private")},
	} {
		p := &policy.Policy{}
		sent := rules.SentWith(announced(), p)
		got := s.h.Clone()
		sent.Retract(got, p)
		if !sameHeader(got, s.want) {
			t.Errorf("%v: got %v, want %v", s.h, got, s.want)
		}
	}
}

// header makes a header of names and values in turn.
func header(fields ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
	return h
}

func sameHeader(a, b http.Header) bool { return maps.EqualFunc(a, b, slices.Equal) }

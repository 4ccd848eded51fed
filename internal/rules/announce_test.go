package rules

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// What clients are told of a route that the operator governs.
func TestAnnounce(t *testing.T) {
	minute := policy.Policy{TTL: time.Minute}
	resource := policy.Policy{Resource: "record"}
	guess := policy.Policy{Resource: "record", Heuristic: true}
	off := policy.Policy{Off: true}
	told := func(h http.Header, more ...string) http.Header {
		for i := 0; i < len(more); i += 2 {
			h.Add(more[i], more[i+1])
		}
		return h
	}
	forAMinute := func(more ...string) http.Header {
		return told(fields("Cache-Control", "max-age=60", "Expires", after(time.Minute), "Vary",
			"Authorization, Cookie"), more...)
	}
	nothing := func(more ...string) http.Header {
		return told(fields("Cache-Control", "no-cache, no-store"), more...)
	}

	for _, c := range []struct {
		why    string
		req    *Request
		status int
		h      http.Header
		p      policy.Policy
		want   http.Header
		wrote  bool
	}{
		{"a silent handler", anonymousGet, 200, fields(), minute, forAMinute(), true},
		{"a silent handler asked with HEAD", anonymousHead, 200, fields(), minute, forAMinute(),
			true},
		{"its own validators stay", anonymousGet, 200, fields("ETag", `"1"`), minute,
			forAMinute("ETag", `"1"`), true},
		{"shared", anonymousGet, 200, fields(), policy.Policy{TTL: time.Minute, Shared: true},
			fields("Cache-Control", "max-age=60", "Expires", after(time.Minute)), true},
		{"shared, with credentials", cookieGet, 200, fields(), policy.Policy{TTL: time.Minute,
			Shared: true}, fields("Cache-Control", "max-age=60", "Expires", after(time.Minute)),
			true},
		{"rounded down", anonymousGet, 200, fields(), policy.Policy{TTL: 1900 * time.Millisecond,
			Shared: true}, fields("Cache-Control", "max-age=1", "Expires", after(time.Second)),
			true},
		{"the handler's Vary stays", anonymousGet, 200, fields("Vary", "Accept"), minute,
			fields("Cache-Control", "max-age=60", "Expires", after(time.Minute), "Vary", "Accept",
				"Vary", "Authorization, Cookie"), true},
		{"the handler's Vary says it already", anonymousGet, 200,
			fields("Vary", "cookie, AUTHORIZATION"), minute,
			fields("Cache-Control", "max-age=60", "Expires", after(time.Minute), "Vary",
				"cookie, AUTHORIZATION"), true},

		{"the handler's Vary says half of it", anonymousGet, 200, fields("Vary", "Cookie"), minute,
			fields("Cache-Control", "max-age=60", "Expires", after(time.Minute), "Vary", "Cookie",
				"Vary", "Authorization, Cookie"), true},
		{"the handler's Vary says the other half", anonymousGet, 200,
			fields("Vary", "Authorization"), minute,
			fields("Cache-Control", "max-age=60", "Expires", after(time.Minute), "Vary",
				"Authorization", "Vary", "Authorization, Cookie"), true},

		{"another lifetime for clients", anonymousGet, 200, fields(),
			policy.Policy{TTL: time.Minute, ClientTTL: 5 * time.Second, Shared: true},
			fields("Cache-Control", "max-age=5"), true},
		{"none for clients", anonymousGet, 200, fields(), policy.Policy{TTL: time.Minute,
			ClientTTL: -1, Shared: true}, fields("Cache-Control", "no-cache"), true},
		{"none for clients, and not for all", anonymousGet, 200, fields(),
			policy.Policy{TTL: time.Minute, ClientTTL: -1}, fields("Cache-Control", "no-cache",
				"Vary", "Authorization, Cookie"), true},
		{"another for CDNs", anonymousGet, 200, fields(), policy.Policy{TTL: time.Minute,
			CDNTTL: time.Hour, ClientTTL: -1, Shared: true}, fields("Cache-Control", "no-cache",
			"CDN-Cache-Control", "max-age=3600"), true},
		{"none for CDNs", anonymousGet, 200, fields(), policy.Policy{TTL: time.Minute, CDNTTL: -1,
			Shared: true}, fields("Cache-Control", "max-age=60", "Expires", after(time.Minute),
			"CDN-Cache-Control", "no-store"), true},
		{"a handler that spoke is not corrected", anonymousGet, 200, fields("Cache-Control",
			"max-age=7"), policy.Policy{TTL: time.Minute, CDNTTL: time.Hour, ClientTTL: -1},
			fields("Cache-Control", "max-age=7"), false},
		{"nor one that spoke to CDNs of which we take no note", anonymousGet, 200,
			fields("CDN-Cache-Control", "max-age=7"), policy.Policy{TTL: time.Minute,
				CDNTTL: time.Hour, Shared: true, Targeted: []string{}}, fields("Cache-Control",
				"max-age=60", "Expires", after(time.Minute), "CDN-Cache-Control", "max-age=7"),
			true},
		{"clients told of nothing", cookieGet, 200, fields(), policy.Policy{TTL: time.Minute,
			CDNTTL: time.Hour, ClientTTL: time.Hour}, nothing(), false},

		{"asked with a cookie", cookieGet, 200, fields(), minute, nothing(), false},
		{"asked with Authorization", authorizedGet, 200, fields(), minute, nothing(), false},
		{"an error", anonymousGet, 500, fields(), minute, nothing(), false},
		{"an error asked with HEAD", anonymousHead, 500, fields(), minute, nothing(), false},
		{"not found", anonymousGet, 404, fields(), minute, nothing(), false},
		{"a cookie is set", anonymousGet, 200, fields("Set-Cookie", "a=b"), minute,
			nothing("Set-Cookie", "a=b"), false},
		{"Vary: *", anonymousGet, 200, fields("Vary", "*"), minute, nothing("Vary", "*"), false},
		{"governed without a lifetime", anonymousGet, 200, fields(), resource, nothing(), false},
		{"governed without a lifetime, to HEAD", anonymousHead, 200, fields(), resource, nothing(),
			false},
		{"a guess is for everyone to make", anonymousGet, 200, fields("Last-Modified",
			after(-10*time.Hour)), guess, fields("Last-Modified", after(-10*time.Hour)), false},

		{"the handler spoke", anonymousGet, 200, fields("Cache-Control", "max-age=5"), minute,
			fields("Cache-Control", "max-age=5"), false},
		{"the handler spoke to one with a cookie", cookieGet, 200, fields("Cache-Control",
			"max-age=5"), minute, fields("Cache-Control", "max-age=5"), false},
		{"the handler spoke of no lifetime", anonymousGet, 200, fields("Cache-Control",
			"no-transform"), minute, fields("Cache-Control", "no-transform"), false},
		{"the handler spoke in Expires", anonymousGet, 200, fields("Expires", "0"), minute,
			fields("Expires", "0"), false},
		{"the handler spoke under another spelling", anonymousGet, 200,
			http.Header{"cache-control": {"private"}}, minute,
			http.Header{"cache-control": {"private"}}, false},
		{"the handler spoke to caches like us", anonymousGet, 200, fields("CDN-Cache-Control",
			"max-age=5"), minute, fields("CDN-Cache-Control", "max-age=5"), false},
		{"the handler spoke to caches like us, of no lifetime", anonymousGet, 200,
			fields("CDN-Cache-Control", "no-store"), minute, fields("CDN-Cache-Control",
				"no-store"), false},
		{"what the handler said to caches like us was no sense", anonymousGet, 200,
			fields("CDN-Cache-Control", "max-age=x"), minute, forAMinute("CDN-Cache-Control",
				"max-age=x"), true},

		{"other methods are left alone", &Request{Class: ClassUnsafe,
			Directives: noRequestDirectives()}, 200, fields(), minute, fields(), false},
		{"nothing is governed", anonymousGet, 200, fields(), policy.Policy{}, fields(), false},

		{"off", anonymousGet, 200, fields(), off, nothing(), false},
		{"off, whatever the handler said", anonymousGet, 200, fields("Cache-Control", "max-age=5",
			"Expires", after(time.Hour), "CDN-Cache-Control", "max-age=5"), off, nothing(), false},
		{"off, under another spelling", anonymousGet, 200,
			http.Header{"cache-control": {"max-age=5"}, "expires": {"x"}}, off, nothing(), false},
		{"off, for other methods too", &Request{Class: ClassUnsafe,
			Directives: noRequestDirectives()}, 200, fields("Cache-Control", "max-age=5"), off,
			nothing(), false},
	} {
		governed := c.p.TTL > 0 || c.p.Resource != "" || c.p.Off
		a := Admit(c.req, c.status, c.h, &c.p, c.p.TTL, received, received)
		wrote := Announce(c.h, &c.p, a, c.req, c.p.TTL, governed, received)
		if wrote != c.wrote || !reflect.DeepEqual(c.h, c.want) {
			t.Errorf("%s:\n got %v %v\nwant %v %v", c.why, wrote, c.h, c.wrote, c.want)
		}
	}
}

// A setting of 0 takes a resource off though its policy does not: then nothing was judged.
func TestAnnounceOfAResourceThatASettingTurnedOff(t *testing.T) {
	h := fields("Cache-Control", "public, max-age=5")
	Announce(h, &policy.Policy{Resource: "record"}, Admission{Reason: ReasonOff}, anonymousGet, 0,
		true, received)
	if want := fields("Cache-Control", "no-cache, no-store"); !reflect.DeepEqual(h, want) {
		t.Errorf("got %v; want %v", h, want)
	}
}

// What tells requests apart in the key does so for caches on the way as well, where Vary can say
// it.
func TestAnnounceWhatIsInTheKey(t *testing.T) {
	const tenant, lang = "x-tenant", "lang"
	for _, c := range []struct {
		p    policy.Policy
		vary []string // the handler's
		want []string
	}{
		{policy.Policy{}, nil, []string{"Authorization, Cookie"}},
		{policy.Policy{Shared: true}, nil, nil},
		{policy.Policy{Key: policy.KeyOptions{Headers: []string{tenant}}}, nil,
			[]string{"Authorization, Cookie, X-Tenant"}},
		{policy.Policy{Shared: true, Key: policy.KeyOptions{Headers: []string{tenant, "Accept"}}},
			nil, []string{"X-Tenant, Accept"}},
		{policy.Policy{Shared: true, Key: policy.KeyOptions{Cookies: []string{lang}}},
			[]string{"Accept"}, []string{"Accept", "Cookie"}},
		{policy.Policy{Shared: true, Key: policy.KeyOptions{Cookies: []string{lang},
			Headers: []string{"cookie"}}}, nil, []string{"Cookie"}},
		{policy.Policy{Shared: true, Key: policy.KeyOptions{Headers: []string{tenant},
			Replace: func(*http.Request) string { return "x" }}}, nil, nil},
		{policy.Policy{Key: policy.KeyOptions{Cookies: []string{lang}}}, nil,
			[]string{"Authorization, Cookie"}},
		{policy.Policy{Shared: true, Key: policy.KeyOptions{Headers: []string{tenant}}},
			[]string{"X-TENANT"}, []string{"X-TENANT"}},
		{policy.Policy{Key: policy.KeyOptions{Headers: []string{tenant}}},
			[]string{"cookie, authorization"}, []string{"cookie, authorization",
				"Authorization, Cookie, X-Tenant"}},
	} {
		h := http.Header{}
		if c.vary != nil {
			h["Vary"] = c.vary
		}
		Announce(h, &c.p, Admission{Store: true, Fresh: time.Minute}, anonymousGet, time.Minute,
			true, received)
		if got := h["Vary"]; !slices.Equal(got, c.want) {
			t.Errorf("%+v, Vary %q: got %q; want %q", c.p.Key.Headers, c.vary, got, c.want)
		}
	}
}

// Two clients may share the slice of a handler's header: what is announced to one is not seen
// there.
func TestAnnounceLeavesSharedValuesAlone(t *testing.T) {
	vary := append(make([]string, 0, 4), "Accept")
	h := http.Header{"Vary": vary}
	Announce(h, &policy.Policy{}, Admission{Store: true, Fresh: time.Minute}, anonymousGet,
		time.Minute, true, received)
	if spare := vary[:2]; spare[1] != "" {
		t.Errorf("the spare room of the handler's slice now holds %q", spare[1])
	}
}

// What was announced is not what the handler said: judged again, the response is still for those
// without credentials only.
func TestUnannounced(t *testing.T) {
	usual := policy.Policy{TTL: time.Minute}
	for _, c := range []struct {
		why string
		h   http.Header
		p   policy.Policy
	}{
		{"nothing", fields(), usual},
		{"another lifetime for clients and CDNs", fields(), policy.Policy{TTL: time.Minute,
			ClientTTL: time.Hour, CDNTTL: time.Hour}},
		{"none for clients and CDNs", fields(), policy.Policy{TTL: time.Minute, ClientTTL: -1,
			CDNTTL: -1}},
		{"no sense for CDNs", fields("CDN-Cache-Control", "max-age=x"),
			policy.Policy{TTL: time.Minute, CDNTTL: time.Hour}},
		{"validators", fields("ETag", `"1"`, "Last-Modified", date), usual},
		{"Vary", fields("Vary", "Accept"), usual},
		{"Vary that has it all", fields("Vary", "Authorization, Cookie"), usual},
		{"Vary that has it all besides", fields("Vary", "Accept", "Vary", "Authorization, Cookie"),
			usual},
		{"Vary that has half", fields("Vary", "Cookie"), usual},
		{"fields of the key", fields(), policy.Policy{TTL: time.Minute,
			Key: policy.KeyOptions{Headers: []string{"x-tenant"}}}},
		{"fields of the key, and Vary", fields("Vary", "X-Tenant"), policy.Policy{TTL: time.Minute,
			Key: policy.KeyOptions{Headers: []string{"x-tenant"}}}},
		{"cookies of the key, and Vary", fields("Vary", "Accept"), policy.Policy{TTL: time.Minute,
			Key: policy.KeyOptions{Cookies: []string{"lang"}}}},
	} {
		said, p := c.h.Clone(), &c.p
		a := Admit(anonymousGet, 200, c.h, p, p.TTL, received, received)
		announced := Announce(c.h, p, a, anonymousGet, p.TTL, true, received)
		e := &store.Entry{Status: 200, Header: c.h, Announced: announced, Anonymous: a.Anonymous,
			Vary: Nominated(a.Vary, http.Header{})}
		if !announced || !e.Anonymous {
			t.Fatalf("%s: not announced, or not kept from credentials: %+v", c.why, e)
		}
		stored := e.Header.Clone()
		made := Unannounced(e)
		if !reflect.DeepEqual(made.Header, said) || made.Announced {
			t.Errorf("%s: got %v; the handler said %v", c.why, made.Header, said)
		}
		if !reflect.DeepEqual(e.Header, stored) {
			t.Errorf("%s: the stored header was changed to %v", c.why, e.Header)
		}
		made.Header["Vary"] = append(made.Header["Vary"], "X")
		if !reflect.DeepEqual(e.Header, stored) {
			t.Errorf("%s: what was added to Vary is now stored: %v", c.why, e.Header)
		}
		made = Unannounced(e)
		again := Admit(anonymousGet, 200, Freshen(made, http.Header{}), p, p.TTL, received,
			received)
		if !again.Store || !again.Anonymous || again.Explicit {
			t.Errorf("%s: after a 304 it is taken for the handler's word: %+v", c.why, again)
		}
	}
	// where credentials choose nothing, Vary is the handler's own
	for _, vary := range [][]string{nil, {"Accept"}} {
		h := http.Header{"Content-Type": {"text/css"}}
		if vary != nil {
			h["Vary"] = vary
		}
		said, p := h.Clone(), &policy.Policy{TTL: time.Minute, Shared: true}
		a := Admit(anonymousGet, 200, h, p, p.TTL, received, received)
		e := &store.Entry{Status: 200, Header: h, Announced: Announce(h, p, a, anonymousGet, p.TTL,
			true, received), Vary: Nominated(a.Vary, http.Header{})}
		if made := Unannounced(e); !e.Announced || !reflect.DeepEqual(made.Header, said) {
			t.Errorf("shared, Vary %q: got %v; the handler said %v", vary, made.Header, said)
		}
	}
	e := &store.Entry{Header: fields("Cache-Control", "max-age=5")}
	if Unannounced(e) != e {
		t.Error("an entry of which nothing was announced is another one now")
	}
}

// No value that is announced can carry a line break, and a route that is off stays off.
func FuzzAnnounce(f *testing.F) {
	f.Add("max-age=5", "Accept", int64(60), true)
	f.Add("", "*", int64(-1), false)
	f.Fuzz(func(t *testing.T, control, vary string, seconds int64, off bool) {
		h := http.Header{"Vary": {vary}}
		if control != "" {
			h["Cache-Control"] = []string{control}
		}
		p := &policy.Policy{TTL: time.Duration(seconds), Off: off}
		a := Admit(anonymousGet, 200, h, p, p.TTL, received, received)
		wrote := Announce(h, p, a, anonymousGet, p.TTL, true, received)
		said := strings.Join(h["Cache-Control"], ", ")
		switch {
		case off && said != uncacheable:
			t.Errorf("off, yet %q", said)
		case wrote && (control != "" || len(h["Expires"]) != 1 || !strings.HasPrefix(said,
			"max-age=")):
			t.Errorf("announced %q and %q over %q", said, h["Expires"], control)
		case !wrote && !off && control != "" && said != control:
			t.Errorf("%q became %q", control, said)
		}
	})
}

package routes_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings/routes"
)

func parse(t *testing.T, rules string, o ...routes.Options) *routes.Set {
	t.Helper()
	set, err := routes.Parse("freshet.ini", "[rules]\n"+rules, append(o, routes.Options{})[0])
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// request makes one as a server would have it: target is what stands in the request line.
func request(method, target string, header ...string) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		u = &url.URL{Path: target}
	}
	r := &http.Request{Method: method, URL: u, Host: "example.com", RequestURI: target,
		Header: http.Header{}}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// Each rule has another lifetime, by which the test tells them.
func TestTheFirstRuleThatMatchesWins(t *testing.T) {
	set := parse(t, `
# by path
/exact                = 1s
/api/*                = 2s        # a comment
/static/*.css         = 3s
*.css                 = 4s
/*/feed/ type *       = 5s

; by host
example.org/*         = 6s
*.example.net/*       = 7s
example.com:8080/*    = 8s

GET /form             = 9s
POST /form            = pass
/beta cookie beta     = 10s
/beta                 = 11s,
    stale 1h
/a%3Db%20c%2A         = 12s
`)
	for _, c := range []struct {
		method, target string
		header         []string
		want           time.Duration
	}{
		{"GET", "/exact", nil, 1}, {"GET", "/exact?query", nil, 1}, {"GET", "/exact/", nil, 0},
		{"GET", "/Exact", nil, 0},
		{"GET", "/%65xact", nil, 1}, {"GET", "/exac", nil, 0},
		{"GET", "/api/", nil, 2}, {"GET", "/api/a/b", nil, 2}, {"GET", "/api", nil, 0},
		{"GET", "/apis", nil, 0},
		{"GET", "/api/x.css", nil, 2},
		{"GET", "/static/x.css", nil, 3}, {"GET", "/static/a/b.css", nil, 3},
		{"GET", "/static/.css", nil, 3},
		{"GET", "/x.css", nil, 4}, {"GET", "/x.css/", nil, 0}, {"GET", "/x.css.html", nil, 0},
		{"GET", "/a/feed/", nil, 5}, {"GET", "/feed/", nil, 0}, {"GET", "//feed/", nil, 0},
		{"GET", "/x", []string{"Host", "example.org"}, 6},
		{"GET", "/x", []string{"Host", "EXAMPLE.org.:81"}, 6},
		{"GET", "/x", []string{"Host", "a.example.org"}, 0},
		{"GET", "/x", []string{"Host", "example.org.evil"}, 0},
		{"GET", "/x", []string{"Host", "a.b.example.net"}, 7},
		{"GET", "/x", []string{"Host", "example.net"}, 0},
		{"GET", "/x", []string{"Host", "evilexample.net"}, 0},
		{"GET", "/x", []string{"Host", "example.com:8080"}, 8},
		{"GET", "/x", []string{"Host", "example.com:80"}, 0},
		{"GET", "/form", nil, 9}, {"HEAD", "/form", nil, 9}, {"", "/form", nil, 9},
		{"PUT", "/form", nil, 0},
		{"GET", "/beta", []string{"Cookie", "a=b; beta=1"}, 10},
		{"GET", "/beta", []string{"Cookie", "betaa=1; b=beta"}, 11},
		{"GET", "/beta", nil, 11}, {"GET", "/beta", []string{"Cookie", `a="x, beta=1`}, 10},
		{"GET", "/beta", []string{"Cookie", "a=1 beta=1"}, 10},
		{"GET", "/beta", []string{"Cookie", "a=1\tbeta = 1"}, 10},
		{"GET", "/beta", []string{"Cookie", "a=1; \xa0beta=1"}, 10},
		{"GET", "/beta", []string{"Cookie", "a=beta b"}, 11},
		{"GET", "/a=b%20c*", nil, 12}, {"GET", "/a=b%20cd", nil, 0},
	} {
		p := set.Policy(request(c.method, c.target, c.header...))
		got := p.TTL
		if len(p.ByType) > 0 {
			got = p.ByType[0].Policy.TTL
		}
		if got != c.want*time.Second {
			t.Errorf("%s %s %q: the rule of %v, want %v", c.method, c.target, c.header, got,
				c.want*time.Second)
		}
	}
	if p := set.Policy(request("POST", "/form")); !p.Pass {
		t.Error("POST /form does not pass")
	}
	if got := set.Origin(request("GET", "/api/x")); got != "freshet.ini:5" {
		t.Errorf("Origin is %q", got)
	}
	if got := set.Source(request("GET", "/api/x"), nil); got != "rule /api/*, freshet.ini:5" {
		t.Errorf("Source is %q", got)
	}
	if got := set.Origin(request("GET", "/none")); got != "" {
		t.Errorf("Origin of no rule is %q", got)
	}
}

// What each word makes of a policy.
func TestWords(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		words string
		want  policy.Policy
	}{
		{"60s", policy.Policy{TTL: time.Minute}}, {"90", policy.Policy{TTL: 90 * time.Second}},
		{"7d", policy.Policy{TTL: 7 * day}},
		{"2w", policy.Policy{TTL: 14 * day}}, {"1h30m", policy.Policy{TTL: 90 * time.Minute}},
		{"1m, clients 5s, cdn 1h", policy.Policy{TTL: time.Minute, ClientTTL: 5 * time.Second,
			CDNTTL: time.Hour}},
		{"clients none, cdn none, retain none", policy.Policy{ClientTTL: -1, CDNTTL: -1,
			Retention: -1}},
		{"stale 1h, if-error 1d, retain 2h", policy.Policy{StaleWhileRevalidate: time.Hour,
			StaleIfError: day, Retention: 2 * time.Hour}},
		{"heuristic", policy.Policy{Heuristic: true}},
		{"heuristic 1h", policy.Policy{Heuristic: true, HeuristicMax: time.Hour,
			HeuristicDocumentMax: time.Hour}},
		{"tags a b", policy.Policy{Tags: []string{"a", "b"}}},
		{"1m, shared", policy.Policy{TTL: time.Minute, Shared: true}},
		{"1m, override", policy.Policy{TTL: time.Minute, Override: true, ClientTTL: -1}},
		{"1m, override, clients 5s", policy.Policy{TTL: time.Minute, Override: true,
			ClientTTL: 5 * time.Second}},
		{"1m, unsafe-private", policy.Policy{TTL: time.Minute, OverridePrivate: true,
			ClientTTL: -1}},
		{"1m, unsafe-set-cookie", policy.Policy{TTL: time.Minute, StoreCookies: true}},
		{"off", policy.Policy{Off: true}}, {"pass", policy.Policy{Pass: true}},
		{"pass-cookies s* t", policy.Policy{PassCookies: []string{"s*", "t"}}},
		{"ignore-cookies a @analytics b", policy.Policy{IgnoreCookies: slices.Concat([]string{"a"},
			policy.AnalyticsCookies(), []string{"b"})}},
		{"keep-cookies lang", policy.Policy{KeepCookies: []string{"lang"}}}, {"keep-cookies none",
			policy.Policy{KeepCookies: []string{}}},
		{"keep-query q page", policy.Policy{Key: policy.KeyOptions{KeepParams: []string{"q",
			"page"}}}},
		{"keep-query none", policy.Policy{Key: policy.KeyOptions{KeepParams: []string{}}}},
		{"drop-query utm_*, sort-query",
			policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm_*"}, SortQuery: true}}},
		{"key-cookies lang, key-headers X-Tenant",
			policy.Policy{Key: policy.KeyOptions{Cookies: []string{"lang"},
				Headers: []string{"X-Tenant"}}}},
		{"no-force, max-body 1MiB", policy.Policy{IgnoreClientDirectives: true, MaxBody: 1 << 20}},
		{"throttle 10s, failures 5s", policy.Policy{Throttle: 10 * time.Second,
			FailureTTL: 5 * time.Second}},
		{"throttle none, failures none, eager none, xfetch none, jitter none", policy.Policy{}},
		{"jitter 10%, eager 80%, xfetch 1.5", policy.Policy{Jitter: 0.1, EagerRefresh: 0.8,
			XFetch: 1.5}},
		{"lease 2s", policy.Policy{Lease: 2 * time.Second}}, {"lease none", policy.Policy{Lease: -1}},
		{"soft-timeout 500ms, hard-timeout 10s, max-runs 8", policy.Policy{
			SoftTimeout: time.Second / 2, HardTimeout: 10 * time.Second, MaxRuns: 8}},
		{"soft-timeout none, hard-timeout none, max-runs none", policy.Policy{}},
		{"timeout 5s, max-wait 2s", policy.Policy{Timeout: 5 * time.Second,
			MaxWait: 2 * time.Second}},
	} {
		set := parse(t, "/x = "+c.words)
		if got := set.Policy(request("GET", "/x")); !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s:\n%+v, want\n%+v", c.words, *got, c.want)
		}
	}
}

// A base's words hold under each rule, unless the rule says otherwise.
func TestBase(t *testing.T) {
	base := policy.Policy{Heuristic: true, PassCookies: []string{"s"},
		IgnoreCookies: []string{"_ga"}, StaleIfError: time.Hour}
	set := parse(t, "/a = 1m\n/b = pass-cookies t, ignore-cookies none, heuristic none, if-error "+
		"none\n/c type text/html = 1m, if-error 1s",
		routes.Options{Base: base})
	if got := set.Policy(request("GET", "/none")); !reflect.DeepEqual(*got, base) {
		t.Errorf("no rule: %+v", *got)
	}
	want := base
	want.TTL = time.Minute
	if got := set.Policy(request("GET", "/a")); !reflect.DeepEqual(*got, want) {
		t.Errorf("/a: %+v", *got)
	}
	if got := set.Policy(request("GET", "/b")); !reflect.DeepEqual(*got, policy.Policy{PassCookies: []string{"s", "t"}}) {
		t.Errorf("/b: %+v", *got)
	}
	of := policy.Policy{TTL: time.Minute, Heuristic: true, StaleIfError: time.Second}
	want = base
	want.ByType = []policy.TypePolicy{{Types: []string{"text/html"}, Policy: of}}
	if got := set.Policy(request("GET", "/c")); !reflect.DeepEqual(*got, want) {
		t.Errorf("/c: %+v", *got)
	}
}

// Lines of one selector are one rule, whose types choose among its responses.
func TestTypes(t *testing.T) {
	set := parse(t, `/* type text/html|application/xhtml+xml = 60s, override
/* type IMAGE/* = 1d, shared
/* = drop-query utm_*, pass-cookies s
/* type application/x-private = off
/* type * = 10s`)
	want := policy.Policy{
		PassCookies: []string{"s"}, Key: policy.KeyOptions{DropParams: []string{"utm_*"}},
		ByType: []policy.TypePolicy{
			{Types: []string{"text/html", "application/xhtml+xml"},
				Policy: policy.Policy{TTL: time.Minute, Override: true, ClientTTL: -1}},
			{Types: []string{"image/*"}, Policy: policy.Policy{TTL: 24 * time.Hour, Shared: true}},
			{Types: []string{"application/x-private"}, Policy: policy.Policy{Off: true}},
			{Types: []string{"*"}, Policy: policy.Policy{TTL: 10 * time.Second}},
		},
	}
	if got := set.Policy(request("GET", "/x")); !reflect.DeepEqual(*got, want) || set.Len() != 1 {
		t.Errorf("%d rules: %+v, want %+v", set.Len(), *got, want)
	}
	implied := parse(t, "*.css = 7d, shared, drop-query v").Policy(request("GET", "/account/x.css"))
	if implied.TTL != 0 || implied.Shared || len(implied.ByType) != 1 ||
		implied.ByType[0].Types[0] != "text/css" {
		t.Errorf("*.css: %+v", implied)
	}
}

// Paths that servers read in more than one way: what allows does not hold for them, and what
// forbids holds for each of their readings, wherever it stands, and whatever the case.
func TestPathConfusion(t *testing.T) {
	set := parse(t, `/api/*    = 60s, shared, ignore-cookies a, override, tags api, pass-cookies s
/static/*.css               = 1h
/wp-admin/*                 = pass
/account                    = off
/*                          = 10s`)
	for _, c := range []struct {
		target string
		want   string
	}{
		{"/api/x", "api"}, {"/other", "all"}, {"/API/x", "all"}, {"/a.b/..c/d..", "all"},
		{"/a%20b/%C3%A9", "all"}, {"/100%25", "all"},
		{"/api/..%2fadmin", "pass"}, {"/api/%2e%2e/admin", "pass"},
		{"/api/../admin", "pass"},
		{"/api//x", "careful api"}, {"/api/;x", "careful api"}, {"/api/x;y=z", "careful api"},
		{"/api/a%5cb", "careful api"},
		{"/api/%00", "careful api"}, {"/api/a%3fb", "careful api"}, {"/api/a%23b", "careful api"},
		{"/api/%252e%252e/x", "pass"},
		{"/api/x/.", "careful api"}, {"/api/a%0ab", "careful api"}, {"/api/%c0%ae%c0%ae/x",
			"careful api"}, {"/api/.../x", "careful api"},
		{"//api/x", "pass"}, {"/%2fapi/x", "pass"}, {"/x/../api/x", "pass"},
		{"/api/a%2Fb", "careful api"}, {"http://example.com/api/..%2fx", "pass"},

		{"/wp-admin/", "pass"}, {"/WP-Admin/x", "pass"}, {"//wp-admin/x", "pass"},
		{"/api/../wp-admin/x", "pass"},
		{"/api/..%2fwp-admin/x", "pass"}, {"/x;y/../wp-admin/", "pass"}, {"/wp-admin;x/y", "pass"},
		{`/\wp-admin\x`, "pass"},
		{"/%2577p-admin/x", "pass"}, {"/api/%252e%252e/wp-admin/", "pass"}, {"/api/..;/wp-admin/x",
			"pass"},
		{"/ACCOUNT", "off"}, {"/account;jsessionid=1", "off"}, {"/account%00.css", "off"},
		{"/account%3f.css", "off"}, {"//account", "off"},
		{"/static/../account", "off"}, {"/account/", "all"},
		{"*", "careful"},
	} {
		p := set.Policy(request("GET", c.target))
		got := "all"
		switch {
		case p.Pass:
			got = "pass"
		case p.Off:
			got = "off"
		case slices.Contains(p.Tags, "api") && p.TTL > 0:
			got = "api"
		case slices.Contains(p.Tags, "api"):
			got = "careful api"
		case p.TTL == 0:
			got = "careful"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.target, got, c.want)
		}
		if strings.HasPrefix(c.want, "careful") && (p.TTL > 0 || p.Shared || p.Override ||
			p.Heuristic || len(p.IgnoreCookies) > 0 || len(p.ByType) > 0) {
			t.Errorf("%s: a path that is not plain gets %+v", c.target, *p)
		}
		if c.want == "careful api" && !slices.Contains(p.PassCookies, "s") {
			t.Errorf("%s: its cookies do not pass", c.target)
		}
	}
}

// What a rule says of a type, of cookies and of keys holds for paths that are not plain, too: what
// is of a type that is off stays out, and where two readings have rules that differ the request
// passes.
func TestPathConfusionByTypeAndCookie(t *testing.T) {
	for _, c := range []struct {
		name, rules, target string
		pass, off           bool
	}{
		{"a type that is off", "/account/* type text/html = off\n/* = 60s", "/account//page", false,
			true},
		{"... in the second reading", "/pub/* = 60s\n/account/* type * = off",
			"/pub/..%2faccount/page", true, false},
		{"cookies that pass, in the second reading",
			"/pub/* = 60s\n/account/* = pass-cookies session\n/* = 60s", "/pub/..%2faccount/page",
			true, false},
		{"... in the first", "/account/* = pass-cookies session\n/pub/* = 60s\n/* = 60s",
			"/pub/..%2faccount/page", true, false},
		{"a key, in no rule's first reading", "/account/* = key-headers X-Tenant",
			"/pub/..%2faccount/page", true, false},
		{"rules that differ in lifetimes alone", "/pub/* = 60s\n/* = 10s", "/pub//page", false,
			false},
	} {
		set := parse(t, c.rules)
		p := set.Policy(request("GET", c.target))
		off := len(p.ByType) == 1 && p.ByType[0].Policy.Off
		if p.Pass != c.pass || off != c.off {
			t.Errorf("%s: pass %v, off %v; want %v, %v", c.name, p.Pass, off, c.pass, c.off)
		}
		if set.Policy(request("GET", c.target)) != p {
			t.Errorf("%s: another pointer", c.name)
		}
	}
}

// Each request finds the same pointers, and finding them allocates nothing.
func TestPointersAreStable(t *testing.T) {
	set := parse(t, "example.org/* = 1m\n/a cookie c = 1m\n/wp-admin/* = pass\n*.css = 1m\n/* = 2m")
	r := request("GET", "/some/path.html", "Cookie", "a=b; d=e", "Host", "www.example.com:8080")
	first := set.Policy(r)
	if first.TTL != 2*time.Minute {
		t.Fatal(*first)
	}
	if allocs := testing.AllocsPerRun(100, func() {
		if set.Policy(r) != first {
			t.Error("another pointer")
		}
	}); allocs > 0 {
		t.Errorf("Policy allocates %v times", allocs)
	}
}

// Of lines that choose by type, an explanation names the one whose type the response has, also
// where another set's policies were kept.
func TestSourceByType(t *testing.T) {
	var live routes.Live
	const text = "/* type image/* = 1h\n/* type text/html = 1m\n/* = tags a"
	live.Use(parse(t, text))
	live.Use(parse(t, text))
	r := request("GET", "/a")
	p := live.Policy(r)
	for i, want := range []string{"rule /* type image/*, freshet.ini:2",
		"rule /* type text/html, freshet.ini:3"} {
		if got := live.Source(r, &p.ByType[i].Policy); got != want {
			t.Errorf("type %d: %q, want %q", i, got, want)
		}
	}
	if got := live.Source(r, p); got != "rule /*, freshet.ini:4" {
		t.Errorf("no type: %q", got)
	}
	live.Use(parse(t, "/* type image/* = 1h"))
	if got := live.Source(r, live.Policy(r)); got != "" {
		t.Errorf("a response of no line's type has %q", got)
	}
	if got := (*routes.Set)(nil).Source(r, nil); got != "" {
		t.Errorf("no rules, and %q", got)
	}
}

// A set that takes another's place keeps the policies of what has not changed.
func TestLive(t *testing.T) {
	var live routes.Live
	r := request("GET", "/a")
	if live.Policy(r) != nil || live.Set() != nil || live.Set().Len() != 0 ||
		live.Set().Warnings() != nil || live.Set().Origin(r) != "" {
		t.Error("no set has rules")
	}
	live.Use(parse(t, "/a = 1m\n/b = 2m"))
	a, b := live.Policy(r), live.Policy(request("GET", "/b"))
	next := parse(t, "/c = 5m\n/a = 1m\n/b = 3m")
	live.Use(next)
	if live.Policy(r) != a {
		t.Error("/a has another pointer")
	}
	if got := live.Policy(request("GET", "/b")); got == b || got.TTL != 3*time.Minute {
		t.Errorf("/b: %+v", got)
	}
	if next.Policy(r) == a {
		t.Error("a Set was modified")
	}
	live.Use(nil)
	if live.Policy(r) != nil {
		t.Error("the rules are still there")
	}
}

func TestWarnings(t *testing.T) {
	set := parse(t, "/a = 1m, unsafe-private\n/b = 1m, unsafe-set-cookie\n/c = 1m, shared, "+
		"override\n/d = 1m, shared")
	if got := set.Warnings(); len(got) != 3 || !strings.Contains(got[0],
		"freshet.ini:2: /a: unsafe-private") {
		t.Errorf("%q", got)
	}
}

// First goes before the file's, and sections of others are left alone.
func TestSections(t *testing.T) {
	text := "\ufeffkey = x\n[freshet]\nproxy.listen = :1\n/a = 9m\n[ rules ] ; ours\n/a = " +
		"1m\n[app]\n/a = nonsense\n[rules]\n/b = 2m\n"
	set, err := routes.Parse("x.ini", text, routes.Options{First: []string{"/first = 3m",
		"/b = 4m\n, stale 1m"}})
	if err == nil || !strings.Contains(err.Error(), "x.ini:10: /b: no response comes to this "+
		"rule: /b at rule 2") {
		t.Fatal(set, err)
	}
	set, err = routes.Parse("x.ini", text, routes.Options{First: []string{"/a cookie c = 3m"}})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]time.Duration{"/a": time.Minute, "/b": 2 * time.Minute,
		"/c": 0} {
		if got := set.Policy(httptest.NewRequest("GET", path, nil)).TTL; got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

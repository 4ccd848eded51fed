package rules

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

// cookieRequest is a GET with these Cookie fields.
func cookieRequest(lines ...string) *http.Request {
	r, _ := http.NewRequest("GET", "http://example.com/", nil)
	r.RequestURI = "/"
	if len(lines) > 0 {
		r.Header["Cookie"] = lines
	}
	return r
}

var ignoring = &policy.Policy{IgnoreCookies: []string{"_ga*", "utm*", "consent", "both"},
	PassCookies: []string{"in_*", "both"}}

// Ignored cookies are gone, and what cannot be read for certain is left as it is.
func TestIgnoredCookies(t *testing.T) {
	for _, c := range []struct {
		why         string
		lines, want []string
	}{
		{"none", nil, nil},
		{"one", []string{"_ga=GA1.1.1"}, nil},
		{"several", []string{"_ga=1; utm_source=x;consent=yes"}, nil},
		{"several fields", []string{"_ga=1", "sid=2; _gat=3", "utmz=1"}, []string{"sid=2"}},
		{"between others", []string{"a=1; _ga=2;  b=3 ;_gat"}, []string{"a=1; b=3"}},
		{"without a value", []string{"_ga"}, nil},
		{"with spaces around the name", []string{"\t_ga =1;a=1"}, []string{"a=1"}},
		{"with what a banner writes", []string{`consent={stamp:'x',ok:true,"v":[1, 2]}`}, nil},
		{"with a quoted value", []string{`_ga="x y"; a="b"`}, []string{`a="b"`}},
		{"empty pairs", []string{"; ;_ga=1;;"}, nil},
		{"nothing but empty pairs", []string{";;"}, []string{";;"}},
		{"other case", []string{"_GA=1"}, []string{"_GA=1"}},
		{"no prefix", []string{"consents=1"}, []string{"consents=1"}},
		{"no name", []string{"=_ga"}, []string{"=_ga"}},
		{"a name that is none", []string{"_ga x=1"}, []string{"_ga x=1"}},
		{"one that makes the request pass", []string{"both=1; _ga=2"}, []string{"both=1"}},
		{"only others", []string{"a=1;b=2"}, []string{"a=1;b=2"}},

		{"an open quote", []string{`_ga="1; sid=2`}, []string{`_ga="1; sid=2`}},
		{"a quote that opens in another cookie", []string{`sid="1; _ga=2; x"`},
			[]string{`sid="1; _ga=2; x"`}},
		{"a quote in the name", []string{`"_ga=1; sid=2"`}, []string{`"_ga=1; sid=2"`}},
		{"an escaped quote", []string{`_ga="1\"; sid=2"`}, []string{`_ga="1\"; sid=2"`}},
		{"a backslash without quotes", []string{`_ga=1\2; sid=2`}, []string{"sid=2"}},
		{"an escape in closed quotes", []string{`_ga="1\2"; sid=2`}, []string{`_ga="1\2"; sid=2`}},
		{"a control", []string{"_ga=1\x00; sid=2"}, []string{"_ga=1\x00; sid=2"}},
		{"an end of line", []string{"_ga=1\rsid=2"}, []string{"_ga=1\rsid=2"}},
		{"a control in another field", []string{"_ga=1", "a=\x7f"}, []string{"_ga=1", "a=\x7f"}},
		{"as many as are read", []string{strings.Repeat("_ga=1;", maxCookies)}, nil},
		{"as long as is read, over two fields", []string{"_ga=1", "_ga=" + strings.Repeat("x",
			maxCookieBytes-len("_ga=1_ga="))}, nil},
		{"a byte more", []string{"_ga=12", "_ga=" + strings.Repeat("x",
			maxCookieBytes-len("_ga=1_ga="))}, []string{"_ga=12", "_ga=" + strings.Repeat("x",
			maxCookieBytes-len("_ga=1_ga="))}},
		{"too many", []string{strings.Repeat("_ga=1;", maxCookies+1)},
			[]string{strings.Repeat("_ga=1;", maxCookies+1)}},
		{"too long", []string{"_ga=" + strings.Repeat("x", maxCookieBytes)},
			[]string{"_ga=" + strings.Repeat("x", maxCookieBytes)}},
	} {
		r := cookieRequest(c.lines...)
		got := WithoutIgnoredCookies(r, ignoring)
		if !slices.Equal(got.Header["Cookie"], c.want) {
			t.Errorf("%s: %q became %q, want %q", c.why, c.lines, got.Header["Cookie"], c.want)
		}
		if !slices.Equal(r.Header["Cookie"], c.lines) {
			t.Errorf("%s: the client's request was changed to %q", c.why, r.Header["Cookie"])
		}
		if _, there := got.Header["Cookie"]; there != (len(c.want) > 0) {
			t.Errorf("%s: a Cookie field without lines is there", c.why)
		}
		if q, _, _ := ReadRequest(got, ignoring); q.Credentials != (len(c.want) > 0) {
			t.Errorf("%s: credentials %v", c.why, q.Credentials)
		}
	}
}

// A request without cookies, or a policy without the option, costs nothing.
func TestNoIgnoredCookiesCostNothing(t *testing.T) {
	for _, c := range []struct {
		r *http.Request
		p *policy.Policy
	}{{cookieRequest("_ga=1"), &policy.Policy{}}, {cookieRequest(), ignoring}} {
		if n := testing.AllocsPerRun(100, func() { WithoutIgnoredCookies(c.r, c.p) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// A request with a cookie that PassCookies lists passes, wherever a handler could find it.
func TestPassCookies(t *testing.T) {
	for _, c := range []struct {
		line string
		pass bool
	}{
		{"in_1=x", true},
		{"a=1; in_1=x", true},
		{"a=1;\tin_1 =x", true},
		{"in_", true},
		{"both=1", true},
		{`a="1; in_1=x"`, true},
		{`a=1, in_1=x`, true},
		{"_ga=1; in_1=x", true},
		{"a=1 in_1=x", true}, // as Python's http.cookies reads it
		{"a=1\tin_1 = x", true},
		{"a=1\x0bin_1=x", true},
		{"a=1; \xa0in_1=x", true}, // as Python's str.strip does
		{"a=1;b=2\r\n both=", true},
		{"a in_b", true},
		{"a=1 b=in_1", false},
		{"In_1=x", false},
		{"a=in_1", false},
		{"main_1=x", false},
		{"", false},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := WithoutIgnoredCookies(cookieRequest(c.line), ignoring)
			r.Method = method
			_, plan, why := ReadRequest(r, ignoring)
			if passes := plan == PlanPass && why == ReasonPassCookie; passes != c.pass {
				t.Errorf("%s with %q: %v because of %q", method, c.line, plan, why)
			}
		}
		r := cookieRequest(c.line)
		r.Method = "POST"
		if q, plan, _ := ReadRequest(r, ignoring); plan != PlanInvalidate ||
			q.Directives.NoStore != c.pass {
			t.Errorf("POST with %q: %v, not to be stored: %v", c.line, plan, q.Directives.NoStore)
		}
	}
}

// AnalyticsCookies are patterns of real names, each of them.
func TestAnalyticsCookies(t *testing.T) {
	p := &policy.Policy{IgnoreCookies: policy.AnalyticsCookies()}
	for _, line := range []string{
		"_ga=GA1.1.1203.1730; _ga_8KXWT1=GS2.1.s17$o1$g0$t17$j60$l0$h0; _gid=GA1.2.1; " +
			"_gat_UA-1-2=1; _gcl_au=1.1.1",
		"__utmz=1.2.1.1.utmcsr=google|utmccn=(organic)|utmcmd=organic|utmctr=(not provided); " +
			"__utma=1",
		"_gat=1; __hstc=1.2; __hssc=1; __hssrc=1; __hs_opt_out=no",
		"_fbp=fb.1.1.1; _clck=1x2; _uetsid=ab; _hjSessionUser_1=eyJpZCI6; _pk_id.1.1fff=1; " +
			"_ym_uid=1",
		`OptanonConsent=isGpcEnabled=0&datestamp=Mon+Nov&groups=C0001%3A1; CookieConsent={stamp:%27x%27%2Cnecessary:true}`,
		"cookieyes-consent=consentid:a,consent:yes,action:no; euconsent-v2=CP; __cf_bm=x.y; " +
			"AWSALBCORS=z",
	} {
		if r := WithoutIgnoredCookies(cookieRequest(line), p); len(r.Header["Cookie"]) > 0 {
			t.Errorf("%q is left", r.Header["Cookie"])
		}
	}
	for _, name := range []string{"session", "PHPSESSID", "JSESSIONID", "connect.sid", "csrftoken",
		"_gorilla_csrf", "_csrf",
		"wordpress_logged_in_x", "wp-settings-1", "__hsmem", "_gatekeeper_session",
		"woocommerce_items_in_cart", "laravel_session", "__Host-session", "auth", "lang", "theme",
		"cart"} {
		if ignoresCookie(p, name) {
			t.Errorf("%s is ignored", name)
		}
	}
	for _, pattern := range p.IgnoreCookies {
		if name, _ := strings.CutSuffix(pattern, "*"); len(name) < 3 || !isToken(name) {
			t.Errorf("%q is no pattern of a name", pattern)
		}
	}
}

// Whatever a client sends: a handler of a shared run sees no cookie that the cache ignored, all
// that it did not, and a field that could not be read counts as it is.
func FuzzIgnoredCookies(f *testing.F) {
	for _, line := range []string{"_ga=1; sid=2", `_ga="1; sid=2"`, `a="b\"; _ga=1; c"`,
		"_ga =1;;=x;sid", "sid=1, _ga=2", "_ga\x0b=1; a", "both=1;in_x", `_ga="";a=""`} {
		f.Add(line, "")
		f.Add("x=1", line)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		r := cookieRequest(first, second)
		seen := WithoutIgnoredCookies(r, ignoring)
		q, _, _ := ReadRequest(seen, ignoring)
		lines := seen.Header["Cookie"]
		if q.Credentials != (len(lines) > 0) {
			t.Errorf("credentials %v with %q", q.Credentials, lines)
		}
		if seen == r {
			return
		}
		if again := WithoutIgnoredCookies(seen, ignoring); again != seen {
			t.Errorf("%q: more was ignored the second time: %q", lines, again.Header["Cookie"])
		}
		for _, line := range lines {
			for _, pairs := range [][]string{strings.Split(line, ";"), pairsOutsideQuotes(line)} {
				for _, pair := range pairs {
					if name := strings.TrimSpace(cookieName(pair)); ignoresCookie(ignoring, name) {
						t.Errorf("%q of %q, %q is left", name, first, second)
					}
				}
			}
		}
		var want []string
		for _, c := range r.Cookies() {
			if !ignoresCookie(ignoring, c.Name) {
				want = append(want, c.Name+"="+c.Value)
			}
		}
		var got []string
		for _, c := range seen.Cookies() {
			got = append(got, c.Name+"="+c.Value)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q, %q: a handler sees %q, want %q", first, second, got, want)
		}
	})
}

// pairsOutsideQuotes cuts a line as those do who read quoted strings (RFC 2109).
func pairsOutsideQuotes(line string) (pairs []string) {
	quoted, start := false, 0
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == ';' && !quoted:
			pairs = append(pairs, line[start:i])
			start = i + 1
		}
	}
	return append(pairs, line[start:])
}

// The cookie that a response sets and its policy ignores.
func TestSetsIgnoredCookie(t *testing.T) {
	p := &policy.Policy{IgnoreCookies: []string{"_ga*", "token"}, PassCookies: []string{"_gate"}}
	for _, s := range []struct {
		p    *policy.Policy
		sets []string
		want string
	}{
		{p, nil, ""},
		{p, []string{"session=1; Path=/token=1"}, ""},
		{p, []string{"session=1", "token=1; Path=/"}, "token"},
		{p, []string{"_ga_X=1"}, "_ga_X"},
		{p, []string{"_gate=1"}, ""}, // which makes its request pass
		{p, []string{"", "=1", "Token=1"}, ""},
		{&policy.Policy{}, []string{"token=1"}, ""},
	} {
		if got := SetsIgnoredCookie(http.Header{"Set-Cookie": s.sets}, s.p); got != s.want {
			t.Errorf("%q: got %q, want %q", s.sets, got, s.want)
		}
	}
}

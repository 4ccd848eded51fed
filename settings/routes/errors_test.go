package routes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/settings/routes"
)

// Each error names where, which rule, which word, and what is allowed.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		rules string
		says  []string
	}{
		{"/x", []string{"freshet.ini:2: /x: allowed is PATTERN = WORDS"}},
		{"= 60s", []string{"freshet.ini:2: there is nothing before the ="}},
		{"/x =", []string{"freshet.ini:2: /x: there is nothing behind the =",
			"a lifetime such as 60s"}},
		{"/x = 60s, cach 1h",
			[]string{`/x: "cach 1h": there is no such word: allowed are a lifetime`, "stale"}},
		{"/x = 60s, cach 1h", []string{"there is no such word: allowed"}},
		{"/x = 60s, sotf-timeout 1s", []string{"there is no such word (did you mean soft-timeout?): allowed"}},
		{"/x = 60s, tag a", []string{"there is no such word (did you mean tags?): allowed"}},
		{"/x = 60s, Max_Runs 3", []string{"there is no such word (did you mean max-runs?): allowed"}},
		{"/x = 60s, hardtimeout 2s", []string{"did you mean hard-timeout?"}},
		{"/x = 60s, everything", []string{"there is no such word: allowed"}},
		{"/x = 60 s", []string{`"60 s": allowed is one value behind it`}},
		{"/x = 60s shared", []string{`"60s shared": words have commas between them: 60s, shared`}},
		{"[rulez]\n/x = pass\n/y = 1m", []string{"freshet.ini:3: this looks like a rule, and stands " +
			"in the section [rulez], which is not read: rules stand in [rules]"}},
		{"[Rules]\n* = 60s", []string{"freshet.ini:3: this looks like a rule"}},
		{"/x = 60x", []string{`"60x": allowed is a length of time from 1s`, "7d"}},
		{"/x = 0", []string{`"0": allowed is a length of time from 1s`}},
		{"/x = 99999d", []string{`"99999d": allowed is a length`}},
		{"/x = 99999999999999999999w", []string{`allowed is a length`}},
		{"/x = 1500ms", []string{`"1500ms": allowed are whole seconds`}},
		{"/x = 60s, 90s", []string{`"90s": the rule has a lifetime already`}},
		{"/x = 60s, shared, shared", []string{`the rule has shared already`}},
		{"/x = 60s, stale", []string{`"stale": allowed is one value behind it, or none`}},
		{"/x = 60s, shared yes", []string{`"shared yes": it stands alone`}},
		{"/x = jitter 0.1", []string{`"jitter 0.1": allowed is a percentage from 1% to 99%, or none`}},
		{"/x = eager 100%", []string{`"eager 100%": allowed is a percentage from 1% to 99%`}},
		{"/x = eager", []string{`"eager": allowed is one value behind it`}},
		{"/x = xfetch NaN", []string{`"xfetch NaN": allowed is a number above 0 and up to 100`}},
		{"/x = failures 2m", []string{`"failures 2m": allowed are at most 1m0s, or none`}},
		{"/x = throttle soon", []string{`"throttle soon": allowed is a length of time from 1s`}},
		{"/x type text/html = 1m, throttle 1s", []string{`"throttle 1s" is settled when the request`}},
		{"/x type text/html = 1m, failures 1s", []string{`"failures 1s" is settled when the request`}},
		{"/x = tags", []string{`"tags": allowed are one or more names`}},
		{"/x = pass-cookies a=b", []string{`"a=b" is no name of a cookie`}},
		{"/x = key-cookies a*", []string{`"a*" is no whole name`}},
		{"/x = max-body lots", []string{`"max-body lots": allowed is a number of bytes`}},
		{"/x = soft-timeout 0", []string{`"soft-timeout 0": allowed is a length of time from 1ms`}},
		{"/x = hard-timeout soon", []string{`"hard-timeout soon": allowed is a length of time from 1ms`}},
		{"/x = soft-timeout 2s, hard-timeout 1500ms", []string{"freshet.ini:2", "hard-timeout 1.5s ends " +
			"before soft-timeout 2s: allowed is 2s or more"}},
		{"/x = max-runs 0", []string{`"max-runs 0": allowed is a whole number from 1 to 1000000`}},
		{"/x = max-runs -1", []string{`"max-runs -1": allowed is a whole number`}},
		{"/x = max-runs few", []string{`"max-runs few": allowed is a whole number`}},
		{"/x type text/html = 60s, max-runs 2", []string{`"max-runs 2" is settled when the request comes`}},
		{"/x = pass, 60s", []string{"pass stands alone"}},
		{"/x = off, tags a", []string{"off stands alone"}},
		{"/x = override", []string{"give it one, such as 60s"}},
		{"/x = 1m, shared, unsafe-set-cookie", []string{"shared and unsafe-set-cookie together " +
			"would give every visitor the session of the first"}},
		{"/x type text/html = 1m, drop-query a",
			[]string{`"drop-query a" is settled when the request comes`, "for /x without type"}},
		{"/x type text/html = pass", []string{`"pass" is settled when the request comes`}},
		{"POST /x = 60s", []string{"only responses to GET and HEAD are kept: for POST allowed " +
			"are pass and off"}},
		{"/x cookie wp_* = 60s", []string{"takes its whole name; allowed for all that begin so " +
			"are pass and off"}},
		{"/x cookie a;b = pass", []string{`"a;b" is no name of a cookie`}},

		{"GET = 60s", []string{`"GET" is a method without a pattern`}},
		{"x = 60s", []string{"a pattern begins with / or with *"}},
		{"/x cookie = 60s", []string{`"cookie": allowed behind a pattern are`}},
		{"/x kind text/html = 60s",
			[]string{`"kind text/html": allowed behind a pattern are, once each: cookie NAME, type TYPE`}},
		{"/x type html = 60s",
			[]string{`"html" is no type: allowed are such as text/html, image/*`}},
		{"/a*b*c = 60s", []string{`"/a*b*c" has more than one *`}},
		{"/x?a=b = 60s", []string{`has a query, which rules do not look at`}},
		{"/x%zz = 60s", []string{`%25`}},
		{"//x = 60s", []string{"is no path in its plain form"}},
		{"/a/../b = 60s", []string{"is no path in its plain form"}},
		{"/a;b = 60s", []string{"is no path in its plain form"}},
		{"/%2f = 60s", []string{"is no path in its plain form"}},
		{"*/feed/ = 60s", []string{`"*" is no host`, "as in /*/feed/"}},
		{"a_b!/x = 60s", []string{"is no host"}},
		{"example.com:/x = 60s", []string{"with a port or not"}},
		{"/*/feed/ = 60s", []string{"is not known here", "/account/x/feed/", "type TYPE"}},
		{"*.foo = 60s", []string{"is not known here"}},

		{"/* = 60s\n/x = 10s", []string{"freshet.ini:3: /x: no request comes to this rule: /* at " +
			"freshet.ini:2 takes them all", "put this one above"}},
		{"/* type text/html = 60s\n/api/* = 10s", []string{"freshet.ini:3", "no request comes",
			"a type chooses among the responses"}},
		{"*.css = 60s\n/a/*.css = 10s", []string{"freshet.ini:3", "no request comes"}},
		{"/a/* = 60s\nGET /a/b/* = 10s", []string{"no request comes"}}, {"/a/* = pass\n/A/b = 10s",
			[]string{"no request comes"}},
		{"*.example.com/* = 60s\na.example.com:80/* = 10s", []string{"no request comes"}},
		{"/a/* = 60s\n/a/b cookie s = pass", []string{"no request comes"}},
		{"/a cookie s* = pass\n/a cookie session = 10s", []string{"no request comes"}},
		{"/x = 60s\n/x = 60s", []string{"freshet.ini:3: /x: no response comes to this rule: /x " +
			"at freshet.ini:2"}},
		{"/x = 60s\n/x type text/html = 60s", []string{"no response comes"}},
		{"/x type text/* = 60s\n/x type text/html = 60s", []string{"no response comes"}},
		{"/x = 1m, drop-query a\n/x type text/css = 2m\n/y type a/b = 1m\n/y = drop-query a\n/y " +
			"= drop-query b",
			[]string{"freshet.ini:3: /x type text/css: no response comes",
				`freshet.ini:6: /y: "drop-query b": /y at freshet.ini:5 says drop-query already`}},
		{strings.Repeat("/x = nonsense\n", 30), []string{"freshet.ini:21:", "and 10 more"}},
		{strings.Repeat("/x = 60s\n", 251), []string{"there are 251 rules: allowed are 250"}},
		{"/x = tags \xff", []string{"allowed is UTF-8"}},
		{"/x = tags " + strings.Repeat("a", 9000), []string{"longer than 8192 bytes"}},
	} {
		set, err := routes.Parse("freshet.ini", "[rules]\n"+c.rules, routes.Options{})
		if err == nil {
			t.Errorf("%.60s: no error, %d rules", c.rules, set.Len())
			continue
		}
		for _, says := range c.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%.60s:\n%.600v\nwant it to say\n%s", c.rules, err, says)
			}
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !strings.HasPrefix(line, "rules: ") {
				t.Errorf("%.60s: %q does not say whose error it is", c.rules, line)
			}
		}
	}
}

// What is not the same is not taken for it.
func TestRulesThatAreReached(t *testing.T) {
	for _, rules := range []string{
		"GET /a/* = 60s\n/a/x = pass", "/a/* cookie s = pass\n/a/x = 60s",
		"example.com/* = 60s\n/x = 60s",
		"/A/* = 60s\n/a/* = 60s", "/ab* = 60s\n/a* = 60s", "*.css = 60s\n*.js = 60s",
		"/a/*.css = 60s\n*.css = 1m",
		"/x type text/html = 60s\n/x type text/* = 60s\n/x = 60s", "/x = drop-query a\n/x type " +
			"text/html = 60s",
		"example.com:80/* = 60s\nexample.com/* = 60s", "*.example.com/* = 60s\nexample.com/* = 60s",
		"/a cookie session = 60s\n/a cookie s* = pass",
		"POST /a = pass\nGET /a = 60s", "/a*b type * = 60s\n/a* = 60s",
		"/ab = 60s\n/a*b type * = 60s",
	} {
		if _, err := routes.Parse("f", "[rules]\n"+rules, routes.Options{}); err != nil {
			t.Errorf("%q: %v", rules, err)
		}
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.ini")
	if _, err := routes.Load(file, routes.Options{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
	os.WriteFile(file, []byte("[mine]\n/x = 60s\n"), 0o600)
	if set, err := routes.Load(file, routes.Options{Section: "mine"}); err != nil || set.Len() != 1 {
		t.Error(set, err)
	}
	os.WriteFile(file, make([]byte, 1<<20+1), 0o600)
	if _, err := routes.Load(file, routes.Options{}); err == nil || !strings.Contains(err.Error(), fmt.Sprint(1<<20)) {
		t.Error(err)
	}
}

package rules

import (
	"net/http"
	"slices"
	"testing"

	"github.com/freshet-go/freshet/store"
)

func TestTied(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"Content-Security-Policy", "script-src 'nonce-r4nd0m' 'strict-dynamic'", true},
		{"Content-Security-Policy", "script-src 'self' 'NONCE-r4nd0m'", true},
		{"Content-Security-Policy-Report-Only", "script-src 'nonce-r4nd0m'", true},
		{"Content-Security-Policy", "style-src 'sha256-AbC='", true},
		{"Content-Security-Policy", "style-src 'self' 'Sha384-AbC='", true},
		{"Content-Security-Policy", "style-src 'sha512-AbC='", true},
		{"Content-Security-Policy", "script-src 'self' https://nonce-r4nd0m.example", false},
		{"Content-Security-Policy", "script-src 'self'; report-uri /r?sha256-AbC", false},
		{"Content-Security-Policy", "script-src 'none", false},
		{"Content-Security-Policy", "", false},
		{"Link", "</app.js>; rel=preload; as=script; nonce=r4nd0m", true},
		{"Link", `</app.js>;rel=preload; Nonce = "r4nd0m"`, true},
		{"Link", "</nonce=1>; rel=preload; title=nonce", false},
		{"Link", "</app.js>; rel=preload; integrity=sha256-AbC", false},
		{"Repr-Digest", "sha-256=:AbC=:", true},
		{"Content-Digest", "sha-256=:AbC=:", true},
		{"Content-Md5", "AbC=", true},
		{"Digest", "sha-256=AbC=", true},
		{"Signature", "sig=:AbC=:", true},
		{"Signature-Input", `sig=("@status")`, true},
		{"Reporting-Endpoints", `main="/r"`, false},
		{"X-Security-Policy", "'nonce-r4nd0m'", false},
	} {
		if got := Tied(c.name, []string{"no", c.value}); got != c.want {
			t.Errorf("%s: %s: got %v", c.name, c.value, got)
		}
	}
	if Tied("Content-Security-Policy", nil) {
		t.Error("no policy at all belongs to some content")
	}
}

const (
	nonceA = "script-src 'nonce-aaa'; img-src *"
	nonceB = "script-src 'nonce-bbb'; img-src *"
)

func TestAnotherPolicy(t *testing.T) {
	for _, c := range []struct {
		why         string
		stored, now []string
		want        bool
	}{
		{"none", nil, nil, false},
		{"the same", []string{nonceA}, []string{nonceA}, false},
		{"another nonce", []string{nonceA}, []string{nonceB}, false},
		{"another hash", []string{"script-src 'sha256-aaa'"}, []string{"script-src 'sha256-bbb'"},
			false},
		{"none with the 304", []string{nonceA}, nil, false},
		{"another word besides", []string{nonceA}, []string{nonceB + " data:"}, true},
		{"one more nonce", []string{nonceA}, []string{nonceB + "; style-src 'nonce-bbb'"}, true},
		{"one more hash", []string{"script-src 'sha256-aaa'"},
			[]string{"script-src 'sha256-aaa' 'sha256-bbb'"}, true},
		{"a hash for a nonce", []string{"script-src 'nonce-aaa'"},
			[]string{"script-src 'sha256-aaa'"}, true},
		{"one more line", []string{nonceA}, []string{nonceB, "default-src 'self'"}, true},
		{"a nonce where there was a policy", []string{"script-src 'self'"}, []string{nonceB}, true},
		{"a nonce where there was nothing", nil, []string{nonceB}, true},
		{"no nonce any more", []string{nonceA}, []string{"script-src 'self'"}, true},
		{"another one without nonces", []string{"script-src 'self'"}, []string{"script-src *"},
			false},
		{"an unclosed nonce", []string{"script-src 'nonce-aaa"}, []string{"script-src 'nonce-bbb"},
			true},
	} {
		for _, name := range []string{"Content-Security-Policy",
			"content-security-policy-report-only"} {
			e := &store.Entry{Header: Canonical(http.Header{name: c.stored})}
			if got := AnotherPolicy(e, http.Header{name: c.now}); got != c.want {
				t.Errorf("%s: %s: got %v", name, c.why, got)
			}
		}
	}
}

// The policy of a stored page goes with its content, whatever another run of its handler says.
func TestFreshenKeepsWhatIsTied(t *testing.T) {
	for _, c := range []struct {
		name              string
		stored, said, got []string
	}{
		{"Content-Security-Policy", []string{nonceA}, []string{nonceB}, []string{nonceA}},
		{"Content-Security-Policy-Report-Only", []string{nonceA}, []string{nonceB},
			[]string{nonceA}},
		{"Content-Security-Policy", []string{"script-src 'sha256-aaa'"},
			[]string{"script-src 'sha256-bbb'"}, []string{"script-src 'sha256-aaa'"}},
		{"Content-Security-Policy", []string{nonceA}, []string{"script-src 'self'"},
			[]string{nonceA}},
		{"Content-Security-Policy", []string{"script-src 'self'"}, []string{nonceB},
			[]string{"script-src 'self'"}},
		{"Content-Security-Policy", nil, []string{nonceB}, nil},
		{"Content-Security-Policy", []string{"script-src 'self'"}, []string{"script-src *"},
			[]string{"script-src *"}},
		{"Link", []string{"</a>; rel=preload; nonce=a"}, []string{"</a>; rel=preload; nonce=b"},
			[]string{"</a>; rel=preload; nonce=a"}},
		{"Link", []string{"</a>; rel=preload"}, []string{"</b>; rel=preload"},
			[]string{"</b>; rel=preload"}},
		{"Content-Digest", []string{"of the content"}, []string{"of nothing"},
			[]string{"of the content"}},
		{"Repr-Digest", nil, []string{"of nothing"}, nil},
		{"Signature", []string{"of a 200"}, []string{"of a 304"}, []string{"of a 200"}},
		{"Reporting-Endpoints", []string{`a="/1"`}, []string{`a="/2"`}, []string{`a="/2"`}},
	} {
		h := http.Header{"Etag": {`"a"`}}
		if c.stored != nil {
			h[c.name] = c.stored
		}
		got := Freshen(stored(h), http.Header{"Etag": {`"a"`}, c.name: c.said})[c.name]
		if !slices.Equal(got, c.got) {
			t.Errorf("%s: %q, then %q: got %q, want %q", c.name, c.stored, c.said, got, c.got)
		}
	}
}

// A HEAD updates nothing where its policy belongs to other content, and drops nothing: without
// the content it cannot tell what to renew.
func TestAHeadWithAnotherPolicy(t *testing.T) {
	e := stored(http.Header{"Etag": {`"a"`}, "Content-Security-Policy": {nonceA}})
	for policy, updates := range map[string]bool{nonceB: true, "script-src 'self'": false} {
		fresh, invalid := HeadUpdate(e, http.StatusOK, http.Header{"Etag": {`"a"`}, "X-New": {"1"},
			"Content-Security-Policy": {policy}})
		if invalid || (fresh != nil) != updates {
			t.Errorf("%s: updated to %v, invalid %v", policy, fresh, invalid)
		}
		if updates && (fresh.Get("Content-Security-Policy") != nonceA || fresh.Get("X-New") != "1") {
			t.Errorf("%s: updated to %v", policy, fresh)
		}
	}
}

// The parts of a page whose scripts have other nonces are not joined: one policy admits one of
// them.
func TestPartsWithOtherNoncesAreNotJoined(t *testing.T) {
	for policy, joins := range map[string]bool{nonceA: true, nonceB: false, "img-src *": false} {
		part := func(first, last int64, policy string) *store.Entry {
			return &store.Entry{Key: "k", Status: http.StatusPartialContent, Total: 10,
				Spans: spans(first, last), Body: []byte("0123456789")[first:last],
				Header: http.Header{"Etag": {`"a"`}, "Content-Security-Policy": {policy}}}
		}
		if _, ok := Combine(part(0, 5, nonceA), part(5, 10, policy)); ok != joins {
			t.Errorf("%s: joined: %v", policy, ok)
		}
	}
}

func FuzzTied(f *testing.F) {
	f.Add(nonceA, nonceB)
	f.Add("'", "''nonce-'")
	f.Fuzz(func(t *testing.T, a, b string) {
		e := &store.Entry{Header: http.Header{"Content-Security-Policy": {a}}}
		if AnotherPolicy(e, e.Header) {
			t.Errorf("%q: a policy is another one than itself", a)
		}
		if hasNonce(a) && !admitsContent(a) {
			t.Errorf("%q: a nonce admits nothing", a)
		}
		if withoutValues(a) == withoutValues(b) && admitsContent(a) != admitsContent(b) {
			t.Errorf("%q, %q: equal, but only one has a nonce or a hash", a, b)
		}
	})
}

package cdn

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A record brings back what was written, whatever bytes a tag has.
func TestRecord(t *testing.T) {
	since := time.Date(2026, 11, 30, 4, 0, 0, 5, time.UTC)
	p := Purge{Tags: []string{"a b", "\xff\x00%,", "+"}, URLs: []string{"https://a.example/%2F?q=%2B+1"},
		Prefixes: []string{"http://a.example/x"}, Soft: true}
	for _, unsent := range []bool{false, true} {
		p.ByRequest = !unsent
		got, err := decode(owing{"edge \xff", since, p, unsent}.encode())
		if err != nil || !strings.HasPrefix(got.target, "edge ") || !got.since.Equal(since) ||
			got.unsent != unsent || !reflect.DeepEqual(got.purge, p) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// FuzzRecord reads what a store holds, which may be anything: what is taken is as Clean leaves it.
func FuzzRecord(f *testing.F) {
	f.Add(owing{target: "edge", since: time.Unix(1, 0), purge: Purge{Tags: []string{"a b"}}}.encode())
	f.Add([]byte(`{"target":"edge","urls":["http%3A%2F%2FA.example"],"all":true}`))
	f.Add([]byte(`{"target":"edge","tags":["%zz"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := decode(b)
		if err != nil {
			return
		}
		if clean, err := o.purge.Clean(); o.target == "" || err != nil ||
			!reflect.DeepEqual(clean, o.purge) {
			t.Errorf("%q became %+v, which is not clean: %v", b, o.purge, err)
		}
		if o.since.Year() >= 10000 || o.since.Year() < 0 {
			return // JSON has no such time
		}
		if again, err := decode(o.encode()); err != nil || !reflect.DeepEqual(again.purge, o.purge) ||
			again.unsent != o.unsent {
			t.Errorf("%+v became %+v: %v", o, again, err)
		}
	})
}

// FuzzURL reads what an app wants purged: what comes out is one absolute URL of visible ASCII, with
// the same path, that no field, ban or JSON misreads.
func FuzzURL(f *testing.F) {
	for _, raw := range []string{"https://A.example:443/x y?q=1#part", "http://a.example", "http://a.example/%2f?",
		"http://[::1]:8080/\"?<>", "http://a.example/ü?ü=\\^`", "HTTP://a.example.:80//x/../y",
		"http://../x", "http://a.example/x%2f%252E%2e;y"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := Purge{URLs: []string{raw}}.Clean()
		if err != nil {
			return
		}
		u, err := url.Parse(p.URLs[0])
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || !strings.HasPrefix(u.Path, "/") {
			t.Fatalf("%q became %q: %v", raw, p.URLs[0], err)
		}
		if strings.ContainsFunc(p.URLs[0], func(c rune) bool {
			return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"<>\`, c)
		}) {
			t.Errorf("%q became %q", raw, p.URLs[0])
		}
		for _, segment := range strings.FieldsFunc(u.Host+"/"+u.Path, func(c rune) bool {
			return c == '/' || c == '\\'
		}) {
			if segment == "." || segment == ".." {
				t.Errorf("%q became %q, which leads elsewhere", raw, p.URLs[0])
			}
		}
		again, err := p.Clean()
		if err != nil || again.URLs[0] != p.URLs[0] {
			t.Errorf("%q became %q, and that %q: %v", raw, p.URLs[0], again.URLs, err)
		}
	})
}

// The record of a purge, written and read, and the keys. They must stay, or get more fields: see
// CONTRIBUTING.md.
func TestTheFormatStays(t *testing.T) {
	since := time.Date(2026, 11, 30, 4, 0, 0, 5, time.UTC)
	o := owing{"edge", since, Purge{Tags: []string{"a b", "\xff"}, URLs: []string{"https://a.example/?q=1"},
		Prefixes: []string{"http://a.example/blog"}, Soft: true, ByRequest: true}, true}
	const want = `{"target":"edge","since":"2026-11-30T04:00:00.000000005Z","tags":["a+b","%FF"],` +
		`"urls":["https%3A%2F%2Fa.example%2F%3Fq%3D1"],"prefixes":["http%3A%2F%2Fa.example%2Fblog"],` +
		`"soft":true,"client":true,"unsent":true}`
	if got := string(o.encode()); got != want {
		t.Errorf("written as\n%s, want\n%s", got, want)
	}
	if got, err := decode([]byte(want)); !reflect.DeepEqual(got, o) || err != nil {
		t.Errorf("read as %+v, %v", got, err)
	}
	const all = `{"target":"edge","since":"2026-11-30T04:00:00.000000005Z","all":true}`
	if got := string(owing{target: "edge", since: since, purge: Purge{All: true}}.encode()); got != all {
		t.Errorf("written as\n%s, want\n%s", got, all)
	}
	k := &keeper{node: "0123456789abcdef", out: &Outbox{options: Options{Prefix: "freshet-cdn:"}}}
	if got := k.key("ed-ge", 17); got != "freshet-cdn:owed.0123456789abcdef.ed-ge.0000000000000011" {
		t.Errorf("the key is %q", got)
	}
	if got := k.alive(k.node); got != "freshet-cdn:alive.0123456789abcdef" {
		t.Errorf("the key of who lives is %q", got)
	}
}

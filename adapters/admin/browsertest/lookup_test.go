package browsertest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/freshet-go/freshet"
)

func TestWhyAPageIsCachedOrNot(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	s.visit("/a")
	o := visitDoor(t, s, 360, "dark")
	o.asks(1)

	o.fills("#look-url", "/a\r") // a path is one of this host
	o.reads("#explained", "GET http://"+s.address+"/a")
	o.reads("#explained", "The stored response would answer.")
	o.reads("#explained", "hit; ttl=")
	o.reads("#explained", "What is stored")
	o.contrasts()
	if got := eval[string](o, "document.activeElement.id"); got != "explained" {
		t.Errorf("then the focus is on %q", got)
	}

	o.fills("#look-url", "http://"+s.address+"/private/1")
	o.presses("#look-fetch")
	o.presses("#look button")
	o.reads("#explained", "private")
	o.waits("document.querySelector('#explained .advice')")
	o.picture("explained")
	if s.ran("/private/1") != 1 || s.ran("/a") != 1 {
		t.Errorf("the handler ran %d times for what was asked for, and %d times for the rest",
			s.ran("/private/1"), s.ran("/a")-1)
	}

	o.fills("#look-url", "/a")
	o.fills("#look-fields", "Cookie: id=secret")
	o.presses("#look-fetch")
	o.presses("#look button")
	o.reads("#explained", "Cookie")
	if text := o.text("#explained"); strings.Contains(text, "secret") {
		t.Errorf("the explanation shows a cookie: %s", text)
	}
	o.contrasts()
	o.behaves(s)
}

// What is wrong with an input stands beside it, and nothing is done.
func TestWrongInput(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	s.visit("/a")
	o := visitDoor(t, s, 360, "light")
	o.asks(1)
	for _, c := range []struct{ input, says string }{
		{" ", "Say which"},
		{"no URL", "allowed is an http or https URL with a host"},
		{"http://[::1", "allowed is an http or https URL with a host"},
		{"ftp://" + s.address + "/a", "allowed is an http or https URL with a host"},
		{"http://elsewhere.example/a", `the host "elsewhere.example" is none of this door's`},
		{"http://" + s.address + "/%zz", "allowed is an http or https URL with a host"},
		{"javascript:alert(1)", "allowed is an http or https URL with a host"},
	} {
		for _, form := range []string{"look", "purge"} {
			field := map[string]string{"look": "look-url", "purge": "purge-what"}[form]
			for _, kind := range map[string][]string{"look": {""}, "purge": {"url", "prefix"}}[form] {
				if kind != "" {
					o.picks(kind)
				}
				o.fills("#"+field, c.input+"\r")
				o.reads("#"+form+"-wrong", c.says)
				if !eval[bool](o, fmt.Sprintf(`document.getElementById(%q).ariaInvalid === 'true' &&
					document.activeElement.id === %[1]q && document.getElementById('covers').hidden &&
					document.getElementById('explained').hidden`, field)) {
					t.Errorf("%s %s %q: the field is not marked, or more is shown", form, kind, c.input)
				}
				eval[bool](o, fmt.Sprintf("(document.getElementById('%s-wrong').textContent = '', true)", form))
			}
		}
	}
	o.picks("tags")
	o.fills("#purge-what", " , \r")
	o.reads("#purge-wrong", "Say which tags")
	o.picture("wrong input")
	o.contrasts()
	if s.visit("/a"); s.ran("/a") != 1 {
		t.Errorf("the handler ran %d times", s.ran("/a"))
	}
	o.behavesWithout(s)
}

// picks chooses what to purge.
func (o *operator) picks(kind string) {
	o.t.Helper()
	eval[bool](o, fmt.Sprintf(`(() => {
		const select = document.getElementById('purge-kind');
		select.value = %q;
		return select.dispatchEvent(new Event('change', {bubbles: true}));
	})()`, kind))
}

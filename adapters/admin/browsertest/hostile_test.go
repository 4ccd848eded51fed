package browsertest

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/freshet-go/freshet"
)

// What clients send is text on the page, whatever it is: it neither runs nor turns round what is
// beside it, and the page it names can be explained.
func TestHostilePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	long := "/" + strings.Repeat("long", 256)
	pages := []struct{ target, shown string }{
		{"/%3Cimg%20src=x%20onerror=alert(1)%3E", "/<img src=x onerror=alert(1)>"},
		{"/%22%3E%3Cscript%3Ealert(1)%3C/script%3E", `/"><script>alert(1)</script>`},
		{"/%E2%80%AEgnp.exe", "/%E2%80%AEgnp.exe"},
		{"/%E2%81%A6a%E2%81%A9%E2%80%8Bb", "/%E2%81%A6a%E2%81%A9%E2%80%8Bb"},
		{"/%D7%A9%D7%9C%D7%95%D7%9D", "/שלום"},
		{"/%00%0A%1B[31m", "/%00%0A%1B[31m"},
		{"/100%25%3Fa%23b%5Cc", `/100%?a#b\c`},
		{"/$%7B7*7%7D%7B%7Bx%7D%7D", "/${7*7}{{x}}"},
		{long, long[:256-len(s.address)]},
	}
	for _, p := range pages {
		s.visit(p.target)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = `"><img src=x onerror=alert(1)>`
	s.serve(httptest.NewRecorder(), r)
	o := visitDoor(t, s, 360, "light")
	o.asks(1)
	for _, p := range pages {
		o.waits(fmt.Sprintf("[...document.querySelectorAll('#misses bdi')].some((e) => e.textContent === %q)",
			p.shown))
	}
	o.reads("#misses", `"><img src=x onerror=alert(1)>/`)
	harmless := func() {
		t.Helper()
		if got := eval[string](o, `document.querySelectorAll('img, iframe, object, body script').length + ' ' +
			document.querySelectorAll('script').length`); got != "0 1" {
			t.Errorf("the page has elements of others: %s", got)
		}
		if eval[bool](o, `/[\u202a-\u202e\u2066-\u2069\u200b]/.test(document.body.textContent)`) {
			t.Error("the page has characters that turn the direction of others, or draw nothing")
		}
		o.fits()
	}
	harmless()
	o.picture("hostile pages")
	for _, p := range pages[:len(pages)-1] {
		eval[bool](o, fmt.Sprintf(`([...document.querySelectorAll('#misses button')].find((e) =>
			e.textContent === %q).click(), true)`, p.shown))
		o.waits(fmt.Sprintf("document.querySelector('#explained:not([hidden]) .page')?.textContent === %q",
			"GET http://"+s.address+p.target))
		o.reads("#explained", "The stored response would answer.")
		harmless()
	}
	// a purge shows what was typed, and what the door says of it
	o.picks("tags")
	o.fills("#purge-what", "<img/src=x/onerror=alert(1)>")
	o.presses("#purge button")
	o.reads("#covers", "<img/src=x/onerror=alert(1)>")
	o.presses("#purge-now")
	o.reads("#purged", "Purged the tags <img/src=x/onerror=alert(1)>")
	harmless()
	o.behaves(s)
}

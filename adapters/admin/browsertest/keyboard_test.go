package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/freshet-go/freshet"
)

// Tab gets to everything that may be used, once and in the order of the page, and shows where it
// is, in the light and in the dark.
func TestTabsThroughThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	s.visit("/a", "/b", "/c")
	o := visitDoor(t, s, 1280, "light")
	o.reads("#misses", "/c")
	usable := eval[int](o, `document.querySelectorAll('a, button, input, select, textarea').length -
		document.querySelectorAll('[hidden] button').length`)
	for _, scheme := range []string{"light", "dark"} {
		o.see(1280, scheme, "reduce")
		eval[bool](o, "(document.activeElement.blur(), scrollTo(0, 0), getSelection().removeAllRanges(), true)")
		before, reached := -1, 0
		for range usable + 1 {
			o.types(kb.Tab)
			f := o.focus()
			if f.Order < 0 {
				break
			}
			if reached++; f.Order <= before {
				t.Errorf("%s has the focus after what is below it", f.Name)
			}
			if f.Width < 2 || f.Clear < 3 || !f.Visible {
				t.Errorf("%s: that %s has the focus is hard to see: %+v", scheme, f.Name, f)
			}
			before = f.Order
		}
		if reached != usable {
			t.Errorf("%s: Tab gets to %d of %d elements", scheme, reached, usable)
		}
	}
	o.behaves(s)
}

// Everything can be done without a mouse, and the focus is never lost.
func TestByKeyboardAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	s.visit("/a", "/b")
	o := visitDoor(t, s, 1280, "light")
	o.see(1280, "light", "reduce")
	o.reads("#misses", "/b")

	o.tabsTo("nav a[href='#clear']")
	o.types(kb.Enter)
	o.waits("location.hash === '#clear'")

	o.tabsTo("#purge-kind")
	o.types(kb.ArrowDown + kb.ArrowDown)
	o.waits("document.getElementById('purge-kind').value === 'tags'")
	o.types(kb.Tab + "pages" + kb.Enter)
	o.waits("document.activeElement.id === 'covers'")
	o.types(kb.Tab + kb.Enter)
	o.reads("#purged", "Purged the tags pages")
	if f := o.focus(); f.Order < 0 {
		t.Error("the focus is lost after a purge")
	}
	if s.visit("/a"); s.ran("/a") != 2 {
		t.Errorf("the handler ran %d times", s.ran("/a"))
	}

	// the pages that were listed before stay where the focus is, whatever is drawn
	eval[bool](o, "(document.activeElement.blur(), true)")
	o.asks(1)
	o.tabsTo("#misses button.page")
	before := o.focus()
	s.visit("/c", "/d", "/e")
	o.asks(2)
	if f := o.focus(); f.Name != before.Name || f.Order != before.Order {
		t.Errorf("the focus was on %+v, and is on %+v", before, f)
	}
	page := strings.Fields(before.Name)[1]
	o.types(kb.Enter)
	o.waits("document.activeElement.id === 'explained'")
	o.reads("#explained", "GET http://"+s.address+page)
	o.reads("#misses", "/e") // and are drawn when it has gone
	o.behaves(s)
}

// Nothing moves for those who prefer that.
func TestReducedMotion(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	o := visitDoor(t, s, 1280, "light")
	o.asks(1)
	const moving = `[...document.querySelectorAll('*')].filter((e) => ['', '::before', '::after'].some((p) => {
		const style = getComputedStyle(e, p);
		return style.animationName !== 'none' || style.scrollBehavior !== 'auto' ||
			style.transitionDuration.split(', ').some((d) => parseFloat(d) > 0);
	})).map((e) => e.tagName).join()`
	if got := eval[string](o, moving); got != "HTML" {
		t.Errorf("by default these move: %q, want the page to scroll smoothly", got)
	}
	o.see(1280, "light", "reduce")
	if got := eval[string](o, moving); got != "" {
		t.Errorf("for those who prefer less motion these move: %s", got)
	}
	o.behaves(s)
}

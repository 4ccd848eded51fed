package browsertest

import (
	"fmt"
	"testing"

	"github.com/freshet-go/freshet"
)

// A purge shows first what it covers, and does nothing before the second button.
func TestPurges(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	s.visit("/blog/1", "/blog/2", "/blogs", "/a")
	o := visitDoor(t, s, 360, "light")
	o.reads("#misses", "/blogs")
	runs := map[string]int{"/blog/1": 1, "/blog/2": 1, "/blogs": 1, "/a": 1}
	still := func(when string) {
		t.Helper()
		for path, n := range runs {
			if s.visit(path); s.ran(path) != n {
				t.Errorf("%s the handler ran %d times for %s, want %d", when, s.ran(path), path, n)
			}
		}
	}
	for _, c := range []struct {
		kind, what, covers, fact, purged string
		pages                            []string
	}{
		{"url", "/a", "the page at http://" + s.address + "/a", "The stored response would answer",
			"Purged the URL http://" + s.address + "/a", []string{"/a"}},
		{"prefix", "/blog/", "every page whose URL begins with http://" + s.address + "/blog/",
			"2 of the pages that cost or are served most: " + s.address + "/blog/",
			"Purged everything below", []string{"/blog/1", "/blog/2"}},
		{"tags", "pages, more", "every page that has one of these tags: pages, more", "", "Purged the tags pages more",
			[]string{"/blog/1", "/blog/2", "/blogs", "/a"}},
		{"all", "", "everything that this cache has stored", "memory holds 4 entries",
			"Purged everything", []string{"/blog/1", "/blog/2", "/blogs", "/a"}},
	} {
		o.picks(c.kind)
		if c.what != "" {
			o.fills("#purge-what", c.what)
		}
		o.presses("#purge button")
		o.reads("#covers", "This makes unusable "+c.covers)
		o.reads("#covers", c.fact)
		o.contrasts()
		o.fits()
		o.picture("purge by " + c.kind)
		still("before a purge by " + c.kind)
		o.presses("#purge-not")
		o.waits("document.getElementById('covers').hidden")
		o.presses("#purge button")
		o.waits("!document.getElementById('covers').hidden")
		o.presses("#purge-now")
		o.reads("#purged", c.purged)
		o.waits("document.getElementById('covers').hidden")
		for _, page := range c.pages {
			runs[page]++
		}
		still("after a purge by " + c.kind)
	}

	// what was shown is not purged once the field says something else
	o.picks("url")
	o.fills("#purge-what", "/a")
	o.presses("#purge button")
	o.waits("!document.getElementById('covers').hidden")
	o.types("b")
	o.waits("document.activeElement.id === 'covers'") // the letter went nowhere
	o.fills("#purge-what", "/b")
	o.waits("document.getElementById('covers').hidden")

	// softly: the old page is served once more
	o.fills("#purge-what", "/a")
	o.presses("#purge-soft")
	o.presses("#purge button")
	o.reads("#covers", "This makes stale the page at")
	o.presses("#purge-now")
	o.reads("#purged", "softly")
	s.visit("/a")
	o.reads("#results", "stale")
	o.behaves(s)
}

// Two operators do not disturb each other: each sees what the other did, and keeps what it types.
func TestTwoOperators(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	s.visit("/a")
	one, other := visitDoor(t, s, 1280, "light"), visitDoor(t, s, 360, "dark")
	number := func(o *operator) int {
		return eval[int](o, "+document.querySelector('#health div:nth-child(2) dd').innerText")
	}
	for _, o := range []*operator{one, other} {
		o.asks(1)
		o.fills("#purge-what", "/a")
		o.presses("#purge button")
		o.waits("!document.getElementById('covers').hidden")
	}
	first := number(one)
	one.presses("#purge-now")
	one.reads("#purged", "Purged the URL")
	for _, o := range []*operator{one, other} {
		o.asks(2)
	}
	second := number(other)
	if second <= first || number(one) != second {
		t.Errorf("the journal's number was %d, and is %d and %d", first, number(one), second)
	}
	if !eval[bool](other, `!document.getElementById('covers').hidden &&
		document.getElementById('purge-what').value === '/a'`) {
		t.Error("the other's purge is gone")
	}
	other.presses("#purge-now")
	other.reads("#purged", "Purged the URL")
	one.waits(fmt.Sprint("+document.querySelector('#health div:nth-child(2) dd').innerText > ", second))
	if s.visit("/a"); s.ran("/a") != 2 {
		t.Errorf("the handler ran %d times", s.ran("/a"))
	}
	one.behaves(s)
	other.behaves(s)
}

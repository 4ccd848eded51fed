package middleware

import (
	"fmt"
	"sync"
	"testing"

	"github.com/freshet-go/freshet/store/memstore"
)

func hitsOf(t *testing.T, most int) *Hits {
	pages := memstore.New(1 << 20)
	t.Cleanup(pages.Close)
	h, err := New(pages, Options{}).newHits(most)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *Hits) put(uri string) bool {
	slot := h.room(h.sum("GET", []byte("h"), []byte(uri)))
	if slot == nil {
		return false
	}
	h.enter(slot, &Target{Method: "GET", Host: "h", RequestURI: uri})
	return true
}

// The slots grow with the targets, and most of what was known still is.
func TestHitsGrow(t *testing.T) {
	h := hitsOf(t, 1<<13)
	if n := len(*h.targets.Load()); n != fewTargets {
		t.Fatalf("%d slots at first", n)
	}
	const many = 1 << 10
	for i := range many {
		if !h.put(fmt.Sprint("/", i)) {
			t.Errorf("no room for /%d", i)
		}
	}
	known := 0
	for i := range many {
		if x := h.Find("GET", []byte("h"), fmt.Append(nil, "/", i)); x != nil {
			known++
			if x.RequestURI != fmt.Sprint("/", i) {
				t.Fatalf("/%d has become %s", i, x.RequestURI)
			}
		}
	}
	if known < many*80/100 {
		t.Errorf("%d of %d targets are known", known, many)
	}
	if n := len(*h.targets.Load()); n > many*4 {
		t.Errorf("%d slots for %d targets", n, many)
	}
	for i := range 1 << 16 {
		h.put(fmt.Sprint("/more/", i))
	}
	if n := len(*h.targets.Load()); n != 1<<13 {
		t.Errorf("%d slots, want the most, %d", n, 1<<13)
	}
}

// Of two targets in its slots, the one that was not asked for goes for a third.
func TestHitsThatAreAskedForStay(t *testing.T) {
	h := hitsOf(t, 2)
	a, b := "", ""
	for i := 0; b == ""; i++ { // two with both slots
		uri := fmt.Sprint("/", i)
		if s := h.slots(h.sum("GET", []byte("h"), []byte(uri))); s[0] == s[1] {
			continue
		}
		if a == "" {
			a = uri
		} else {
			b = uri
		}
	}
	h.put(a)
	h.put(b)
	find := func(uri string) bool { return h.Find("GET", []byte("h"), []byte(uri)) != nil }
	if !find(a) || !find(b) {
		t.Fatal("two targets do not have two slots")
	}
	c := ""
	for i := 1000; c == ""; i++ {
		uri := fmt.Sprint("/", i)
		if s := h.slots(h.sum("GET", []byte("h"), []byte(uri))); s[0] != s[1] {
			c = uri
		}
	}
	if h.put(c) {
		t.Error("a third one took the place of one that was asked for")
	}
	find(a)
	if !h.put(c) || !find(a) || find(b) || !find(c) {
		t.Errorf("want a and c known: a %v, b %v, c %v", find(a), find(b), find(c))
	}
}

func TestHitsGrowWhileOthersAsk(t *testing.T) {
	h := hitsOf(t, 1<<12)
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for i := range 5000 {
				h.put(fmt.Sprint("/", w, "/", i))
				uri := fmt.Sprint("/", (w+1)%4, "/", i)
				if x := h.Find("GET", []byte("h"), []byte(uri)); x != nil && x.RequestURI != uri {
					t.Errorf("%s found %s", uri, x.RequestURI)
				}
			}
		})
	}
	group.Wait()
}

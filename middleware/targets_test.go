package middleware

import (
	"hash/maphash"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// What is asked for twice in a row is known from then on, and what is asked for once pushes nothing
// out.
func TestTargets(t *testing.T) {
	all := targets{seed: maphash.MakeSeed()}
	p := &policy.Policy{}
	ask := func(target string) (recalled bool) {
		r := httptest.NewRequest("GET", target, nil)
		place, sum := all.find(r)
		place = &all.places[0] // all of them meet
		var q rules.Request
		q.Read(r, p, place.known.Load())
		place.note(sum, r, p, &q)
		if want := "http://example.com" + target; q.URI != want {
			t.Errorf("%s was read as %s", target, q.URI)
		}
		return q.Recalled()
	}
	for i, c := range []struct {
		target   string
		recalled bool
	}{
		{"/a", false}, {"/a", false}, {"/a", true}, {"/a", true},
		{"/b", false}, {"/a", true}, {"/c", false}, {"/a", true},
		{"/d", false}, {"/d", false}, {"/d", true}, {"/a", false},
	} {
		if got := ask(c.target); got != c.recalled {
			t.Errorf("%d: %s recalled %v", i, c.target, got)
		}
	}
}

// The key of the variant that was selected last is made once. Another's is never taken for it, and
// a long one is not held on to.
func TestVariantKeysOfATarget(t *testing.T) {
	var pl place
	text := func(key string) string {
		t.Helper()
		if got := pl.text([]byte(key)); got != key {
			t.Errorf("the key %.40q became %.40q", key, got)
		}
		return *pl.variant.Load()
	}
	long := strings.Repeat("k", maxVariantKey)
	for _, key := range []string{"gzip", "gzip", "br", "gzip", "", long} {
		if kept := text(key); kept != key {
			t.Errorf("after %.40q, %.40q is remembered", key, kept)
		}
	}
	if kept := text(long + "k"); kept != long {
		t.Errorf("a key of %d bytes is remembered", len(kept))
	}
	key := []byte(long)
	if n := testing.AllocsPerRun(100, func() { pl.text(key) }); n > 0 {
		t.Errorf("the key that was selected last is made again: %v allocations", n)
	}
}

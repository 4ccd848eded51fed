package middleware

import (
	"hash/maphash"
	"net/http/httptest"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

// What is asked for twice in a row is known from then on, and what is asked for once pushes nothing out.
func TestTargets(t *testing.T) {
	all := targets{seed: maphash.MakeSeed()}
	p := &policy.Policy{}
	ask := func(target string) (recalled bool) {
		r := httptest.NewRequest("GET", target, nil)
		place, sum := all.find(r)
		place = &all.places[0] // all of them meet
		var q policy.Request
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

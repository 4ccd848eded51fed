package middleware

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// http.TimeoutHandler, and whatever else holds a whole response back, gives the handlers inside of it
// a header map of their own, and copies that over the one outside when they have returned. A cache
// inside does not see what handlers outside have put there, and what it announces would take the
// place of that: a Vary by tenant, or a no-store. Reading the map outside is not the cache's: it is
// the goroutine's beyond, which may have answered in its place meanwhile. But the writer to which
// that goroutine copies, a guard's or an outer run's, is asked for its map first: what stands there
// then is put back as the header leaves by the gate, and judged as what comes late.

// veil is what a writer of ours knows of header maps between it and a cache inside.
type veil struct {
	shown atomic.Uintptr // the map that the writer shows
	drawn atomic.Bool    // a cache inside has been shown another one

	mu   sync.Mutex
	seen bool
	was  http.Header // what stood in the map when it was next asked for
}

func mapOf(h http.Header) uintptr { return reflect.ValueOf(h).Pointer() }

// look is called in the goroutine that has asked for h, the writer's map, before it changes that.
func (v *veil) look(h http.Header) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.seen {
		v.seen, v.was = true, maps.Clone(h)
	}
}

func (v *veil) beneath() (was http.Header, seen bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.was, v.seen
}

// unveil finds out whether the header map h, which the mount got, hides that of the writer of ours
// around it. What responses of the mount have varied by there, this one may vary by, too.
func (x *exchange) unveil(h http.Header) {
	v := x.over
	if v == nil || v.shown.Load() == mapOf(h) || v.shown.Load() == 0 {
		return
	}
	x.veiled = true
	v.drawn.Store(true)
	if fields := x.who.beneath.Load(); fields != nil {
		x.outside.VaryBy(*fields)
	}
}

// cover is a header of a veiled mount's on its way to the gate, as it was before
// [Options.OnHeader] and handlers outside could change it.
type cover struct {
	veil      *veil
	told      string // its Cache-Status
	p         *policy.Policy
	announced bool

	control, date, contentType []string
}

// covers has the gate put back what the header, of a mount that is veiled, is about to cover.
func (x *exchange) covers(h http.Header) {
	if g := gateOf(x.r); g != nil {
		g.mu.Lock()
		g.covers = append(g.covers, cover{
			x.over, lastOf(h["Cache-Status"]), x.p, x.announced,
			h["Cache-Control"], h["Date"], h["Content-Type"],
		})
		g.mu.Unlock()
	}
}

// uncover puts back into h what stood there before headers of veiled mounts were copied over it.
// Where an app takes Cache-Status off, h may be the mount's header, or another response's: of a
// time limit, or of a page of which the mount answered a part. Then a Vary is put back all the
// same, which keeps apart more than it need at worst, and a lifetime in the place of the mount's
// own. Of a lifetime that is gone otherwise nobody knows why: the mount's response is its client's
// alone.
func (g *gate) uncover(h http.Header) {
	for i := range g.covers {
		c := &g.covers[i]
		was, seen := c.veil.beneath()
		certain := slices.Contains(h["Cache-Status"], c.told)
		switch {
		case !seen, slices.Contains(was["Cache-Status"], c.told), c.marks(was): // too late
			g.unseen = g.unseen || certain || c.marks(h)
		case certain, slices.Equal(h["Cache-Control"], c.control):
			rules.Uncover(h, was, c.p, c.announced)
		default:
			rules.Uncover(h, was, c.p, false)
			g.unseen = g.unseen || c.announced && rules.LosesLifetime(h, was, c.p)
		}
	}
}

// marks reports whether h, without the mount's Cache-Status, seems to be the mount's.
func (c *cover) marks(h http.Header) bool {
	return len(c.date) > 0 && slices.Equal(h["Date"], c.date) ||
		len(c.contentType) > 0 && same(h["Content-Type"], c.contentType)
}

// learn remembers fields by which handlers that the mount does not see have responses vary, so that
// later ones are told apart by them, and kept.
func (who *identity) learn(fields []string) {
	if len(fields) == 0 {
		return
	}
	known := who.beneath.Load()
	if known != nil {
		fields = slices.Concat(*known, fields)
	}
	slices.Sort(fields)
	fields = slices.Compact(fields)
	if len(fields) <= maxBeneath {
		who.beneath.CompareAndSwap(known, &fields)
	}
}

// maxBeneath bounds the fields that a mount learns.
const maxBeneath = 16

package middleware

import (
	"math"
	"net/http"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// room is what the store tells of how great an entry may be.
type room struct {
	limits store.Limited // or nil
	most   int64         // an entry of this Size is kept
	body   int64         // a longer body is not
}

func (r *room) init(s store.Store) {
	r.most, r.body = math.MaxInt64, math.MaxInt64
	if limits, ok := store.As[store.Limited](s); ok {
		r.limits, r.most, r.body = limits, limits.MaxEntry(), limits.MaxBody()
	}
}

// fits reports whether the store has room for a whole entry.
func (c *Cache) fits(e *store.Entry) bool {
	return c.room.limits == nil || e.Size() <= c.room.most || c.room.limits.Fits(e)
}

// checkRoom takes back that a whole entry is stored, when the store has no room for it.
func (n *run) checkRoom(e *store.Entry) {
	if n.out.Stored && !n.x.c.fits(e) {
		n.out.Stored, n.out.Detail = false, reasonTooLarge
	}
}

// checkPart takes back that a part is stored when it is not: it cannot be used, or a whole is
// stored already.
func (n *run) checkPart() {
	if n.kept == nil || n.found.entry != nil && n.found.entry.Key == n.kept.Key &&
		n.found.entry.Spans == nil {
		n.out.Stored = false
		return
	}
	n.checkRoom(n.kept)
}

// promise decides what the header of a stream, of which e is the beginning, says of its being
// stored: that it will be, when its handler declared a length for which there is room, in the store
// and, until then, in MaxFillBytes, of which it takes that; nothing, when nobody knows how long it
// will be, or how long when it is compressed.
func (n *run) promise(e *store.Entry) {
	declared := n.rec.declared
	if n.rec.status == http.StatusNoContent || n.x.req.Class == rules.ClassHead {
		declared = 0
	}
	r := &n.x.c.room
	switch {
	case declared > r.body:
		n.out.Stored, n.out.Detail = false, reasonTooLarge
	case n.out.Stored && !n.f.Reserve(max(declared, 0)):
		n.out.Stored, n.out.Detail = false, reasonTooLarge
		n.f.SetLimit(0) // nor will it be, though others make room meanwhile
	}
	n.promised = n.out
	n.promised.Stored = n.out.Stored && declared >= 0 && (r.limits == nil ||
		e.Size()+declared <= r.most)
}

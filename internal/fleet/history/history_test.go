package history

import (
	"strings"
	"testing"
	"time"
)

// Node a has version 2 at 10 s, in whose invalidation the journal has part or not. Who may still
// have version 1?
func TestViolations(t *testing.T) {
	const s = time.Second
	taken := Write{Key: "/", Node: "a", Began: 9 * s, Ended: 10 * s, Version: 2, Acknowledged: true}
	not := func(change func(w *Write)) Write { w := taken; change(&w); return w }
	unsent := not(func(w *Write) { w.Acknowledged, w.Leased = false, 40*s })
	read := func(node string, began time.Duration, change func(r *Read)) Read {
		r := Read{Key: "/", Node: node, Began: began, Ended: began + 1, Version: 1, How: "hit"}
		if change != nil {
			change(&r)
		}
		return r
	}
	for story, c := range map[string]struct {
		w    Write
		r    []Read
		says string // what is wrong; "": nothing is
	}{
		"the node that invalidated": {unsent, []Read{read("a", 10*s+1, nil)}, "it had invalidated it"},
		"... at that very moment":   {unsent, []Read{read("a", 10*s, nil)}, ""},
		"... another page":          {unsent, []Read{read("a", 11*s, func(r *Read) { r.Key = "/b" })}, ""},
		"another node within the bound": {taken, []Read{
			read("b", 12*s-1, nil)}, ""},
		"another node past the bound":        {taken, []Read{read("b", 12*s, nil)}, "which the journal took"},
		"... which the journal did not take": {unsent, []Read{read("b", 12*s, nil)}, ""},
		"... and that may be lost": {not(func(w *Write) { w.Lost = true }), []Read{
			read("b", 12*s, nil)}, ""},
		"... and that the journal has forgotten": {not(func(w *Write) { w.Forgotten = true }), []Read{
			read("b", 12*s, nil)}, ""},
		"... the new page": {taken, []Read{
			read("b", 12*s, func(r *Read) { r.Version = 2 })}, ""},
		"a node that began later": {taken, []Read{
			read("b", 11*s, func(r *Read) { r.Born = 10*s + 1 })}, "it began at"},
		"... whatever was not sent": {unsent, []Read{
			read("b", 11*s, func(r *Read) { r.Born = 10*s + 1 })}, ""},
		"the client that wrote": {not(func(w *Write) { w.Client = 1 }), []Read{
			read("b", 10*s+1, func(r *Read) { r.Client = 1 })}, "client 1 had written"},
		"another client": {not(func(w *Write) { w.Client = 1 }), []Read{
			read("b", 10*s+1, func(r *Read) { r.Client = 2 })}, ""},
		"after the receipt's wait": {not(func(w *Write) { w.Gone = 11 * s }), []Read{
			read("b", 11*s+1, nil)}, "known to all"},
		"... that has not ended": {not(func(w *Write) { w.Gone = 11 * s }), []Read{
			read("b", 11*s, nil)}, ""},
		"after all was well": {unsent, []Read{
			read("b", 11*s, func(r *Read) { r.Healed = true })}, "after all was well"},
		"no page": {taken, []Read{read("b", 5*s, func(r *Read) { r.Version = -1 })}, "no page"},
		"time runs back after an outage": {unsent, []Read{read("b", 5*s, nil),
			read("b", 11*s, func(r *Read) { r.Version, r.How = 2, "detail=journal-lost" }),
			read("b", 20*s, nil)}, "after version 2"},
		"... once the lease has ended": {unsent, []Read{read("b", 5*s, nil),
			read("b", 11*s, func(r *Read) { r.Version, r.How = 2, "detail=journal-lost" }),
			read("b", 40*s, nil)}, ""},
		"... of a node that begins": {unsent, []Read{
			read("b", 11*s, func(r *Read) { r.Version, r.How = 2, "detail=journal-lost" }),
			read("b", 20*s, nil)}, ""},
	} {
		h := History{Bound: 2 * s, Reads: c.r, Writes: []Write{c.w}}
		all := h.Violations()
		if (c.says == "") != (len(all) == 0) || !strings.Contains(strings.Join(all, "\n"), c.says) {
			t.Errorf("%s: violations %q; want %q", story, all, c.says)
		}
	}
}

func TestLag(t *testing.T) {
	h := History{Writes: []Write{{Key: "/", Node: "a", Ended: 10, Version: 2, Acknowledged: true}},
		Reads: []Read{{Key: "/", Node: "b", Began: 13, Version: 1}, {Key: "/", Node: "a", Began: 19, Version: 1},
			{Key: "/", Node: "b", Began: 15, Version: 2}}}
	if got := h.Lag(); got != 3 {
		t.Errorf("Lag: %v, want 3", got)
	}
}

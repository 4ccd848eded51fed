package middleware

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"time"
	"weak"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/wire"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// FieldWriter is the writer that package front gives to [Target.Answer]: it can send fields that
// were written before.
type FieldWriter interface {
	http.ResponseWriter
	// WriteFields is WriteHeader, of a header with an Age, a Cache-Status and the fields before,
	// between and behind those two, as HTTP/1.1 has them. Where it cannot, it returns false and
	// does nothing. length is that of the content; -1: there is none.
	WriteFields(status int, fields *[3][]byte, age, cacheStatus string, length int64) bool
}

// sentFields are the fields of a hit of one entry, without those that are another hit's each time:
// Age and Cache-Status.
type sentFields struct {
	entry  weak.Pointer[store.Entry] // which the store may let go
	p      *policy.Policy
	fields [3][]byte // by their names: before Age, before Cache-Status, and behind
	length int64     // of the content; -1: there is none
}

// The responses whose fields are kept.
const (
	sentWhole = iota // the stored one
	sent304          // a 304 in its place
)

// sendsAgain sends the header of a hit of e by what the last one sent, if that was a hit of e as
// well.
func (x *exchange) sendsAgain(
	which int, e *store.Entry, status int, age time.Duration, out *policy.Outcome,
) bool {
	if x.target == nil || e == nil || !usual(out) || age < 0 {
		return false
	}
	w, ok := x.w.(FieldWriter)
	if !ok {
		return false
	}
	sent := x.target.sent[which].Load()
	if sent == nil || sent.p != x.p || sent.entry.Value() != e ||
		!w.WriteFields(status, &sent.fields, x.c.ageField(age)[0], x.c.statusField(out)[0],
			sent.length) {
		return false
	}
	x.tally.status = status
	return true
}

// usual reports whether an outcome is a fresh hit about which there is nothing more to say: all of
// one entry have the same fields.
func usual(out *policy.Outcome) bool {
	return out.Hit && !out.Stale && out.Detail == ""
}

// keepSent keeps the fields of the header, of a hit of e, for the next one, where all hits of e
// have them.
func (x *exchange) keepSent(which int, e *store.Entry, status int, out *policy.Outcome) {
	if x.target == nil || e == nil || !usual(out) {
		return
	}
	o, h := &x.c.options, x.w.Header()
	if o.OnHeader != nil || o.OnErrorHeader != nil && status >= 500 || o.ClientsRevalidate ||
		e.Announced && (x.p.ClientTTL > 0 || x.p.CDNTTL > 0) ||
		setsCookie(h) || len(h["Cache-Status"]) != 1 || len(h["Date"]) != 1 || len(h["Age"]) != 1 ||
		!wire.Bodiless(status) && len(h["Content-Length"]) != 1 {
		return
	}
	if last := x.target.sent[which].Load(); last != nil && last.entry.Value() != nil &&
		x.target.other.Add(1)%16 != 0 {
		return // variants may come in turns
	}
	own := maps.Clone(h)
	Leaves(own)
	var parts [3]http.Header
	for name, values := range own {
		at := 0
		switch {
		case name == "Age" || name == "Cache-Status":
			continue
		case name > "Cache-Status":
			at = 2
		case name > "Age":
			at = 1
		}
		if parts[at] == nil {
			parts[at] = http.Header{}
		}
		parts[at][name] = values
	}
	sent := &sentFields{entry: weak.Make(e), p: x.p, length: -1}
	if !wire.Bodiless(status) && x.req.Class != rules.ClassHead {
		n, err := strconv.ParseInt(h["Content-Length"][0], 10, 64)
		if err != nil || n < 0 {
			return
		}
		sent.length = n
	}
	var w wire.Header
	for i := range parts {
		sent.fields[i] = bytes.Clone(w.Append(nil, parts[i], status))
	}
	x.target.sent[which].Store(sent)
}

// Leaves looks at the header of a hit as the app's root would, when all is in it.
func Leaves(h http.Header) {
	if setsCookie(h) {
		rules.KeepFromOthers(h)
	}
	if lines := h["Vary"]; len(lines) > 1 {
		h["Vary"] = oneLine(lines)
	}
}

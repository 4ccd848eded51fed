// Package history has what the journals of all drivers agree on: how much they remember, what
// stands for the marks that they have forgotten, at which number they begin, how they write a mark,
// and how they read one whose kind they do not know.
package history

import (
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// How much a journal remembers: so many marks, and so many bytes of their names, whichever is less.
const (
	MaxMarks = 1 << 16
	MaxBytes = 16 << 20
)

// How much an answer of Since has: so many marks, or so many bytes of their names, whichever is
// less, and what was read with them. A server reads it out in a few milliseconds.
const (
	PartMarks = 1024
	PartBytes = 256 << 10
)

// All is the mark that covers everything.
var All = store.Mark{Kind: store.MarkEverything}

// Forgotten returns what stands for marks that a journal has forgotten, the newest of which had
// that number.
func Forgotten(number uint64) store.Numbered { return store.Numbered{Mark: All, Number: number} }

// Begin returns the number at which a journal begins that knows of no greater number than known:
// that of the clock, in microseconds, which is greater than those of a journal that was lost, or
// the one after known.
func Begin(known uint64) uint64 { return max(uint64(time.Now().UnixMicro()), known+1) }

// letters has the letter of each kind of mark in a record. That of a soft mark is in upper case.
const letters = "ktpenw"

// Letter returns the letter that stands for the kind of a mark, and for whether it is soft, in a
// journal's record. A mark is that letter and its name.
func Letter(m store.Mark) byte {
	letter := letters[m.Kind]
	if m.Soft {
		letter -= 'a' - 'A'
	}
	return letter
}

// OfLetter returns the mark of a letter and a name. Of a letter that is not known, such as a later
// version's, ok is false, and the mark covers everything.
func OfLetter(letter byte, name string) (m store.Mark, ok bool) {
	soft := 'A' <= letter && letter <= 'Z'
	if soft {
		letter += 'a' - 'A'
	}
	kind := strings.IndexByte(letters, letter)
	return Mark(kind, name, soft), kind >= 0
}

// Mark returns the mark of a kind's number and a name. A mark of a kind that is not known, such as
// a later version's, covers everything.
func Mark(kind int, name string, soft bool) store.Mark {
	if kind < 0 || kind > int(store.MarkNotice) {
		return All
	}
	return store.Mark{Kind: store.MarkKind(kind), Name: name, Soft: soft}
}

// LaterMember returns the member of a journal that a later version has put on the list, in a form
// that is not known here. It has applied nothing as far as anybody knows here, so that a wait for
// all members names it and does not end before its lease.
func LaterMember(id string) store.Member {
	return store.Member{ID: id, Name: "(of a later version)"}
}

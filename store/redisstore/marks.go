package redisstore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/store"
)

// readMarks reads a stream's records after number. Wherever one is missing, it says that everything up to the next
// is invalidated.
func readMarks(number, head uint64, records []string) (marks []store.Numbered, _ uint64, err error) {
	marks = make([]store.Numbered, 0, len(records)/2)
	for ; len(records) > 0; records = records[2:] {
		digits, _, _ := strings.Cut(records[0], "-")
		n := store.Numbered{Mark: decodeMark(records[1])}
		if n.Number, err = strconv.ParseUint(digits, 10, 64); err != nil {
			return nil, 0, fmt.Errorf("a record's number is %.20q", digits)
		}
		if n.Number != number+1 && !isReset(n.Mark) {
			marks = append(marks, store.Numbered{Mark: reset, Number: n.Number - 1})
		}
		marks = append(marks, n)
		number = n.Number
	}
	if number < head {
		marks = append(marks, store.Numbered{Mark: reset, Number: head})
	}
	return marks, head, nil
}

// reset is what takes the place of marks that are forgotten.
var reset = store.Mark{Kind: store.Everything}

func isReset(m store.Mark) bool { return m.Kind == store.Everything && !m.Soft }

// markLetters are the kinds of marks as a record has them, before the name; soft ones in upper case.
const markLetters = "ktpe"

func encodeMark(m store.Mark) string {
	letter := markLetters[m.Kind]
	if m.Soft {
		letter -= 'a' - 'A'
	}
	return string(letter) + m.Name
}

// decodeMark takes what it does not understand, such as a later version's, for Everything.
func decodeMark(record string) store.Mark {
	if record == "" {
		return reset
	}
	letter := record[0]
	soft := 'A' <= letter && letter <= 'Z'
	if soft {
		letter += 'a' - 'A'
	}
	kind := strings.IndexByte(markLetters, letter)
	if kind < 0 {
		return reset
	}
	return store.Mark{Kind: store.MarkKind(kind), Name: record[1:], Soft: soft}
}

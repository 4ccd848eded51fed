package redisstore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// readMarks returns the marks of a stream's records after number, which are all up to another. Where
// a record is missing, a mark that covers everything stands for those up to the next one. The journal
// began last at begun.
func readMarks(
	number, last, begun uint64, records []string,
) (marks []store.Numbered, err error) {
	// whether the beginning is among those that follow number, up to another
	began := func(upTo uint64) bool { return 0 < number && number < begun && begun <= upTo }
	forgotten := func(upTo uint64) {
		m := history.Forgotten(upTo)
		if began(upTo) {
			m.After = 1
		}
		marks = append(marks, m)
	}
	marks = make([]store.Numbered, 0, len(records)/2)
	for ; len(records) > 0; records = records[2:] {
		digits, _, _ := strings.Cut(records[0], "-")
		n := decodeRecord(records[1])
		if n.Number, err = strconv.ParseUint(digits, 10, 64); err != nil {
			return nil, fmt.Errorf("a record's number is %.20q", digits)
		}
		if n.Number != number+1 && (!isReset(n.Mark) || began(n.Number-1)) {
			forgotten(n.Number - 1)
		}
		marks = append(marks, n)
		number = n.Number
	}
	if number < last {
		forgotten(last)
	}
	return marks, nil
}

func isReset(m store.Mark) bool { return m.Kind == store.MarkEverything && !m.Soft }

// encodeMark returns a record: the mark's letter, and its name.
func encodeMark(m store.Mark) string { return string(history.Letter(m)) + m.Name }

// begins is the letter of the record with which a journal begins anew. The number up to which it
// knew of marks follows it. Versions that do not know the letter take it for a mark that covers
// everything, which it is.
const begins = 'b'

// decodeRecord returns the mark in a record, without its number.
func decodeRecord(record string) store.Numbered {
	if record != "" && record[0] == begins {
		after, _ := strconv.ParseUint(record[1:], 10, 64)
		return store.Numbered{Mark: history.All, After: max(after, 1)}
	}
	return store.Numbered{Mark: decodeMark(record)}
}

// decodeMark returns the mark in a record. A record that it does not understand covers everything.
func decodeMark(record string) store.Mark {
	if record == "" {
		return history.All
	}
	m, _ := history.OfLetter(record[0], record[1:])
	return m
}

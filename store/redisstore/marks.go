package redisstore

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// readMarks returns the marks of a stream's records after number. Where a record is missing, a mark
// that covers everything stands for those up to the next one.
func readMarks(
	number, head uint64, records []string,
) (marks []store.Numbered, _ uint64, err error) {
	marks = make([]store.Numbered, 0, len(records)/2)
	for ; len(records) > 0; records = records[2:] {
		digits, _, _ := strings.Cut(records[0], "-")
		n := store.Numbered{Mark: decodeMark(records[1])}
		if n.Number, err = strconv.ParseUint(digits, 10, 64); err != nil {
			return nil, 0, fmt.Errorf("a record's number is %.20q", digits)
		}
		if n.Number != number+1 && !isReset(n.Mark) {
			marks = append(marks, history.Forgotten(n.Number-1))
		}
		marks = append(marks, n)
		number = n.Number
	}
	if number < head {
		marks = append(marks, history.Forgotten(head))
	}
	return marks, head, nil
}

func isReset(m store.Mark) bool { return m.Kind == store.MarkEverything && !m.Soft }

// encodeMark returns a record: the mark's letter, and its name.
func encodeMark(m store.Mark) string { return string(history.Letter(m)) + m.Name }

// decodeMark returns the mark in a record. A record that it does not understand covers everything.
func decodeMark(record string) store.Mark {
	if record == "" {
		return history.All
	}
	m, _ := history.OfLetter(record[0], record[1:])
	return m
}

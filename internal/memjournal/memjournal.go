// Package memjournal is a journal of invalidations in this process's memory.
package memjournal

import (
	"context"
	"iter"
	"strings"
	"sync"

	"github.com/freshet-go/freshet/store"
)

// How much a Journal remembers: 65,536 marks and 16 MiB of names.
const (
	maxMarks = 1 << 16
	maxBytes = 16 << 20
)

// Journal is the [store.Journal] of a single process. It knows nothing of an earlier process, so it
// is for stores that live no longer than the process does, or for nodes that trust nothing that was
// stored before it began ([NewAfter]). It remembers the last 65,536 marks or 16 MiB of their names,
// whichever is less. It never fails.
type Journal struct {
	maxMarks, maxBytes, maxMembers int

	mu      sync.Mutex
	marks   []store.Numbered // numbers without gaps, the first of them dropped+1
	bytes   int              // of the names in marks
	dropped uint64           // the newest forgotten number
	changed chan struct{}    // closed by the next Append
	members map[string]member
}

// New returns an empty journal, whose first number is 1.
func New() *Journal { return NewAfter(0) }

// NewAfter returns an empty journal whose first number is the one after number, and which has
// forgotten everything up to number.
func NewAfter(number uint64) *Journal {
	return &Journal{maxMarks: maxMarks, maxBytes: maxBytes, maxMembers: store.MaxMembers,
		dropped: number}
}

// Append implements Journal. Its only errors are marks that are not valid, of which it records
// none.
func (j *Journal) Append(_ context.Context, what ...store.Mark) (uint64, error) {
	for _, m := range what {
		if err := m.Validate(); err != nil {
			return 0, err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, m := range what {
		m.Name = strings.Clone(m.Name) // it may be a part of something big
		j.marks = append(j.marks, store.Numbered{Mark: m, Number: j.head() + 1})
		j.bytes += len(m.Name)
	}
	if len(what) > 0 {
		j.forget()
		if j.changed != nil {
			close(j.changed)
			j.changed = nil
		}
	}
	return j.head(), nil
}

// Since implements Journal.
func (j *Journal) Since(_ context.Context, number uint64) ([]store.Numbered, uint64, error) {
	marks, head, _ := j.since(number)
	return marks, head, nil
}

// Watch implements Journal. It yields no errors.
func (j *Journal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	return func(yield func(store.Numbered, error) bool) {
		for {
			marks, _, changed := j.since(from)
			for _, m := range marks {
				if ctx.Err() != nil || !yield(m, nil) {
					return
				}
				from = m.Number
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// since returns what Since does, and a channel that is closed when there is more.
func (j *Journal) since(
	number uint64,
) (marks []store.Numbered, head uint64, changed <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if number < j.dropped {
		marks = append(marks, store.Numbered{Mark: store.Mark{Kind: store.MarkEverything},
			Number: j.dropped})
		number = j.dropped
	}
	if head = j.head(); number < head {
		marks = append(marks, j.marks[number-j.dropped:]...)
	}
	if j.changed == nil {
		j.changed = make(chan struct{})
	}
	return marks, head, j.changed
}

func (j *Journal) head() uint64 { return j.dropped + uint64(len(j.marks)) }

// forget drops the oldest marks when there are too many: a quarter more than it must, so that the
// next Append need not do it again.
func (j *Journal) forget() {
	if len(j.marks) <= j.maxMarks && j.bytes <= j.maxBytes {
		return
	}
	n := 0
	for len(j.marks)-n > j.maxMarks*3/4 || j.bytes > j.maxBytes*3/4 {
		j.bytes -= len(j.marks[n].Name)
		n++
	}
	j.dropped += uint64(n)
	j.marks = append([]store.Numbered(nil), j.marks[n:]...)
}

package follower

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/freshet-go/freshet/store"
)

// recent remembers the journal's newest marks that this process knows of, for a journal that has
// lost them and begins anew, and to tell which numbers the journal gave out.
type recent struct {
	mu    sync.Mutex
	marks []store.Numbered // by their numbers
	bytes int              // of the names in marks
	// the greatest number of a mark that was let go
	dropped uint64
	begun   uint64 // at which number the journal began that was dealt with last
}

// More marks than this, or longer names, and the oldest quarter goes.
const (
	maxRecent      = 4096
	maxRecentBytes = 1 << 20
)

// note remembers a mark.
func (r *recent) note(m store.Numbered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, found := slices.BinarySearchFunc(r.marks, m.Number, byNumber)
	if found || m.Number <= r.dropped {
		return
	}
	m.Name = strings.Clone(m.Name) // it may be a part of something big
	r.marks = slices.Insert(r.marks, at, m)
	r.bytes += len(m.Name)
	if len(r.marks) <= maxRecent && r.bytes <= maxRecentBytes {
		return
	}
	n := 0
	for ; len(r.marks)-n > maxRecent*3/4 || r.bytes > maxRecentBytes*3/4; n++ {
		r.bytes -= len(r.marks[n].Name)
	}
	r.dropped = r.marks[n-1].Number
	r.marks = slices.Delete(r.marks, 0, n)
}

// has reports whether a mark with the number is remembered, or may have been let go.
func (r *recent) has(number uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, found := slices.BinarySearchFunc(r.marks, number, byNumber)
	return found || number <= r.dropped
}

// beginning returns at which number the journal began anew that was dealt with last; 0: none.
func (r *recent) beginning() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun
}

func byNumber(m store.Numbered, number uint64) int { return cmp.Compare(m.Number, number) }

// lost has hold take the marks that the journal lost before it began anew with begin, and returns
// how many they are: those beyond begin.After. Where not all are remembered, a mark that covers
// everything stands for them. Of each beginning it does so once; when it returns, they are held.
//
// Another process may have appended the same marks again already. That does not count: it may have
// been of an earlier change.
func (r *recent) lost(begin store.Numbered, hold func([]store.Mark)) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if begin.Number <= r.begun {
		return 0
	}
	r.begun = begin.Number
	var marks []store.Mark
	if r.dropped > begin.After {
		marks = append(marks, store.Mark{Kind: store.MarkEverything})
	} else {
		first, _ := slices.BinarySearchFunc(r.marks, begin.After+1, byNumber)
		for _, m := range r.marks[first:] {
			if m.Number < begin.Number {
				marks = append(marks, m.Mark)
			}
		}
	}
	if len(marks) > 0 {
		hold(marks)
	}
	return len(marks)
}

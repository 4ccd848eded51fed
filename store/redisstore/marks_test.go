package redisstore

import (
	"testing"

	"github.com/freshet-go/freshet/store"
)

// Names and marks of every kind are the same after having been in the server; storetest tests the journal with
// the common ones.
func FuzzMark(f *testing.F) {
	f.Add(uint8(0), "name", true)
	f.Add(uint8(3), "", false)
	f.Add(uint8(1), "Tag", false)
	f.Add(uint8(2), "K", true)
	f.Fuzz(func(t *testing.T, kind uint8, name string, soft bool) {
		m := store.Mark{Kind: store.MarkKind(kind % 4), Name: name, Soft: soft}
		if got := decodeMark(encodeMark(m)); got != m {
			t.Errorf("%+v became %+v", m, got)
		}
		decodeMark(name) // does not panic
	})
}

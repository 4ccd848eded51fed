package redisstore

import (
	"slices"
	"testing"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// For records that are not there stands a mark that covers everything, unless the next one does.
func TestReadMarks(t *testing.T) {
	tag := func(number uint64) store.Numbered {
		return store.Numbered{Mark: store.Mark{Kind: store.MarkTag, Name: "a"}, Number: number}
	}
	soft := store.Numbered{Mark: store.Mark{Kind: store.MarkEverything, Soft: true}, Number: 7}
	for _, tt := range []struct {
		story               string
		number, last, begun uint64
		records             []string
		want                []store.Numbered
	}{
		{"none that is new", 4, 4, 0, nil, nil},
		{"of a journal that was lost", 7, 4, 0, nil, nil},
		{"all", 4, 6, 0, []string{"5-0", "ta", "6-0", "ta"}, []store.Numbered{tag(5), tag(6)}},
		{"the first are missing", 4, 7, 0, []string{"7-0", "ta"},
			[]store.Numbered{history.Forgotten(6), tag(7)}},
		{"one between is missing", 4, 7, 0, []string{"5-0", "ta", "7-0", "ta"},
			[]store.Numbered{tag(5), history.Forgotten(6), tag(7)}},
		{"the last are missing", 4, 9, 0, []string{"5-0", "ta"}, []store.Numbered{tag(5),
			history.Forgotten(9)}},
		{"all are missing", 4, 6, 0, nil, []store.Numbered{history.Forgotten(6)}},
		{"everything after those that are missing", 4, 7, 0, []string{"7-0", "e"},
			[]store.Numbered{history.Forgotten(7)}},
		{"everything, softly, after those that are missing", 4, 7, 0, []string{"7-0", "E"},
			[]store.Numbered{history.Forgotten(6), soft}},
		{"a beginning", 4, 8, 7, []string{"7-0", "b6", "8-0", "ta"},
			[]store.Numbered{{Mark: history.All, Number: 7, After: 6}, tag(8)}},
		{"a beginning that nobody understands", 4, 7, 7, []string{"7-0", "bx"},
			[]store.Numbered{{Mark: history.All, Number: 7, After: 1}}},
		{"a beginning is missing", 4, 7, 6, []string{"7-0", "ta"},
			[]store.Numbered{{Mark: history.All, Number: 6, After: 1}, tag(7)}},
		{"everything after a beginning that is missing", 4, 7, 6, []string{"7-0", "e"},
			[]store.Numbered{{Mark: history.All, Number: 6, After: 1}, history.Forgotten(7)}},
		{"the last are missing, with a beginning", 4, 9, 8, []string{"5-0", "ta"},
			[]store.Numbered{tag(5), {Mark: history.All, Number: 9, After: 1}}},
		{"the beginning came before", 7, 9, 7, []string{"9-0", "ta"},
			[]store.Numbered{history.Forgotten(8), tag(9)}},
		{"a beginning is missing, of which nobody knew the journal before", 0, 7, 6,
			[]string{"7-0", "ta"}, []store.Numbered{history.Forgotten(6), tag(7)}},
	} {
		got, err := readMarks(tt.number, tt.last, tt.begun, tt.records)
		if !slices.Equal(got, tt.want) || err != nil {
			t.Errorf("%s: %v, %v; want %v", tt.story, got, err, tt.want)
		}
	}
	if got, err := readMarks(4, 7, 0, []string{"x-0", "ta"}); err == nil {
		t.Errorf("a record without a number: %v", got)
	}
}

// Names and marks of every kind are the same after having been in the server; storetest tests the
// journal with the common ones.
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

package pgreads

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

type (
	number   int
	coloured int
	slug     string
	folded   string
	bytes16  [16]byte
	odd16    [16]byte
)

func (coloured) String() string { return "red" }
func (f folded) String() string { return "folded" }
func (odd16) String() string    { return "odd" }

// A value counts as a key only where PostgreSQL has one text for it, and pgx sends it as it is.
func TestTextOfKeys(t *testing.T) {
	i, s := 42, "a"
	id := pgtype.UUID{Bytes: [16]byte{15: 0xab}, Valid: true}
	const text = "00000000-0000-0000-0000-0000000000ab"
	for _, k := range []struct {
		kind  string
		value any
		want  string // "?": nobody knows
	}{
		{"i", 42, "42"}, {"i", uint8(42), "42"}, {"i", number(42), "42"}, {"i", &i, "42"}, {"i", "042", "42"},
		{"i", "+42", "42"}, {"i", "-0", "0"}, {"i", "42 ", "?"}, {"i", "4x", "?"}, {"i", "", "?"}, {"i", 42.0, "?"},
		{"i", coloured(42), "?"}, {"i", nil, "?"}, {"i", (*int)(nil), "?"},
		{"i", pgtype.Int8{Int64: 1, Valid: true}, "?"},
		{"i", true, "?"}, {"i", []int{1}, "?"},
		{"t", "a", "a"}, {"t", "", ""}, {"t", &s, "a"}, {"t", slug("a"), "a"}, {"t", folded("a"), "?"}, {"t", 42, "?"},
		{"t", []byte("a"), "?"}, {"t", pgtype.Text{String: "a", Valid: true}, "?"},
		{"u", id, text}, {"u", pgtype.UUID{}, "?"}, {"u", id.Bytes, text}, {"u", bytes16(id.Bytes), text},
		{"u", odd16(id.Bytes), "?"}, {"u", text, text}, {"u", "00000000-0000-0000-0000-0000000000AB", text},
		{"u", "000000000000000000000000000000ab", "?"}, {"u", "{" + text + "}", "?"}, {"u", "ab", "?"}, {"u", nil, "?"},
	} {
		got, ok := textOf(k.kind, k.value)
		if !ok {
			got = "?"
		}
		if got != k.want {
			t.Errorf("%T %v is %q in a column of kind %s, want %q", k.value, k.value, got, k.kind, k.want)
		}
	}
}

func TestKeysOfStatements(t *testing.T) {
	ids := make([]int, maxKeys+1)
	for _, k := range []struct {
		key  []keyValue
		args []any
		want string
	}{
		{[]keyValue{{"i", []value{{param: 1}}, false}}, []any{7}, "[[7]]"},
		{[]keyValue{{"i", []value{{number: "8"}}, false}}, nil, "[[8]]"},
		{[]keyValue{{"i", []value{{param: 2}}, false}}, []any{7}, "[]"},
		{[]keyValue{{"i", []value{{param: 1}, {number: "2"}}, false}, {"t", []value{{param: 2}}, false}}, []any{7, "x"},
			"[[7 x] [2 x]]"},
		{[]keyValue{{"i", []value{{param: 1}}, true}}, []any{[]int64{1, 2}}, "[[1] [2]]"},
		{[]keyValue{{"i", []value{{param: 1}}, true}}, []any{[]int{}}, "[]"},
		{[]keyValue{{"i", []value{{param: 1}}, true}}, []any{ids}, "[]"},
		{[]keyValue{{"i", []value{{param: 1}}, true}}, []any{"{1,2}"}, "[]"},
	} {
		if got := fmt.Sprint((&plan{key: k.key}).keys(k.args)); got != k.want {
			t.Errorf("%v with %v reads %s, want %s", k.key, k.args, got, k.want)
		}
	}
}

package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

type colour int

func (colour) String() string { return "red" }

// A value is the same row's in each form that apps and databases have it in.
func TestRowTag(t *testing.T) {
	id, noID := 42, (*int)(nil)
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for _, k := range []struct {
		key  []any
		want string
	}{
		{[]any{42}, "product:42"},
		{[]any{"42"}, "product:42"},
		{[]any{uint8(42)}, "product:42"},
		{[]any{&id}, "product:42"},
		{[]any{colour(3)}, "product:3"},
		{[]any{-1}, "product:-1"},
		{[]any{true}, "product:true"},
		{[]any{7, "a:b"}, "product:7:a%3Ab"},
		{[]any{""}, "product:"},
		{[]any{"*"}, "product:%2A"},
		{[]any{"é %"}, "product:%C3%A9%20%25"},
		{[]any{[16]byte{0x12, 4: 0x34, 15: 0xff}}, "product:12000000-3400-0000-0000-0000000000ff"},
		{[]any{netip.MustParseAddr("::1")}, "product:%3A%3A1"},
		{[]any{noon.In(time.FixedZone("", 3600))}, "product:2026-01-02T12%3A00%3A00Z"},
		{nil, "product:*"},
		{[]any{nil}, "product:*"},
		{[]any{noID}, "product:*"},
		{[]any{1.5}, "product:*"},
		{[]any{1, struct{}{}}, "product:*"},
		{[]any{(*strings.Builder)(nil)}, "product:*"},
	} {
		if got := RowTag("product", k.key...); got != k.want {
			t.Errorf("RowTag(product, %v) is %q, want %q", k.key, got, k.want)
		}
	}
	long := RowTag("product", strings.Repeat("a", 300))
	if len(long) > maxRowTag || !strings.HasPrefix(long, "product:#") ||
		long == RowTag("product", strings.Repeat("a", 301)) {
		t.Errorf("the tag of a long key is %q", long)
	}
	if got := fmt.Sprintf("%v %v %v %v", RowChange("a b", 1), RowChange("a b"), TableChange(""),
		EachTableTag("s:t")); got != "[a%20b:1 a%20b:*] [a%20b] [%] *:s%3At:*" {
		t.Errorf("what a change invalidates is %s", got)
	}
}

// No two keys have one tag, and none that of something else.
func FuzzRowTag(f *testing.F) {
	f.Add("a", "b", "", "a:b", "", "")
	f.Add("a", "*", "", "a", "b:", "")
	f.Fuzz(func(t *testing.T, table, one, two, table2, one2, two2 string) {
		a, b := RowTag(table, one, two), RowTag(table2, one2, two2)
		if same := table == table2 && one == one2 && two == two2; (a == b) != same {
			t.Errorf("%q %q %q has the tag %q, and %q %q %q has %q", table, one, two, a, table2,
				one2, two2, b)
		}
		if slices.Contains([]string{TableTag(table2), EachRowTag(table2), DatabaseTag(table2),
			EachTableTag(table2), RowTag(table2, one2)}, a) {
			t.Errorf("%q %q %q has the tag %q, which is another's", table, one, two, a)
		}
	})
}

package main

import (
	"testing"
)

func TestParseStat(t *testing.T) {
	const after = " S 17 4242 4242 0 -1 4194560 1 2 3 4 120 30 7 3 20 0 1 0 12345 0 0"
	for _, c := range []struct {
		line string
		want stat
	}{
		{"4242 (nginx)" + after, stat{4242, 17, 160}},
		{"4242 (a ) b) (c)" + after + "\n", stat{4242, 17, 160}},
	} {
		if got, err := parseStat(c.line); err != nil || got != c.want {
			t.Errorf("%q: got %+v, %v; want %+v", c.line, got, err, c.want)
		}
	}
	for _, line := range []string{"", "4242 nginx S 17", "4242 (nginx) S 17", "x (nginx)" + after,
		"4242 (nginx) S x 4242 4242 0 -1 4194560 1 2 3 4 120 30 7 3 20",
		"4242 (nginx) S 17 4242 4242 0 -1 4194560 1 2 3 4 120 x 7 3 20"} {
		if got, err := parseStat(line); err == nil {
			t.Errorf("%q: got %+v and no error", line, got)
		}
	}
}

func TestTreeTicks(t *testing.T) {
	stats := []stat{{1, 0, 1000}, {10, 1, 5}, {12, 11, 2}, {11, 10, 3}, {20, 1, 100}}
	for root, want := range map[int]int64{10: 10, 11: 5, 12: 2, 20: 100, 1: 1110, 99: 0} {
		if got := treeTicks(stats, root); got != want {
			t.Errorf("from %d: got %d ticks, want %d", root, got, want)
		}
	}
}

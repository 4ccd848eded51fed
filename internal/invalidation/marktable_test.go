package invalidation

import (
	"fmt"
	"testing"

	"github.com/freshet-go/freshet/store"
)

func TestTablesHaveTheRoomTheyAreAskedFor(t *testing.T) {
	for room, want := range map[int]int{0: 64, 64: 64, 65: 128, 128: 128, 129: 256} {
		if got := len(newMarkTable(room).buckets); got != want {
			t.Errorf("%d buckets for %d marks, want %d", got, room, want)
		}
	}
	for marks, want := range map[int]int{0: 1 << 10, 64: 1 << 10, 65: 1 << 11,
		DefaultBound: 1 << 20} {
		if got := len(newFoldedMarks(marks).slots); got != want {
			t.Errorf("%d slots for %d marks, want %d", got, marks, want)
		}
	}
}

func TestTheLowestFloorThatLeavesSoMuch(t *testing.T) {
	table := newMarkTable(0)
	for i := range uint64(8) {
		table.put(hard(store.MarkKey, fmt.Sprintf("name %05d", i), i+1)) // 10 bytes
	}
	for _, tt := range []struct {
		marks, bytes int
		want         uint64
	}{
		{9, 81, 0},
		{8, 80, 0},
		{7, 80, 1},
		{8, 79, 1},
		{6, 80, 2},
		{8, 60, 2},
		{8, 59, 3},
		{1, 80, 7},
		{0, 80, 8},
		{8, 0, 8},
	} {
		floor := table.floorFor(tt.marks, tt.bytes)
		if floor != tt.want {
			t.Errorf("at most %d marks and %d bytes: floor %d, want %d", tt.marks, tt.bytes, floor,
				tt.want)
		}
		if left := table.above(floor); left.count != 8-int(floor) || left.bytes != 10*left.count {
			t.Errorf("above %d: %d marks and %d bytes are left", floor, left.count, left.bytes)
		}
	}
}

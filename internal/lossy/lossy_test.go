package lossy

import (
	"sync"
	"testing"
)

// A key finds what was put under it last, until another key takes its slot, and never what was put
// under another.
func TestTable(t *testing.T) {
	table := New[string, int](4)
	find := func(hash uint64, key string, want int, wantOK bool) {
		t.Helper()
		if got, ok := table.Find(hash, key); got != want || ok != wantOK {
			t.Errorf("%s: %d, %v; want %d, %v", key, got, ok, want, wantOK)
		}
	}
	find(1, "a", 0, false)
	table.Delete(1, "a")
	table.Put(1, "a", 1)
	table.Put(2, "b", 2)
	find(1, "a", 1, true)
	find(2, "b", 2, true)
	find(5, "c", 0, false) // meets a
	table.Delete(5, "c")
	find(1, "a", 1, true)
	table.Put(1, "a", 3)
	find(1, "a", 3, true)
	table.Put(5, "c", 4)
	find(5, "c", 4, true)
	find(1, "a", 0, false)
	find(2, "b", 2, true)
	table.Delete(5, "c")
	find(5, "c", 0, false)
	table.Delete(5, "c")
}

func TestTableOfNoPowerOfTwo(t *testing.T) {
	for _, size := range []int{-4, 0, 3, 6} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a table of %d slots", size)
				}
			}()
			New[int, int](size)
		}()
	}
}

// Everyone who finds a value finds the one of its key.
func TestTableOfMany(t *testing.T) {
	table := New[int, int](8)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 10_000 {
				key := i % 64
				if v, ok := table.Find(uint64(key), key); ok && v != -key {
					t.Errorf("%d has the value %d", key, v)
				}
				if i%7 == 0 {
					table.Delete(uint64(key), key)
				} else {
					table.Put(uint64(key), key, -key)
				}
			}
		})
	}
	group.Wait()
}

func TestFindAllocatesNothing(t *testing.T) {
	table := New[int64, []string](512)
	table.Put(7, 7, []string{"7"})
	if n := testing.AllocsPerRun(100, func() { table.Find(7, 7); table.Find(8, 8) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

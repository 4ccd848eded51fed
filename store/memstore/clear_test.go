package memstore

import (
	"fmt"
	"testing"
	"time"
)

func TestClear(t *testing.T) {
	s := newStore(t, 0)
	for range 2 { // it works on
		for i := range 100 {
			set(t, s, page(fmt.Sprint(i), 1000), time.Hour)
		}
		if removed, err := s.Clear(t.Context()); removed != 100 || err != nil {
			t.Errorf("%d, %v, want 100", removed, err)
		}
		if has(t, s, "1") || s.Len() != 0 || s.Bytes() != 0 {
			t.Errorf("%d entries of %d bytes left", s.Len(), s.Bytes())
		}
	}
	if removed, err := s.Clear(t.Context()); removed != 0 || err != nil {
		t.Errorf("Clear of an empty store: %d, %v", removed, err)
	}
}

package call

import (
	"testing"
	"time"
)

// Clients' requests take from the upper half of a bucket alone, and get something of each bucket in
// the end.
func TestRateLeavesHalf(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := NewRate(10, time.Second, 10)
	for i := range 5 {
		if wait := r.Take(1, true, now); wait != 0 {
			t.Fatalf("token %d: wait %v", i, wait)
		}
	}
	if wait := r.Take(1, true, now); wait != 100*time.Millisecond {
		t.Errorf("the sixth of ten: wait %v", wait)
	}
	if wait := r.Take(5, false, now); wait != 0 {
		t.Errorf("the app: wait %v", wait)
	}
	if wait := r.Take(100, true, now); wait != time.Second {
		t.Errorf("more than there is room for: wait %v", wait)
	}
	if wait := r.Take(100, true, now.Add(time.Second)); wait != 0 {
		t.Errorf("when it is full: wait %v", wait)
	}
	if wait := NewRate(1, time.Second, 1).Take(1, true, now); wait != 0 {
		t.Errorf("a bucket of one: wait %v", wait)
	}
}

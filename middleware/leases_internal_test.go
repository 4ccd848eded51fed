package middleware

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Of the requests of a process that wait for one run, one sends the notice.
func TestOneOfThoseWhoWaitIsTheFirst(t *testing.T) {
	ls := &leases{waits: map[string]*waiting{}}
	var firsts atomic.Int64
	var all sync.WaitGroup
	joined := make(chan *waiting, 50)
	for range 50 {
		all.Go(func() {
			w, first := ls.join("run")
			if first {
				firsts.Add(1)
			}
			joined <- w
		})
	}
	all.Wait()
	close(joined)
	if n := firsts.Load(); n != 1 {
		t.Errorf("%d are the first", n)
	}
	for w := range joined {
		ls.leave("run", w)
	}
	if n := len(ls.waits); n != 0 {
		t.Errorf("%d waits are left", n)
	}
}

package filestore

import (
	"os"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// knows waits until a process has read a mark, for as long as a busy machine may need.
func knows(t *testing.T, j *journal, number uint64) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		j.mu.Lock()
		known := j.known
		j.mu.Unlock()
		if known >= number {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it has read up to %d in 20 s; want %d", known, number)
		}
	}
}

// A process that listens reads what others append without being asked, also when they have replaced
// the file.
func TestAProcessHearsOfWhatOthersAppend(t *testing.T) {
	one, two, _, path := journals(t, Config{})
	stop := one.listen()
	knows(t, one, add(t, two, tag("c")))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	knows(t, one, add(t, two, tag("d")))
	knows(t, one, add(t, two, tag("e")))
	stop()
	before := one.known
	last := add(t, two, tag("f"))
	if one.known != before {
		t.Errorf("it has heard of %d after stop", one.known)
	}
	if got, head := names(t, one, before); head != last || len(got) != 1 {
		t.Errorf("asked, it knows %q up to %d; want f, %d", got, head, last)
	}
}

// Where the system tells nothing, a watcher looks by itself.
func TestAWatcherThatHearsNothing(t *testing.T) {
	one, two, begin, _ := journals(t, Config{})
	next := make(chan store.Numbered)
	go func() {
		defer close(next)
		for m, err := range one.Watch(t.Context(), begin+2) {
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case next <- m:
			case <-t.Context().Done():
				return
			}
		}
	}()
	if m := func() store.Numbered { add(t, two, tag("c")); return <-next }(); m.Name != "c" {
		t.Errorf("heard %v; want c", m)
	}
	// nothing is told of a folder that takes the place of another
	if err := os.Rename(one.folder(), one.folder()+"-before"); err != nil {
		t.Fatal(err)
	}
	last := add(t, two, tag("d"))
	for m := range next {
		if m.Number == last {
			return
		}
	}
	t.Errorf("the mark %d was not heard", last)
}

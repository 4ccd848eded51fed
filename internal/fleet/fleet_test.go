package fleet

import (
	"bytes"
	"flag"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

var (
	seeds = flag.Int("seeds", 400, "how many stories to simulate")
	first = flag.Uint64("first", 1, "the seed of the first story")
)

// TestStories simulates stories, and fails for each whose clients got an answer that they must not
// get.
func TestStories(t *testing.T) {
	var next atomic.Uint64
	var reads, hits, checked, failed atomic.Int64
	var work sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for i := next.Add(1) - 1; i < uint64(*seeds) && failed.Load() < 10; i = next.Add(1) - 1 {
				s, _ := simulate(t, *first+i, false)
				for _, r := range s.reads {
					reads.Add(1)
					if strings.HasPrefix(r.how, "hit") {
						hits.Add(1)
					}
				}
				checked.Add(int64(linearizable(t, s)))
				if v := s.violations(); len(v) > 0 {
					failed.Add(1)
					t.Errorf("FRESHET_SEED=%d:\n%s", *first+i, strings.Join(v, "\n"))
				}
			}
		})
	}
	work.Wait()
	t.Logf("%d reads, %d hits, %d operations in histories that are complete", reads.Load(),
		hits.Load(), checked.Load())
	if reads.Load() < int64(*seeds)*10 || hits.Load() < reads.Load()/10 ||
		checked.Load() < reads.Load()/10 {
		t.Error("too few to tell anything")
	}
}

// TestReplay runs the story of FRESHET_SEED, or that of 1, and prints what happens in it if that must
// not happen. Which of two goroutines runs first may differ: so it tries a given seed 200 times.
func TestReplay(t *testing.T) {
	seed, tries := uint64(1), 1
	if given := os.Getenv("FRESHET_SEED"); given != "" {
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("FRESHET_SEED=%q: want a number", given)
		}
		seed, tries = n, 200
	}
	for range tries {
		s, log := simulate(t, seed, true)
		if v := s.violations(); len(v) > 0 {
			t.Fatalf("%s\n%s", log, strings.Join(v, "\n"))
		}
	}
}

func simulate(t *testing.T, seed uint64, logged bool) (s *story, log string) {
	b := lockedBuffer{off: !logged}
	t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { s = newPlan(seed).run(&b) })
	})
	return s, b.String()
}

type lockedBuffer struct {
	mu  sync.Mutex
	off bool
	b   bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off {
		return len(p), nil
	}
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string { return l.b.String() }

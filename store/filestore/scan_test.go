package filestore

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"
)

// When the folder is read anew, and when what has ended is swept.
func TestUpkeepFallsDue(t *testing.T) {
	const bound = 16 << 20
	for _, tt := range []struct {
		story                 string
		scanned, swept        time.Duration // so long ago
		others, temps         bool
		foreign               int64
		mayScan               time.Duration // so long ago
		wantScan, wantSweep   bool
		wantOthers, wantTemps bool // kept for the next tick
	}{
		{story: "nothing", scanned: scanAlways - 1, mayScan: 1},
		{story: "ten minutes", scanned: scanAlways, mayScan: 1, wantScan: true},
		{story: "ten minutes, but it may not yet", scanned: scanAlways},
		{story: "others, too soon", scanned: scanShared - 1, others: true, mayScan: 1,
			wantOthers: true},
		{story: "others", scanned: scanShared, others: true, mayScan: 1, wantScan: true},
		{story: "others, but it may not yet", scanned: scanShared, others: true, wantOthers: true},
		{story: "a temporary file, too soon", scanned: sweepEvery, temps: true, mayScan: 1,
			wantTemps: true},
		{story: "a temporary file", scanned: sweepEvery + 1, temps: true, mayScan: 1,
			wantScan: true},
		{story: "as much by strangers as may be", foreign: bound / 16, mayScan: time.Hour},
		{story: "more by strangers", foreign: bound/16 + 1, mayScan: time.Hour, wantScan: true},
		{story: "more by strangers, but it may not yet", foreign: bound/16 + 1,
			mayScan: -time.Hour},
		{story: "not a minute since the last sweep", swept: sweepEvery - 1, mayScan: 1},
		{story: "a minute since the last sweep", swept: sweepEvery, mayScan: 1, wantSweep: true},
	} {
		b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: bound}))
		b.Close() // this test is its keeper
		now := time.Now()
		k := keeper{b: b, scanned: now.Add(-tt.scanned), swept: now.Add(-tt.swept),
			others: tt.others, temps: tt.temps}
		before := k
		b.count.foreign.Store(tt.foreign)
		b.mayScan.Store(now.Add(-tt.mayScan).UnixNano())
		k.tick(now)
		b.ledger.Close()
		if got := k.scanned != before.scanned; got != tt.wantScan {
			t.Errorf("%s: read anew: %t, want %t", tt.story, got, tt.wantScan)
		}
		if wait := b.mayScan.Load() - k.scanned.UnixNano(); tt.wantScan && (wait <= 0 || wait%scanAtLeast != 0) {
			t.Errorf("%s: it may be read anew after %d ns, want 20 times what it took", tt.story,
				wait)
		}
		if got := k.swept == now && k.swept != before.swept; got != tt.wantSweep {
			t.Errorf("%s: swept: %t, want %t", tt.story, got, tt.wantSweep)
		}
		if k.others != tt.wantOthers || k.temps != tt.wantTemps {
			t.Errorf("%s: others %t, temporary files %t are remembered", tt.story, k.others,
				k.temps)
		}
	}
}

func TestUpkeepHearsOfOthers(t *testing.T) {
	folder := t.TempDir()
	one, two := scanned(t, open(t, Config{Path: folder})), scanned(t, open(t, Config{Path: folder}))
	one.Close() // this test is its keeper
	defer one.ledger.Close()
	k := keeper{b: one, scanned: time.Now(), swept: time.Now()}
	if k.tick(time.Now()); k.others {
		t.Error("others have changed something, it is said")
	}
	set(t, two, "key", []byte("v"))
	two.ledger.sync(time.Second)
	for range 2 { // and it is remembered
		if k.tick(time.Now()); !k.others {
			t.Error("that another has set something was not heard")
		}
	}
}

// What is learned of others' files they had told: all together counts as before, unless the index
// is made anew.
func TestCountsOfWhatIsLearned(t *testing.T) {
	for _, tt := range []struct {
		scanning         bool
		d                int64
		indexed, foreign int64
	}{
		{false, 5, 5, -5}, {false, -5, -5, 5}, {true, 5, 5, 0}, {true, -5, -5, 5},
	} {
		var c count
		c.scanning.Store(tt.scanning)
		c.learned(tt.d)
		if c.indexed.Load() != tt.indexed || c.foreign.Load() != tt.foreign {
			t.Errorf("%d, scanning %t: indexed %d, foreign %d; want %d, %d", tt.d, tt.scanning,
				c.indexed.Load(), c.foreign.Load(), tt.indexed, tt.foreign)
		}
	}
}

// A call that waits for the folder to be read, to know what can make room, writes nothing when that
// is not to be.
func TestSetThatWaitsForAScanEndsWithTheBackend(t *testing.T) {
	b := scanned(t, open(t, Config{Path: t.TempDir(), MaxBytes: 1 << 20}))
	b.folders[0].mu.Lock() // so that no scan ends
	b.wantScan()
	waitFor(t, "a scan begins", b.count.scanning.Load)
	b.indexed.Store(false)
	var all sync.WaitGroup
	all.Go(func() {
		if err := b.Set(t.Context(), "key", make([]byte, 200_000), time.Hour); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v, want os.ErrClosed", err)
		}
	})
	waitFor(t, "the Set asks for another", func() bool { return len(b.wanted) > 0 })
	all.Go(func() { b.Close() })
	<-b.done
	waitFor(t, "the Set has ended", func() bool { return b.count.reserved.Load() == 0 })
	b.folders[0].mu.Unlock()
	all.Wait()
}

package follower

import (
	"github.com/freshet-go/freshet/store"
)

// probe is the mark by which the journal is asked whether it takes any.
var probe = []store.Mark{{Kind: store.MarkBarrier, Name: "probe"}}

// Takes reports whether the journal takes marks: since Takes was called, it has taken one that
// marks nothing. Takes waits for the journal for up to twice Timeout: calls that come while it is
// asked wait for that answer, and share the next. A journal that did not answer, or took nothing,
// when it was last asked is not asked again. Without a journal Takes returns true, and with
// ReadOnly false.
func (f *Follower) Takes() bool {
	if !f.Shared() || f.ReadOnly {
		return !f.ReadOnly
	}
	came := f.probes.Load()
	f.probing <- struct{}{}
	defer func() { <-f.probing }()
	if f.probes.Load() == came {
		f.probes.Add(1)
		f.takes = !f.lost.Load() && f.probe()
	}
	return f.takes
}

// probe appends the probe. After one that the journal did not take, it is lost until it takes
// another, whatever else it answers.
func (f *Follower) probe() bool {
	ctx, cancel := f.context()
	defer cancel()
	_, err := f.append(ctx, probe)
	if err != nil {
		f.untaken.Store(true)
		f.fell(err)
		return false
	}
	f.untaken.Store(false)
	return true
}

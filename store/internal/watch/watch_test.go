package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store"
)

// fake is a journal of marks up to head.
type fake struct {
	sync.Mutex
	head    uint64
	most    int // marks in an answer; 0: all
	err     error
	looks   []uint64 // the numbers asked for
	cancel  func()   // nil, or called by the next look, which fails
	changed chan struct{}
}

func (f *fake) since(from uint64) (marks []store.Numbered, head uint64, err error) {
	f.Lock()
	defer f.Unlock()
	f.looks = append(f.looks, from)
	if f.cancel != nil {
		f.cancel()
		return nil, 0, context.Canceled
	}
	if f.err != nil {
		return nil, 0, f.err
	}
	for n := from + 1; n <= f.head; n++ {
		marks = append(marks, store.Numbered{Mark: store.Mark{Kind: store.MarkTag, Name: "t"},
			Number: n})
	}
	if f.most > 0 && len(marks) > f.most {
		marks = marks[:f.most]
	}
	return marks, f.head, nil
}

func (f *fake) look(from uint64) ([]store.Numbered, uint64, <-chan struct{}, error) {
	marks, head, err := f.since(from)
	f.Lock()
	defer f.Unlock()
	return marks, head, f.changed, err
}

// heard collects what a sequence yields, as "5" or an error's text, until it ends or has yielded
// most.
func heard(seq func(Yield), most int) (all []string) {
	for m, err := range seq {
		if err != nil {
			all = append(all, err.Error())
		} else {
			all = append(all, fmt.Sprint(m.Number))
		}
		if len(all) == most {
			break
		}
	}
	return all
}

func TestFollow(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		story string
		from  uint64
		head  uint64
		part  int // marks in an answer
		look  error
		wait  func(f *fake, cancel func()) error // called after each look
		most  int
		want  []string
		looks []uint64
	}{
		{story: "marks that are there, then those that come", from: 3, head: 5,
			wait: func(f *fake, cancel func()) error {
				if f.head++; f.head == 8 {
					cancel()
				}
				return nil
			},
			want: []string{"4", "5", "6", "7"}, looks: []uint64{3, 5, 6}},
		{story: "marks in parts, without a wait between them", from: 3, head: 8, part: 2,
			wait: func(f *fake, cancel func()) error {
				if f.head++; f.head == 10 {
					cancel()
				}
				return nil
			},
			want: []string{"4", "5", "6", "7", "8", "9"}, looks: []uint64{3, 5, 7, 8}},
		{story: "the loop over it is left", head: 9, most: 2, want: []string{"1", "2"},
			looks: []uint64{0}},
		{story: "looking fails", from: 3, look: refused, want: []string{"refused"},
			looks: []uint64{3}},
		{story: "waiting fails", from: 3, head: 4, wait: func(*fake, func()) error {
			return refused
		},
			want: []string{"4", "refused"}, looks: []uint64{3}},
		{story: "waiting fails because the context is done", from: 3, head: 4,
			wait: func(_ *fake, cancel func()) error { cancel(); return context.Canceled },
			want: []string{"4"}, looks: []uint64{3}},
		{story: "looking fails because the context is done", from: 3, head: 4,
			wait: func(f *fake, cancel func()) error { f.cancel = cancel; return nil },
			want: []string{"4"}, looks: []uint64{3, 4}},
		{story: "the journal was lost", from: 7, head: 6, looks: []uint64{7},
			want: []string{"the newest number is 6, and was 7: the journal was lost, and began " +
				"anew in the past"}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		f := &fake{head: tt.head, most: tt.part, err: tt.look}
		got := heard(Seq(func(yield Yield) error {
			return Follow(ctx, tt.from, yield, f.since, func(uint64) error {
				return tt.wait(f, cancel)
			})
		}), tt.most)
		if !slices.Equal(got, tt.want) || !slices.Equal(f.looks, tt.looks) {
			t.Errorf("%s: heard %q, looked after %v; want %q, %v", tt.story, got, f.looks, tt.want,
				tt.looks)
		}
		cancel()
	}
}

// A context that ends while marks are yielded ends the sequence at once, and before it begins,
// without a look.
func TestFollowEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := &fake{head: 9}
	seq := Seq(func(yield Yield) error {
		return Follow(ctx, 0, yield, f.since, func(uint64) error { t.Error("waited"); return nil })
	})
	var got []uint64
	for m, err := range seq {
		if err != nil {
			t.Error(err)
		}
		got = append(got, m.Number)
		cancel()
	}
	if !slices.Equal(got, []uint64{1}) {
		t.Errorf("heard %v; want 1 alone", got)
	}
	if got := heard(seq, 0); got != nil || len(f.looks) != 1 {
		t.Errorf("afterwards: heard %q in %d looks", got, len(f.looks))
	}
}

// A watcher looks rarely where nothing happens, often while marks come, and more and more rarely
// when they no longer do.
func TestPace(t *testing.T) {
	var p Pace
	begun := time.Now()
	for _, tt := range []struct {
		after time.Duration
		found bool
		want  time.Duration
	}{
		{0, false, Every}, {time.Hour, false, Every},
		{time.Hour, true, Often}, {time.Hour + Busy - 1, false, Often},
		{time.Hour + Busy, false, 2 * Often}, {time.Hour + Busy, false, 4 * Often},
		{time.Hour + Busy, true, Often}, {time.Hour + 2*Busy - 1, false, Often},
		{time.Hour + 2*Busy, false, 2 * Often}, {time.Hour + 2*Busy, false, 4 * Often},
		{time.Hour + 2*Busy, false, 8 * Often}, {time.Hour + 2*Busy, false, Every},
		{time.Hour + 2*Busy, false, Every},
	} {
		if got := p.Next(begun.Add(tt.after), tt.found); got != tt.want {
			t.Errorf("at %v, marks found %t: %v; want %v", tt.after, tt.found, got, tt.want)
		}
	}
}

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan struct{})
		f := &fake{changed: make(chan struct{})}
		ended := make(chan []string)
		go func() {
			ended <- heard(Seq(func(yield Yield) error {
				return Poll(t.Context(), closed, 0, yield, f.look)
			}), 0)
		}()
		begun := time.Now()
		step := func(after time.Duration, looks int, why string, then func()) {
			t.Helper()
			time.Sleep(time.Until(begun.Add(after)))
			synctest.Wait()
			f.Lock()
			defer f.Unlock()
			if len(f.looks) != looks {
				t.Errorf("%s: %d looks; want %d", why, len(f.looks), looks)
			}
			then()
		}
		step(Every-1, 1, "before the first pause is over", func() {})
		step(Every, 2, "after the first pause", func() { f.head = 1 })
		step(2*Every, 3, "after the second pause", func() {})
		step(2*Every+Often, 4, "after a mark", func() {})
		// 39 more until there has been none for a second, and then after 50, 100, 200 and 250 ms
		step(2*Every+Busy, 4+39, "a second after it", func() {})
		step(2*Every+Busy+14*Often-1, 4+39+2, "before the third pause that is longer", func() {})
		step(2*Every+Busy+14*Often, 4+39+3, "after it", func() {
			close(f.changed)
			f.head, f.changed = 2, make(chan struct{})
		})
		step(2*Every+Busy+14*Often, 4+39+4, "when the journal has changed", func() {
			f.err = errors.New("closed")
			close(closed)
		})
		got, want := <-ended, []string{"1", "2", "closed"}
		if !slices.Equal(got, want) || time.Since(begun) != 2*Every+Busy+14*Often {
			t.Errorf("heard %q in %v; want %q", got, time.Since(begun), want)
		}
	})
}

func TestPollEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := new(fake)
		ended := make(chan []string)
		go func() {
			ended <- heard(Seq(func(yield Yield) error {
				return Poll(ctx, nil, 0, yield, f.look)
			}), 0)
		}()
		synctest.Wait()
		begun := time.Now()
		cancel()
		if got := <-ended; got != nil || len(f.looks) != 1 || time.Since(begun) != 0 {
			t.Errorf("heard %q in %d looks, %v after the context; want nothing, in one look, at "+
				"once",
				got, len(f.looks), time.Since(begun))
		}
	})
}

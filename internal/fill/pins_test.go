package fill

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/stall"
)

// watch returns a watch without a limit, which calls cut when it cuts its client off.
func watch(cut func()) *stall.Watch {
	return stall.New(0, func(time.Time) error { cut(); return nil })
}

// stalls begins a write that w watches, which goes on until end is called.
func stalls(w *stall.Watch) (end func()) {
	until := make(chan struct{})
	go w.Write(writerFunc(func(p []byte) (int, error) { <-until; return len(p), nil }),
		[]byte("page"))
	synctest.Wait()
	return func() { close(until) }
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Room is made by those who have stalled for longest, and no more of them than it takes. A body
// that somebody else still reads, who reads or cannot be cut off, would not become free.
func TestWhoIsCutOffForRoom(t *testing.T) {
	for _, s := range []struct {
		name string
		// what reads the body of the first, who has stalled for longest
		beside func(r *Pins, p *Pin)
		cut    string
	}{
		{"nobody else", func(*Pins, *Pin) {}, "first"},
		{"somebody who cannot be cut off", func(r *Pins, p *Pin) { r.Join(p, nil) }, "second"},
		{"somebody who reads", func(r *Pins, p *Pin) { r.Join(p, watch(nil)) }, "second"},
		{"somebody who has stalled as well, and one who reads has left", func(r *Pins, p *Pin) {
			leaves := watch(nil)
			r.Join(p, leaves)
			r.Leave(p, leaves)
		}, "first"},
		{"nobody else, and the store has it", func(r *Pins, p *Pin) {
			r.stored = func(key string, body []byte) bool {
				return key == "first" && &body[0] == &p.body[0]
			}
			r.limit += int64(len(p.body))
			r.Hold("besides", make([]byte, len(p.body)), nil)
			r.limit -= int64(len(p.body))
		}, "second"},
		{"nobody any more", func(r *Pins, p *Pin) {
			for s := range p.clients {
				r.Leave(p, s)
			}
		}, "second"},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size = 1 << 10
				g := groupOf(0, 3*size)
				cut := []string{}
				var pins []*Pin
				for _, name := range []string{"first", "second", "third"} {
					w := watch(func() { cut = append(cut, name) })
					pins = append(pins, g.Pins.Hold(name, make([]byte, size), w))
					defer stalls(w)()
					time.Sleep(time.Second)
				}
				s.beside(&g.Pins, pins[0])
				if p := g.Pins.Hold("fourth", make([]byte, size), nil); p != nil {
					t.Error("there is room for more than the bound")
				}
				want(t, "cut off", fmt.Sprint(cut), "["+s.cut+"]")
			})
		})
	}
}

// Who has taken nothing for a second may be cut off.
func TestWhoHasJustStalledIsCutOff(t *testing.T) {
	for lasts, cut := range map[time.Duration]bool{stalledFor - 1: false, stalledFor: true} {
		synctest.Test(t, func(t *testing.T) {
			g := groupOf(0, 1<<10)
			was := false
			w := watch(func() { was = true })
			g.Pins.Hold("k", make([]byte, 1<<10), w)
			defer stalls(w)()
			time.Sleep(lasts)
			g.Pins.Hold("other", make([]byte, 1<<10), nil)
			want(t, fmt.Sprint("cut off after ", lasts), was, cut)
		})
	}
}

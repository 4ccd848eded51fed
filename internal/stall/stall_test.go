package stall

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// A client that waits for nothing just now is not cut off: its connection may be another request's
// by then. One that is cut off is cut off once.
func TestOnlyAWriteThatLastsIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cuts := 0
		s := &Watch{deadline: func(time.Time) error { cuts++; return nil }}
		s.CutAfter(0)
		want(t, "cut off before it writes", cuts, 0)
		s.begin()
		s.CutAfter(time.Second)
		want(t, "cut off at once", cuts, 0)
		time.Sleep(time.Second)
		for range 2 {
			s.CutAfter(time.Second)
		}
		want(t, "cut off after a second", cuts, 1)
		want(t, "the end of the write", s.end(), ErrStalled)
		s.CutAfter(0)
		want(t, "cut off after it", cuts, 1)
	})
}

// A write that fails is the last, and says why.
func TestAWriteThatFailsIsTheLast(t *testing.T) {
	full := errors.New("the disk is full")
	writes := 0
	w := writerFunc(func(p []byte) (int, error) {
		if writes++; writes == 2 {
			return 10, full
		}
		return len(p), nil
	})
	for _, s := range []*Watch{nil, {}} {
		writes = 0
		n, err := s.Write(w, make([]byte, 10*pieceSize))
		if s == nil {
			want(t, "writes without a watch", writes, 1)
			continue
		}
		want(t, "bytes", n, pieceSize+10)
		want(t, "error", err, full)
		want(t, "writes", writes, 2)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A copy that fails is the last, and says why; so does one that was cut off.
func TestACopyThatFailsIsTheLast(t *testing.T) {
	full := errors.New("the disk is full")
	for _, wanted := range []error{full, ErrStalled} {
		writes := 0
		s := &Watch{}
		n, err := s.Copy(writerFunc(func(p []byte) (int, error) {
			if writes++; writes < 3 {
				return len(p), nil
			}
			if wanted == full {
				return 10, full
			}
			s.dead = true
			return 0, full
		}), strings.NewReader(strings.Repeat("x", 10*pieceSize)))
		want(t, "error", err, wanted)
		want(t, "writes", writes, 3)
		if n < 2*pieceSize || n > 2*pieceSize+10 {
			t.Errorf("%d bytes were copied", n)
		}
	}
}

// A write that panics, as a writer of an outer handler's may, has ended: a server or an outer
// handler may recover, and then the connection is another request's.
func TestAWriteThatPanicsHasEnded(t *testing.T) {
	panics := writerFunc(func([]byte) (int, error) { panic("of the writer") })
	for name, write := range map[string]func(s *Watch){
		"Write": func(s *Watch) { s.Write(panics, []byte("x")) },
		"Copy":  func(s *Watch) { s.Copy(panics, strings.NewReader("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cuts := 0
				s := New(time.Minute, func(time.Time) error { cuts++; return nil })
				func() {
					defer func() { recover() }()
					write(s)
				}()
				time.Sleep(time.Hour)
				want(t, "cut off", cuts, 0)
			})
		})
	}
}

package underway

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"github.com/freshet-go/freshet/store"
)

// asked is a connection that returns n bytes and then an error.
type asked struct {
	net.Conn
	n   int
	err error
}

func (a *asked) Read(b []byte) (int, error) {
	n := min(len(b), a.n)
	if a.n -= n; n == 0 {
		return 0, a.err
	}
	return n, nil
}

func (a *asked) Write(b []byte) (int, error) { return len(b), nil }

func TestAnAnswerThatWasStillComing(t *testing.T) {
	for _, tt := range []struct {
		came  int
		err   error
		again bool // another question is asked before the error
		want  bool
	}{
		{enough, os.ErrDeadlineExceeded, false, true},
		{enough - 1, os.ErrDeadlineExceeded, false, false},
		{enough, os.ErrDeadlineExceeded, true, false},
		{enough, io.ErrUnexpectedEOF, false, false},
	} {
		c := &Conn{Conn: &asked{n: tt.came, err: tt.err}}
		if _, err := io.ReadFull(c, make([]byte, tt.came)); err != nil {
			t.Fatal(err)
		}
		if tt.again {
			c.Write([]byte("get"))
		}
		_, err := c.Read(make([]byte, 1))
		if errors.Is(err, store.ErrUnderway) != tt.want || c.Cut() != tt.want {
			t.Errorf("%+v: %v, cut %t", tt, err, c.Cut())
		}
		if !errors.Is(err, tt.err) || store.KindOf(err) != store.KindOf(tt.err) {
			t.Errorf("%+v: %v, of kind %v", tt, err, store.KindOf(err))
		}
	}
}

package memcachestore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store/internal/fault"
)

// text is a connection of our own, for what the vendor's client cannot ask: one question, or
// several, in Memcached's text protocol. It is closed after use.
type text struct {
	conn    net.Conn
	lines   *bufio.Reader
	ctx     context.Context
	timeout time.Duration // of each line
	stop    []func() bool
}

// maxLine bounds the server's lines. The longest have a key in them, three bytes for each of its
// 250.
const maxLine = 4 << 10

// errAnswer is the error of an answer that is none; the server's words are found in it by
// judgeAnswer.
func errAnswer(line string) error { return fmt.Errorf("unexpected answer %q", line) }

func (b *Backend) dial(ctx context.Context, s *server) (*text, error) {
	if b.pool.done.Err() != nil {
		return nil, fault.ErrClosed
	}
	bounded, cancel := context.WithTimeout(ctx, b.config.DialTimeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(bounded, s.Network(), s.String())
	if err != nil {
		return nil, err
	}
	end := func() { _ = nc.Close() }
	return &text{
		conn: nc, lines: bufio.NewReaderSize(nc, maxLine), ctx: ctx, timeout: b.config.Timeout,
		stop: []func() bool{context.AfterFunc(ctx, end), context.AfterFunc(b.pool.done, end)},
	}, nil
}

func (t *text) close() {
	for _, stop := range t.stop {
		stop()
	}
	_ = t.conn.Close()
}

// extend gives the next step its time.
func (t *text) extend() {
	end := time.Now().Add(t.timeout)
	if until, ok := t.ctx.Deadline(); ok && until.Before(end) {
		end = until
	}
	_ = t.conn.SetDeadline(end)
}

func (t *text) send(words string) error {
	t.extend()
	_, err := io.WriteString(t.conn, words)
	return err
}

// line reads one line, without its end.
func (t *text) line() (string, error) {
	if t.lines.Buffered() == 0 {
		t.extend()
	}
	line, err := t.lines.ReadSlice('\n')
	if err != nil {
		if err == bufio.ErrBufferFull {
			err = errors.New("the answer is not what Memcached would say")
		}
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// ask sends words and wants that answer.
func (t *text) ask(words, want string) error {
	if err := t.send(words); err != nil {
		return err
	}
	line, err := t.line()
	if err == nil && line != want {
		err = errAnswer(line)
	}
	return err
}

// stats are what the server says to the command stats. One that does not know the command, as a
// proxy may not, says nothing.
func (t *text) stats(about string) (map[string]string, error) {
	if err := t.send(strings.TrimSpace("stats "+about) + "\r\n"); err != nil {
		return nil, err
	}
	all := make(map[string]string)
	for {
		line, err := t.line()
		if err != nil {
			return nil, err
		}
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "STAT":
			k, v, _ := strings.Cut(rest, " ")
			all[k] = v
		case word == "END", word == "ERROR":
			return all, nil
		default:
			return nil, errAnswer(line)
		}
	}
}

func (b *Backend) stats(ctx context.Context, s *server, about string) (map[string]string, error) {
	t, err := b.dial(ctx, s)
	if err != nil {
		return nil, err
	}
	defer t.close()
	return t.stats(about)
}

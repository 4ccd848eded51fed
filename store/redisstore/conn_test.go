package redisstore

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pair is a connection as the client has it, and the server's end.
func pair(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := newDialer(time.Second, nil).dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); server.Close() })
	return c.(*conn), server
}

// looked reports whether a look, as the client takes it, reaches the socket.
func looked(t *testing.T, c *conn) (reached bool) {
	t.Helper()
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(fd uintptr) bool {
		reached = true
		_, _, _ = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}); err != nil {
		t.Error(err)
	}
	return reached
}

// The connection of a subscriber is read by one goroutine while another pings, as go-redis does with
// a Sentinel that has been silent for three seconds.
func TestAConnectionThatIsReadAndPinged(t *testing.T) {
	c, server := pair(t)
	go io.Copy(server, server)
	var both sync.WaitGroup
	const pings = 100
	both.Go(func() {
		for range pings {
			c.SetWriteDeadline(time.Now().Add(time.Minute))
			if _, err := c.Write([]byte("p")); err != nil {
				t.Error(err)
			}
		}
	})
	both.Go(func() {
		for n := 0; n < pings; {
			c.SetReadDeadline(time.Now().Add(time.Minute))
			came, err := c.Read(make([]byte, pings))
			if n += came; err != nil {
				t.Error(err)
				return
			}
		}
	})
	both.Wait()
}

// A connection whose server has just spoken is used without a look; any other is looked at, with
// its deadline taken away.
func TestAConnectionIsTrustedForAMoment(t *testing.T) {
	c, server := pair(t)
	if !looked(t, c) {
		t.Error("a connection that never said anything is trusted")
	}
	for began := (time.Time{}); time.Since(began) >= trustedFor; { // until this program is quick
		began = time.Now()
		if _, err := server.Write([]byte("+OK\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if looked(t, c) && time.Since(began) < trustedFor {
			t.Error("the server has just spoken, and its connection is looked at")
		}
	}
	if err := c.SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * trustedFor)
	if !looked(t, c) {
		t.Error("the server spoke a while ago, and its connection is trusted")
	}
	if _, err := server.Write([]byte("+")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("after the look an old deadline is still there: %v", err)
	}
	server.Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	time.Sleep(2 * trustedFor)
	if !looked(t, c) {
		t.Error("a connection that has ended is trusted")
	}
}

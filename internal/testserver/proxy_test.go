package testserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echo is a server that says back what it hears.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { l.Close(); work.Wait() })
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	return l.Addr().String()
}

// client is connected through the proxy, and has been answered once.
func client(t *testing.T, p *FaultProxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	exchange(t, conn, "hello")
	return conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// exchange sends the text, and it must come back.
func exchange(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	send(t, conn, text)
	if got := receive(t, conn, len(text)); got != text {
		t.Fatalf("sent %q, got %q", text, got)
	}
}

func receive(t *testing.T, conn net.Conn, n int) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	got := make([]byte, n)
	n, err := io.ReadFull(conn, got)
	if err != nil {
		t.Fatalf("after %q: %v", got[:n], err)
	}
	return string(got)
}

// silent fails if something comes within a moment, even an end.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; nothing should come", n, err)
	}
}

// ends reads all until the connection ends, and returns how it ended: nil is an orderly end.
func ends(t *testing.T, conn net.Conn) (string, error) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	got, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("after %q the connection does not end", got)
	}
	return string(got), err
}

func TestPassing(t *testing.T) {
	p := Proxy(t, echo(t))
	conn := client(t, p)
	large := string(bytes.Repeat([]byte("0123456789abcdef"), 64<<10))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.WriteString(conn, large)
	}()
	if receive(t, conn, len(large)) != large {
		t.Error("a megabyte was changed on its way")
	}
	<-done
	client(t, p)
	if p.Connections() != 2 || p.Accepted() != 2 {
		t.Errorf("%d connections, %d accepted; want 2", p.Connections(), p.Accepted())
	}
	p.Drop()
	if got, err := ends(t, conn); got != "" || err != nil {
		t.Errorf("dropped: %q, %v", got, err)
	}
	client(t, p)
}

func TestRefusing(t *testing.T) {
	p := Proxy(t, echo(t))
	conn := client(t, p)
	for range 3 {
		p.Refuse()
		if _, err := net.Dial("tcp", p.Addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a new connection: %v", err)
		}
		if _, err := ends(t, conn); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("an old connection: %v", err)
		}
		p.Pass()
		conn = client(t, p)
	}
}

func TestHanging(t *testing.T) {
	p := Proxy(t, echo(t))
	old := client(t, p)
	p.Hang()
	young, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer young.Close()
	for _, conn := range []net.Conn{old, young} {
		send(t, conn, "are you there?")
		silent(t, conn)
	}
	p.Pass()
	for _, conn := range []net.Conn{old, young} {
		if got := receive(t, conn, 14); got != "are you there?" {
			t.Errorf("held back: %q", got)
		}
	}
}

// A network that is down tells nobody, and delivers late: what was sent when it is back, and what a
// client has sent that left meanwhile.
func TestSwallowing(t *testing.T) {
	heard := make(chan string, 10)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { l.Close(); work.Wait() })
	work.Go(func() {
		for range 2 {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				text, _ := io.ReadAll(conn)
				heard <- string(text)
			})
		}
	})
	p := Proxy(t, l.Addr().String())
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	stays, leaves := dial(), dial()
	p.Swallow()
	send(t, stays, "I stay")
	send(t, leaves, "I leave")
	leaves.Close()
	silent(t, stays)
	select {
	case text := <-heard:
		t.Fatalf("the server heard %q, or an end", text)
	case <-time.After(50 * time.Millisecond):
	}
	p.Pass()
	if text := <-heard; text != "I leave" {
		t.Errorf("the server heard %q", text)
	}
	stays.Close()
	if text := <-heard; text != "I stay" {
		t.Errorf("the server heard %q", text)
	}
}

func TestHangingHidesADeadServer(t *testing.T) {
	s := Redis(t)
	p := Proxy(t, s.Addr)
	idle, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	send(t, idle, "PING\r\n")
	receive(t, idle, len("+PONG\r\n"))
	p.Hang()
	conns := make([]net.Conn, 2)
	for i := range conns {
		var err error
		if conns[i], err = net.Dial("tcp", p.Addr); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
		send(t, conns[i], "PING\r\n")
		silent(t, conns[i])
		s.Kill() // after the first connection, before the second
		silent(t, conns[i])
	}
	silent(t, idle)
	p.Pass()
	if got, _ := ends(t, idle); got != "" {
		t.Errorf("asked nothing, a dead server says %q", got)
	}
	if got, _ := ends(t, conns[0]); got != "+PONG\r\n" {
		t.Errorf("it was asked while it lived: %q", got)
	}
	if got, _ := ends(t, conns[1]); got != "" {
		t.Errorf("a dead server says %q", got)
	}
}

func TestTrickling(t *testing.T) {
	p := Proxy(t, echo(t))
	conn := client(t, p)
	p.Trickle(100)
	begin := time.Now()
	exchange(t, conn, "0123456789")
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("10 bytes at 100 a second took %v", took)
	}
	p.Trickle(1)
	send(t, conn, "0123456789")
	silent(t, conn)
	p.Pass()
	begin = time.Now()
	receive(t, conn, 10)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("10 bytes passed took %v: the old mode lasts", took)
	}
}

func TestCutting(t *testing.T) {
	p := Proxy(t, echo(t))
	for _, n := range []int{0, 1, 7} {
		p.Pass()
		conn := client(t, p)
		p.CutAfter(n)
		send(t, conn, "0123456789")
		got, err := ends(t, conn)
		if got != "0123456789"[:n] || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("cut after %d: %q, %v", n, got, err)
		}
	}
	p.Pass()
	conn := client(t, p)
	p.CutAfter(7)
	exchange(t, conn, "012345")
	send(t, conn, "6")
	if got, err := ends(t, conn); got != "6" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("cut after two replies: %q, %v", got, err)
	}
}

func TestAltering(t *testing.T) {
	p := Proxy(t, echo(t))
	conn := client(t, p)
	p.Alter(func(reply []byte) []byte { return append(bytes.ToUpper(reply), '!') })
	send(t, conn, "hello")
	if got := receive(t, conn, 6); got != "HELLO!" {
		t.Errorf("%q", got)
	}
	p.Alter(func([]byte) []byte { return nil })
	send(t, conn, "hello")
	silent(t, conn)
}

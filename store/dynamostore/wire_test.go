package dynamostore

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

// sdkBody is a body that fails once it is closed, as the SDK's does.
type sdkBody struct {
	io.Reader
	closed bool
}

func (b *sdkBody) Read(p []byte) (int, error) {
	if b.closed {
		return 0, errors.New("closed")
	}
	return b.Reader.Read(p)
}

func (b *sdkBody) Close() error { b.closed = true; return nil }

// A request's body can be sent, and sent again, whatever the SDK does with its own.
func TestBodiesOutliveTheSDKs(t *testing.T) {
	const want = `{"Key": 1}`
	given := &sdkBody{Reader: strings.NewReader(want)}
	r, _ := http.NewRequest(http.MethodPost, "http://127.0.0.1/", given)
	r.ContentLength = int64(len(want))
	if err := ownBody(r); err != nil || !given.closed {
		t.Fatalf("ownBody: %v; closed: %t", err, given.closed)
	}
	again, err := r.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []io.Reader{r.Body, again} {
		if got, err := io.ReadAll(body); string(got) != want || err != nil {
			t.Errorf("the body is %q, %v; want %q", got, err, want)
		}
	}
	short, _ := http.NewRequest(http.MethodPost, "http://127.0.0.1/", strings.NewReader(want))
	short.ContentLength++
	if err := ownBody(short); err == nil {
		t.Error("a body that is shorter than its length is no error")
	}
}

// closing stands before a server, answers the first request of each connection, and closes the
// connection when the second has come.
func closing(tb testing.TB, server string) (address string, closed *atomic.Int64) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	closed = new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				from := bufio.NewReader(conn)
				if passOne(from, conn, server) != nil {
					return
				}
				if _, err := http.ReadRequest(from); err == nil {
					closed.Add(1)
				}
			}()
		}
	}()
	return l.Addr().String(), closed
}

// passOne passes one request to a server, and its answer back.
func passOne(from *bufio.Reader, back io.Writer, server string) error {
	r, err := http.ReadRequest(from)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	to, err := http.NewRequest(r.Method, "http://"+server+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	to.Header = r.Header
	res, err := http.DefaultClient.Do(to)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return res.Write(back)
}

// A connection that the server closes while a request is on its way: a read is made again on
// another, a write, which may have been done, is not.
func TestConnectionThatWasClosed(t *testing.T) {
	t.Parallel()
	c := shared(t)
	direct := open(t, c)
	mustSet(t, direct, "key", "v", time.Hour)
	address, closed := closing(t, testserver.SharedDynamoDB(t).Addr)
	c.Endpoint = "http://" + address
	b := unasked(t, c)
	for range 3 { // the second and the third meet a connection that is used
		if got := get(t, b, "key"); got != "v" {
			t.Errorf("Get: %q", got)
		}
	}
	if n := closed.Load(); n != 2 {
		t.Errorf("%d connections were closed; want 2", n)
	}
	err := b.Set(t.Context(), "key", []byte("w"), time.Hour)
	wantKind(t, "Set", err, store.KindTransient, "set")
	if got := get(t, direct, "key"); got != "v" {
		t.Errorf("a write was made again: %q", got)
	}
}

package httpstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/examples/httpstore/server"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

// raw answers each request with bytes of its own, and hangs up.
func raw(t *testing.T, answer string) *Backend {
	return over(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		buffered.Writer = bufio.NewWriter(conn)
		buffered.WriteString(answer)
		buffered.Flush()
	})
}

func TestOddAnswers(t *testing.T) {
	whole := string(noted([]byte("v"), time.Hour, time.Now()))
	for name, tt := range map[string]struct {
		answer string
		kind   store.ErrorKind
		says   string
	}{
		"nothing":    {"", store.KindTransient, ""},
		"garbage":    {"secret secret\r\n\r\n", store.KindTransient, "not what an HTTP server would say"},
		"no end":     {"HTTP/1.1 200 OK\r\nContent-Le", store.KindTransient, ""},
		"half of it": {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + whole, store.KindTransient, "cut short"},
		"half a chunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n" + whole,
			store.KindTransient, "cut short"},
		"no last chunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n" + whole + "\r\n",
			store.KindTransient, "cut short"},
		"bad chunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n", store.KindTransient, ""},
		"two lengths": {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nv", store.KindTransient,
			"not what an HTTP server would say"},
		"a huge length": {"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000\r\n\r\n", store.KindPermanent,
			"max_item_size allows no more"},
		"a long header": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("secret", 20_000) + "\r\n\r\n",
			store.KindTransient, "not what"},
		"compressed": {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 17\r\n\r\n" + whole,
			store.KindPermanent, `Content-Encoding "gzip"`},
		"a part": {"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-21/40\r\nContent-Length: 17\r\n\r\n" + whole,
			store.KindPermanent, "a part of the value"},
		"no content":   {"HTTP/1.1 204 No Content\r\n\r\n", store.KindPermanent, "status 204"},
		"not modified": {"HTTP/1.1 304 Not Modified\r\n\r\n", store.KindPermanent, "status 304"},
		"no status":    {"HTTP/1.1 999 secret\r\nContent-Length: 0\r\n\r\n", store.KindTransient, "status 999"},
	} {
		_, err := raw(t, tt.answer).Get(t.Context(), "key")
		wantKind(t, name, err, tt.kind, tt.says)
	}
}

// What is not ours, or not all of it, is a miss for a cache, and never a page.
func TestAnswersThatAreNoEntries(t *testing.T) {
	whole := string(noted([]byte("v"), time.Hour, time.Now()))
	for name, body := range map[string]string{
		"a page": "<html>Log in to the network</html>", "nothing": "", "half a note": whole[:10],
		"a note": whole[:noteSize], "another's": whole, "wrong length": whole + whole,
	} {
		b := over(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		corrupt := 0
		s := store.New(b, store.Options{OnCorrupt: func(string, error) { corrupt++ }})
		if _, err := s.Get(t.Context(), "page"); err != store.ErrNotFound || corrupt != 1 {
			t.Errorf("%s: %v, and %d corrupt values; want not found, 1", name, err, corrupt)
		}
		if found, err := b.Exists(t.Context(), "key"); !found || err != nil {
			t.Errorf("%s: Exists: %t, %v", name, found, err)
		}
		if _, ok := endOf([]byte(body)); !ok {
			_, err := b.TTL(t.Context(), "key")
			wantKind(t, name, err, store.KindPermanent, "another program's")
		}
	}
}

// Answers without an end are read no farther than a value may be long.
func TestAnEndlessAnswer(t *testing.T) {
	var sent atomic.Int64
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush() // of no length
		for r.Method == "GET" {
			n, err := w.Write(make([]byte, 32<<10))
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	c := patient(url)
	c.MaxItemSize = 1 << 20
	b := unasked(t, c)
	_, err := b.Get(t.Context(), "key")
	wantKind(t, "Get", err, store.KindPermanent, "more than 1048592 bytes")
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("%v is no store.ErrTooLarge", err)
	}
	if _, err := b.Exists(t.Context(), "key"); err != nil { // reads 16 bytes of it
		t.Errorf("Exists: %v", err)
	}
}

func TestStatuses(t *testing.T) {
	for status, tt := range map[int]struct {
		kind store.ErrorKind
		says string
	}{
		400: {store.KindPermanent, "status 400 Bad Request"},
		401: {store.KindAuthentication, "credentials"},
		402: {store.KindPermanent, "status 402"},
		403: {store.KindAuthentication, "credentials"},
		405: {store.KindPermanent, "is this a server that stores values"},
		407: {store.KindAuthentication, "credentials"},
		408: {store.KindTransient, "after 7s"},
		409: {store.KindPermanent, "is this a server that stores values"},
		413: {store.KindPermanent, "value too large"},
		418: {store.KindPermanent, "status 418"},
		425: {store.KindTransient, "after 7s"},
		429: {store.KindTransient, "status 429 Too Many Requests; it wants to be asked again after 7s"},
		500: {store.KindTransient, "status 500 Internal Server Error"},
		501: {store.KindPermanent, "status 501"},
		502: {store.KindTransient, "status 502"},
		503: {store.KindTransient, "after 7s"},
		504: {store.KindTransient, "status 504"},
		507: {store.KindPermanent, "value too large"},
		299: {store.KindPermanent, "status 299"},
		202: {store.KindPermanent, "status 202"},
		300: {store.KindPermanent, "status 300"},
	} {
		b := over(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			io.WriteString(w, "secret")
		})
		for call, err := range everyCall(t.Context(), b) {
			wantKind(t, fmt.Sprint(status, ": ", call), err, tt.kind, tt.says)
		}
	}
	for _, status := range []int{404, 410} { // misses, and no place for a value
		b := over(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
		for call, err := range everyCall(t.Context(), b) {
			switch call {
			case "get", "ttl":
				if err != store.ErrNotFound {
					t.Errorf("%d: %s: %v; want not found", status, call, err)
				}
			case "set", "health":
				wantKind(t, fmt.Sprint(status, ": ", call), err, store.KindPermanent, fmt.Sprint(status))
			default:
				if err != nil {
					t.Errorf("%d: %s: %v", status, call, err)
				}
			}
		}
	}
}

// A value that the server refuses for its length leaves nothing behind.
func TestTooLargeForTheServer(t *testing.T) {
	inner := values(t, server.Options{})
	for _, status := range []int{413, 507} {
		var full atomic.Bool
		b := over(t, func(w http.ResponseWriter, r *http.Request) {
			if full.Load() && r.Method == "PUT" {
				w.WriteHeader(status)
				return
			}
			inner.ServeHTTP(w, r)
		})
		mustSet(t, b, "key", "before", time.Hour)
		full.Store(true)
		err := b.Set(t.Context(), "key", []byte("after"), time.Hour)
		wantKind(t, "Set", err, store.KindPermanent, fmt.Sprint(status))
		if got := get(t, b, "key"); !errors.Is(err, store.ErrTooLarge) || got != "not found" {
			t.Errorf("%d: %v, and afterwards: %s", status, err, got)
		}
	}
}

// Object stores answer 204 to every DELETE.
func TestADeleteThatAlwaysSucceeds(t *testing.T) {
	inner := values(t, server.Options{})
	b := over(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "DELETE" {
			inner.ServeHTTP(httptest.NewRecorder(), r)
			return // 200
		}
		inner.ServeHTTP(w, r)
	})
	for _, want := range []bool{false, true, false} {
		if existed, err := b.Delete(t.Context(), "key"); existed != want || err != nil {
			t.Errorf("Delete: %t, %v; want %t", existed, err, want)
		}
		if !want {
			mustSet(t, b, "key", "v", time.Hour)
		}
		if want {
			if got := get(t, b, "key"); got != "not found" {
				t.Errorf("after Delete: %s", got)
			}
		}
	}
}

// A server that knows no ranges, nor lifetimes.
func TestAServerThatIgnoresRangesAndEnds(t *testing.T) {
	var mu sync.Mutex
	var kept []byte
	b := over(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == "PUT" {
			kept, _ = io.ReadAll(r.Body)
			return
		}
		w.Write(kept)
	})
	mustSet(t, b, "key", strings.Repeat("v", 100_000), 200*time.Millisecond)
	start := time.Now()
	if left, err := b.TTL(t.Context(), "key"); time.Since(start) < 100*time.Millisecond &&
		(left <= 0 || left > 200*time.Millisecond || err != nil) {
		t.Errorf("TTL: %v, %v", left, err)
	}
	for len(get(t, b, "key")) == 100_000 {
		time.Sleep(time.Millisecond)
	}
	if got := get(t, b, "key"); got != "not found" {
		t.Errorf("Get: %s", got)
	}
	if found, err := b.Exists(t.Context(), "key"); found || err != nil {
		t.Errorf("Exists: %t, %v", found, err)
	}
	if existed, err := b.Delete(t.Context(), "key"); existed || err != nil {
		t.Errorf("Delete: %t, %v", existed, err)
	}
	if _, err := b.TTL(t.Context(), "key"); err != store.ErrNotFound {
		t.Errorf("TTL: %v", err)
	}
}

// No call fails because the server has closed connections that nobody used.
func TestConnectionsThatWereClosed(t *testing.T) {
	s := httptest.NewServer(values(t, server.Options{}))
	defer s.Close()
	b := open(t, patient(s.URL))
	for range 20 {
		s.CloseClientConnections()
		mustSet(t, b, "key", "v", time.Hour)
		s.CloseClientConnections()
		if existed, err := b.Delete(t.Context(), "key"); !existed || err != nil {
			t.Errorf("Delete: %t, %v", existed, err)
		}
	}
}

func TestNobodyWaitsLongerThanAllowed(t *testing.T) {
	url := serve(t, values(t, server.Options{}))
	p := testserver.Proxy(t, strings.TrimPrefix(url, "http://"))
	p.Hang()
	b := unasked(t, patient("http://"+p.Addr))
	cause := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	_, err := b.Get(ctx, "key")
	wantKind(t, "cancelled", err, store.KindTimeout, "the client has gone")
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	err = b.Set(ctx, "key", []byte("v"), time.Hour)
	wantKind(t, "late", err, store.KindTimeout, "deadline exceeded")

	c := patient("http://" + p.Addr)
	c.Timeout = 20 * time.Millisecond
	for call, err := range everyCall(t.Context(), unasked(t, c)) {
		wantKind(t, call, err, store.KindTimeout, "no answer within 20ms", p.Addr)
	}
}

// A long value on a narrow way says nothing against the server.
func TestAnAnswerThatWasStillComing(t *testing.T) {
	for _, came := range []int{100, 100 << 10} {
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			w.Write(make([]byte, came))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
		c := patient(url)
		c.Timeout = 300 * time.Millisecond
		_, err := unasked(t, c).Get(t.Context(), "key")
		wantKind(t, "Get", err, store.KindTimeout)
		if got := errors.Is(err, store.ErrUnderway); got != (came > 64<<10) {
			t.Errorf("of %d bytes: %v; underway: %t", came, err, got)
		}
	}
}

func TestClose(t *testing.T) {
	asked := make(chan struct{})
	b := over(t, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	ended := make(chan error)
	go func() {
		_, err := b.Get(t.Context(), "key")
		ended <- err
	}()
	<-asked
	b.Close()
	err := <-ended
	wantKind(t, "a call in progress", err, store.KindPermanent, "the backend is closed")
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v is no os.ErrClosed", err)
	}
	for call, err := range everyCall(t.Context(), b) {
		wantKind(t, call, err, store.KindPermanent, "the backend is closed")
	}
}

func TestThePoolIsBounded(t *testing.T) {
	const pool, calls = 2, 12
	var now, most atomic.Int64
	arrived, leave := make(chan struct{}, calls), make(chan struct{})
	url, connections := counted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		arrived <- struct{}{}
		<-leave
		w.WriteHeader(404)
	}))
	c := patient(url)
	c.PoolSize = pool
	b := unasked(t, c)
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			if _, err := b.Get(t.Context(), "key"); err != store.ErrNotFound {
				t.Error(err)
			}
		})
	}
	for range pool {
		<-arrived
	}
	close(leave)
	all.Wait()
	if most.Load() != pool || connections.Load() != pool {
		t.Errorf("%d requests at once, over %d connections; want %d", most.Load(), connections.Load(),
			pool)
	}
}

package front

import (
	stdcontext "context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// Connections that come, stall, go, pipeline, upgrade and are shut down leave nothing behind, and
// no response is another one's.
func TestComingsAndGoings(t *testing.T) {
	clients, rounds := 50, 20
	if os.Getenv("FRESHET_TEST_SOAK") != "" {
		clients, rounds = 2000, 200
	}
	before := runtime.NumGoroutine()
	keeper := memstore.New(64 << 20)
	cache := middleware.New(keeper, middleware.Options{Log: slog.New(slog.DiscardHandler), StallTimeout: time.Second})
	mux := http.NewServeMux()
	mux.Handle("/", cache.With(policy.Policy{TTL: time.Second, StaleWhileRevalidate: time.Minute})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/long") {
				io.WriteString(w, strings.Repeat(r.URL.Path+"\n", 20<<10))
				return
			}
			io.WriteString(w, r.URL.Path)
		})))
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		nc, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		io.CopyN(nc, buf, 5)
	})
	srv := &http.Server{Handler: cache.Root(mux), ErrorLog: log.New(io.Discard, "", 0), IdleTimeout: time.Minute}
	s, err := new(Front).prepare(srv, cache)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(s.listen(l, nil)) }()
	var group sync.WaitGroup
	var whole, open atomic.Int64
	for i := range clients {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 7))
			for range rounds {
				open.Add(1)
				whole.Add(come(t, l.Addr().String(), rnd))
				open.Add(-1)
			}
		})
	}
	group.Wait()
	ctx, cancel := stdcontext.WithTimeout(background(), time.Minute)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != http.ErrServerClosed {
		t.Error(err)
	}
	if err := cache.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	keeper.Close()
	t.Log(whole.Load(), "responses,", s.answered(), "by the front")
	if s.answered() < uint64(clients*rounds/4) {
		t.Errorf("the front has answered %d", s.answered())
	}
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before it were %d", runtime.NumGoroutine(), before)
		}
	}
	if n, held := len(s.conns), cache.Stats(); n != 0 || held.Readers != 0 || held.ReadBytes != 0 {
		t.Errorf("left: %d connections, %+v", n, held)
	}
}

// come is one client's connection. It returns how many whole responses it has got.
func come(t *testing.T, address string, rnd *rand.Rand) (whole int64) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	c := &client{t, nc, nil}
	c.reset()
	for range 1 + rnd.IntN(8) {
		path := fmt.Sprint("/", rnd.IntN(20))
		switch rnd.IntN(12) {
		case 0: // a part of a head, and gone
			io.WriteString(nc, get(path)[:1+rnd.IntN(20)])
			return whole
		case 1: // a part, a pause, and the rest
			text := get(path)
			at := 1 + rnd.IntN(len(text)-1)
			io.WriteString(nc, text[:at])
			time.Sleep(time.Duration(rnd.IntN(3)) * time.Millisecond)
			io.WriteString(nc, text[at:])
			whole += c.wants(path)
		case 2: // several at once
			io.WriteString(nc, get(path)+get("/x"+path)+get(path))
			whole += c.wants(path) + c.wants("/x"+path) + c.wants(path)
		case 3: // content
			io.WriteString(nc, "POST /echo HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello")
			whole += c.wants("hello")
		case 4: // another protocol
			io.WriteString(nc, "GET /upgrade HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nGET /")
			all, _ := io.ReadAll(c.rd)
			if !strings.HasSuffix(string(all), "\r\n\r\nGET /") {
				t.Errorf("upgraded: %q", all)
			}
			return whole
		case 5: // a long page, and gone in the middle of it
			io.WriteString(nc, get("/long"+path))
			io.CopyN(io.Discard, nc, 1000)
			return whole
		case 6:
			path = "/long" + path
			io.WriteString(nc, get(path))
			whole += c.wants(strings.Repeat(path+"\n", 20<<10))
		default:
			io.WriteString(nc, get(path))
			whole += c.wants(path)
		}
		if t.Failed() {
			return whole
		}
	}
	return whole
}

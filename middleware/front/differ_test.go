package front

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// world is an app, served with or without a front.
type world struct {
	memory  *memory
	store   *memstore.Store
	cache   *middleware.Cache
	srv     *http.Server
	fronted bool
	front   *server // nil: there is none

	mu   sync.Mutex
	runs []string
}

func (w *world) run(r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = append(w.runs, fmt.Sprintf("%s %s %v", r.Method, r.RequestURI, r.Header))
}

// hits is how many hits the front has answered.
func (w *world) hits() int { return int(w.front.answered()) }

func (w *world) note(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = append(w.runs, text)
}

func (w *world) ran() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.runs) // a refresh runs beside the next request
	all := strings.Join(w.runs, "\n")
	w.runs = nil
	return all
}

// longText is longer than what net/http buffers, and than what one piece of a long body is.
var longText = strings.Repeat("0123456789abcdef", 10<<10)

// newWorld starts an app. Everything that it does is the same each time.
func newWorld(fronted bool, set func(*http.Server)) *world {
	w := &world{fronted: fronted, memory: newMemory(), store: memstore.New(256 << 20)}
	quiet := slog.New(slog.DiscardHandler)
	w.cache = middleware.New(w.store, middleware.Options{Log: quiet})
	minute := w.cache.With(policy.Policy{TTL: time.Minute})
	mux := http.NewServeMux()
	page := func(path string, h http.HandlerFunc) {
		mux.Handle(path, minute(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.run(r)
			h(rw, r)
		})))
	}
	page("/", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Etag", `"e"`)
		fmt.Fprintf(rw, "the page %s of %s", r.RequestURI, r.Host)
	})
	page("/v", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Vary", "Accept-Language")
		io.WriteString(rw, "in "+r.Header.Get("Accept-Language"))
	})
	page("/long", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		io.WriteString(rw, longText)
	})
	page("/swr", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Cache-Control", "max-age=2, stale-while-revalidate=100")
		io.WriteString(rw, "soon stale")
	})
	page("/lasting", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Cache-Control", "max-age=3000, stale-while-revalidate=100")
		io.WriteString(rw, "for long")
	})
	page("/none", func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(http.StatusNoContent) })
	page("/gone", func(rw http.ResponseWriter, r *http.Request) { http.Error(rw, "gone", http.StatusGone) })
	page("/cookie", func(rw http.ResponseWriter, r *http.Request) {
		http.SetCookie(rw, &http.Cookie{Name: "id", Value: "1"})
		io.WriteString(rw, "yours")
	})
	page("/nostore", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Cache-Control", "no-store")
		io.WriteString(rw, "new")
	})
	page("/slow", func(rw http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		io.WriteString(rw, "slow")
	})
	page("/body", func(rw http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%d bytes, %v", len(b), err)
	})
	mux.HandleFunc("/left", func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			w.note("left after 0s")
		case <-time.After(2 * time.Second):
		}
	})
	page("/flush", func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "first ")
		rw.(http.Flusher).Flush()
		io.WriteString(rw, "second")
	})
	page("/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/softly", func(rw http.ResponseWriter, r *http.Request) {
		for _, path := range []string{"/a", "/swr", "/long", "/lasting"} {
			w.cache.InvalidateURL(r.Context(), "http://example.com"+path, middleware.Soft)
		}
	})
	mux.HandleFunc("/hardly", func(rw http.ResponseWriter, r *http.Request) {
		w.cache.InvalidateURL(r.Context(), "http://example.com/a")
	})
	mux.HandleFunc("/hijack", func(rw http.ResponseWriter, r *http.Request) {
		w.run(r)
		nc, buf, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ntaken over: ")
		line, _ := buf.ReadString('\n')
		io.WriteString(nc, line)
	})
	w.srv = &http.Server{Handler: w.cache.Root(mux), ErrorLog: log.New(io.Discard, "", 0)}
	if set != nil {
		set(w.srv)
	}
	if !fronted {
		go w.srv.Serve(w.memory)
		return w
	}
	var err error
	if w.front, err = new(Front).prepare(w.srv, w.cache); err != nil {
		panic(err)
	}
	go w.srv.Serve(w.front.listen(w.memory, nil))
	return w
}

func (w *world) end() {
	w.srv.Close()
	w.cache.Shutdown(background())
	w.store.Close()
}

// talk is what a client sends: pieces, and after which of them it waits until nothing moves.
type talk struct {
	pieces []string
	waits  []bool
}

func (k talk) String() string {
	var b strings.Builder
	for i, piece := range k.pieces {
		fmt.Fprintf(&b, "%q", piece)
		if k.waits[i] {
			b.WriteString(" …")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// hear returns all that a client sees of a world that it talks to.
func (w *world) hear(k talk) string {
	c := w.memory.dial()
	for i, piece := range k.pieces {
		if piece != "" {
			c.send([]byte(piece))
		}
		if k.waits[i] {
			synctest.Wait()
		}
	}
	synctest.Wait()
	time.Sleep(1500 * time.Millisecond) // for what is slow
	synctest.Wait()
	text, closed := c.got()
	c.end()
	synctest.Wait()
	after, _ := c.got()
	return fmt.Sprintf("%s\n[closed: %v]%s\n[runs]\n%s", text, closed, strings.TrimPrefix(after, text), w.ran())
}

// words are what talks are made of.
var (
	targets = []string{
		"/a", "/a", "/a", "/b", "/v", "/long", "/swr", "/none", "/gone", "/cookie", "/nostore",
		"/slow", "/body", "/flush", "/panic", "/hijack", "/softly", "/hardly", "/a?q=1", "/%61",
		"//a", "/a/../b", "/a b", "a", "http://example.com/a", "*", "/a#f", "/\x00", "/é", "/a%zz",
		"example.com:80",
	}
	hosts = []string{
		"Host: example.com", "Host: example.com", "Host: example.com", "Host: EXAMPLE.com",
		"host: example.com", "Host:example.com", "Host: example.com:80", "Host:",
		"Host : example.com", "", "Host: example.com\r\nHost: example.org", "Host: a b",
		"Host: [::1]",
	}
	methods = []string{
		"GET", "GET", "GET", "GET", "HEAD", "POST", "get", "XGET", "OPTIONS", "PUT", "CONNECT",
		"TRACE",
	}
	versions = []string{
		" HTTP/1.1\r\n", " HTTP/1.1\r\n", " HTTP/1.1\r\n", " HTTP/1.1\r\n", " HTTP/1.0\r\n",
		" HTTP/1.1\n", "\r\n", " HTTP/2.0\r\n", " HTTP/1.1 \r\n", "  HTTP/1.1\r\n",
		" http/1.1\r\n",
	}
	extras = []string{
		"Accept: */*", "Accept-Language: de", "Accept-Language: en", "If-None-Match: \"e\"",
		"If-Modified-Since: Mon, 02 Jan 2006 15:04:05 GMT", "Range: bytes=1-3", "Range: bytes=2-",
		"Range: bytes=0-1,4-5", "Range: bytes=900000-", "Cookie: a=1", "Authorization: Basic YTpi",
		"Cache-Control: no-cache", "Cache-Control: only-if-cached", "Cache-Control: max-age=0",
		"Pragma: no-cache", "Connection: close", "Connection: keep-alive",
		"Connection: Upgrade\r\nUpgrade: websocket", "Content-Length: 0", "Content-Length: 5",
		"Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5", "Content-Length: +5",
		"Transfer-Encoding: chunked", "Transfer-Encoding: identity",
		"Transfer-Encoding: chunked\r\nContent-Length: 3", "Transfer-Encoding : chunked",
		"Expect: 100-continue", "Expect: nothing", " folded: x", "\tfolded", "X: a\r\n b",
		"X: \x00", "X: \x7f", "X\x00: a", "X(: a", ": a", "noColon", "X: a\rb", "X: é",
		"Trailer: X", "TE: trailers", "X-Forwarded-Proto: https",
		"User-Agent: " + strings.Repeat("u", 100), "X: " + strings.Repeat("v", 5000),
		"X: " + strings.Repeat("w", 64<<10), "Upgrade: h2c", "HTTP2-Settings: AAA",
	}
	bodies = []string{
		"", "", "", "hello", "hel", "5\r\nhello\r\n0\r\n\r\n", "\r\n", "\n", "X",
		"GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n",
	}
	ends = []string{
		"\r\n\r\n", "\r\n\r\n", "\r\n\r\n", "\r\n\r\n", "\r\n\r\n", "\r\n\r\n", "\n\n", "\r\n\n",
		"\r\n", "\r\r\n\r\n",
	}
)

func pick(rnd *rand.Rand, from []string) string { return from[rnd.IntN(len(from))] }

// plain is a choice that is mostly the first of a list.
func plain(rnd *rand.Rand, from []string, odd int) string {
	if rnd.IntN(100) >= odd {
		return from[0]
	}
	return pick(rnd, from)
}

func newTalk(rnd *rand.Rand) (k talk) {
	odd := []int{0, 5, 30}[rnd.IntN(3)]
	var text strings.Builder
	var cuts []int
	settled, settles := map[int]bool{}, false
	for range 1 + rnd.IntN(6) {
		method := plain(rnd, methods, 15+odd)
		target := targets[rnd.IntN(8)]
		if rnd.IntN(3) == 0 {
			target = targets[rnd.IntN(19)]
		}
		if rnd.IntN(100) < odd {
			target = pick(rnd, targets)
		}
		text.WriteString(method + " " + target + plain(rnd, versions, odd))
		text.WriteString(plain(rnd, hosts, odd))
		for range rnd.IntN(3) {
			if rnd.IntN(2) == 0 {
				text.WriteString("\r\n" + extras[rnd.IntN(17)])
			} else if rnd.IntN(100) < 10+odd {
				text.WriteString("\r\n" + pick(rnd, extras))
			}
		}
		text.WriteString(plain(rnd, ends, odd))
		if strings.HasPrefix(method, "P") || rnd.IntN(100) < odd {
			text.WriteString(pick(rnd, bodies))
		}
		if settles = target == "/swr" || target == "/softly"; rnd.IntN(10) > 0 || settles {
			cuts = append(cuts, text.Len())
		}
		if settles { // or a refresh runs beside the next request, and may answer it or not
			settled[text.Len()] = true
		}
	}
	all := text.String()
	for range rnd.IntN(4) * rnd.IntN(2) {
		cuts = append(cuts, rnd.IntN(len(all)+1))
	}
	return cut(all, cuts, func(at int) bool { return rnd.IntN(3) > 0 || settled[at] })
}

// cut makes a talk of a text that is cut in places.
func cut(all string, at []int, waits func(at int) bool) (k talk) {
	at = append(at, len(all))
	sortInts(at)
	from := 0
	for _, to := range at {
		if to > from {
			k.pieces = append(k.pieces, all[from:to])
			k.waits = append(k.waits, waits(to))
			from = to
		}
	}
	return k
}

// A client hears the same with the front and without, whatever it sends, and the same handlers run.
func TestNothingDiffers(t *testing.T) {
	rounds, seed := 150, uint64(time.Now().UnixNano())
	if os.Getenv("FRESHET_TEST_SOAK") != "" {
		rounds = 200_000
	}
	if n, err := strconv.Atoi(os.Getenv("FRESHET_FRONT_ROUNDS")); err == nil {
		rounds = n
	}
	if n, err := strconv.ParseUint(os.Getenv("FRESHET_SEED"), 10, 64); err == nil {
		seed = n
	}
	synctest.Test(t, func(t *testing.T) {
		with, without := newWorld(true, nil), newWorld(false, nil)
		defer with.end()
		defer without.end()
		rnd := rand.New(rand.NewPCG(seed, 1))
		for i := range rounds {
			k := newTalk(rnd)
			got := with.hear(k)
			if i%500 == 0 {
				t.Log(i, with.hits())
			}
			// the clock has gone on meanwhile: what is said of it is not compared
			if wanted := without.hear(k); timeless(got) != timeless(wanted) {
				t.Fatalf("seed %d, talk %d:\n%s\nwith the front:\n%.3000s\n\nwithout:\n%.3000s", seed, i, k, got, wanted)
			}
		}
		if with.hits() < rounds/4 {
			t.Errorf("%d hits were the front's", with.hits())
		}
	})
}

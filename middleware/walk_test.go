package middleware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// A walk is an app with a cache, in front of which clients of all kinds do what they like: they
// ask, insist, leave, stall, change and invalidate, over HTTP/1.1 and HTTP/2, while handlers hang,
// panic, stream and cut off. Each page says which version of it the handler saw, and for whom it
// was made. Time is the bubble's, so that a minute costs nothing.
type walk struct {
	t    *testing.T
	c    *Cache
	rand func(n int) int

	// varies: pages differ by language. The index of variants is locked while a distant store is
	// asked, and for who waits for a lock the bubble's time stands still.
	varies bool

	pages [6]walkPage

	entered, observed atomic.Int64
	running           atomic.Int64
}

type walkPage struct {
	version atomic.Int64 // of what the handler finds
	floor   atomic.Int64 // what is older was invalidated
}

// TestNoWalkFindsAFault lets many clients loose. Each request ends; nobody gets a page that was
// invalidated before it asked, another user's, or a cut one that looks whole; and in the end
// nothing is left: no handler, no fill, no byte of a budget.
func TestNoWalkFindsAFault(t *testing.T) {
	walks := 2 // on a store in memory, and on one that is far away
	if os.Getenv("FRESHET_TEST_SOAK") != "" {
		walks = 400
	}
	for seed := range walks {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { takeWalk(t, uint64(seed)) })
		})
	}
}

func takeWalk(t *testing.T, seed uint64) {
	var mu sync.Mutex
	source := rand.New(rand.NewPCG(seed, 9))
	w := &walk{t: t, rand: func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return source.IntN(n)
	}}
	w.varies = true
	memory := memstore.New(4 << 20)
	defer memory.Close()
	var s store.Store = memory
	if seed%3 == 1 {
		s, w.varies = &distant{memory, w.rand}, false
	}
	w.c = New(s, Options{Log: slog.New(slog.DiscardHandler), MaxFillBytes: 2 << 20,
		MaxReadBytes: 1 << 20, StallTimeout: 20 * time.Second, Observe: func(*http.Request, Event) {
			w.observed.Add(1)
		}})
	p := policy.Policy{
		MaxWait:              time.Duration(w.rand(3)) * time.Second,
		Timeout:              time.Duration(w.rand(2)*10) * time.Second,
		Retention:            time.Minute,
		StaleWhileRevalidate: time.Duration(w.rand(2)*5) * time.Second,
		StaleIfError:         time.Duration(w.rand(2)*5) * time.Second,
		MaxBody:              600 << 10, Key: policy.KeyOptions{DropParams: []string{"utm"}},
	}
	if seed%2 == 1 {
		p.TTL = 5 * time.Second
	}
	mount := w.c.With(p)(http.HandlerFunc(w.handle))
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.entered.Add(1)
		mount.ServeHTTP(rw, r)
	})
	if seed%4 != 0 {
		w.c.Root(app)
	}

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	connect, stop := pipeServer(app,
		&http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), Protocols: protocols})
	dial := func(context.Context, string, string) (net.Conn, error) { return connect(), nil }
	one := &http.Transport{DialContext: dial, DisableCompression: true}
	two := &http.Transport{DialContext: dial, DisableCompression: true,
		Protocols: new(http.Protocols)}
	two.Protocols.SetUnencryptedHTTP2(true)
	two.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}

	var clients sync.WaitGroup
	for range 25 {
		clients.Go(func() {
			client := &http.Client{Transport: []http.RoundTripper{one, two}[w.rand(2)],
				CheckRedirect: func(*http.Request, []*http.Request) error {
					return http.ErrUseLastResponse
				}}
			for range 25 {
				w.act(client)
				time.Sleep(time.Duration(w.rand(2000)) * time.Millisecond)
			}
		})
	}
	clients.Wait()
	time.Sleep(10 * time.Minute)
	one.CloseIdleConnections()
	two.CloseIdleConnections()
	stop()
	synctest.Wait()
	w.checkNothingIsLeft()
	if err := w.c.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func (w *walk) checkNothingIsLeft() {
	idle(w.t, w.c)
	want(w.t, "handlers left", w.running.Load(), 0)
	want(w.t, "on their way", w.c.coming.count.Load(), 0)
	want(w.t, "bodies read", w.c.fills.Pins.Len(), 0)
	want(w.t, "bytes read", w.c.fills.Pins.Used(), 0)
	want(w.t, "observed", w.observed.Load(), w.entered.Load())
}

// handle is the app's handler.
func (w *walk) handle(rw http.ResponseWriter, r *http.Request) {
	w.running.Add(1)
	defer w.running.Add(-1)
	n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	page := &w.pages[n]
	h := rw.Header()
	if r.Method == "POST" || r.Method == "DELETE" {
		v := page.version.Add(1)
		h.Set("X-Version", fmt.Sprint(v))
		if w.rand(3) == 0 {
			h.Set("Content-Location", r.URL.Path)
			h.Set("Cache-Control", "max-age=30")
		}
		h.Set("Content-Length", "7")
		io.WriteString(rw, "changed")
		return
	}
	user := ""
	if c, err := r.Cookie("user"); err == nil && n%3 == 0 {
		user = c.Value
	}
	lang := ""
	if n%2 == 1 && w.varies {
		h.Set("Vary", "Accept-Language")
		lang = r.Header.Get("Accept-Language")
	}
	v := page.version.Load()
	line := fmt.Sprintf("page=%d version=%d user=%s lang=%s.\n", n, v, user, lang)
	w.pause(r)
	tag := fmt.Sprintf(`"%d-%d-%s-%s"`, n, v, user, lang)
	h.Set("X-Line", strings.TrimSpace(line))
	switch w.rand(10) {
	case 0, 1, 2, 3:
		h.Set("Cache-Control", fmt.Sprintf("max-age=%d", w.rand(20)))
	case 4:
		h.Set("Cache-Control", "no-cache")
	case 5:
		h.Set("Cache-Control", "max-age=1, stale-while-revalidate=20, stale-if-error=20")
	case 6:
		h.Set("Cache-Control", "private, max-age=9")
	case 7:
		h.Add("Set-Cookie", "user="+user)
	}
	if user != "" {
		h.Set("Cache-Control", "private")
	}
	if w.rand(3) == 0 {
		rw.WriteHeader(http.StatusEarlyHints)
	}
	if w.rand(4) > 0 {
		h.Set("Etag", tag)
		if r.Header.Get("If-None-Match") == tag {
			rw.WriteHeader(http.StatusNotModified)
			return
		}
	}
	FromContext(r.Context()).Tag(fmt.Sprint("page", n))
	switch w.rand(24) {
	case 0:
		panic(http.ErrAbortHandler)
	case 1:
		http.Error(rw, line, http.StatusInternalServerError)
		return
	case 2:
		h.Set("X-Empty", "yes")
		return
	case 3:
		FromContext(r.Context()).Fail(errors.New("lost"))
		rw.WriteHeader(http.StatusBadGateway)
		return
	case 4:
		FromContext(r.Context()).NoStore()
	}
	body := bytes.Repeat([]byte(line), 1+walkSizes[(n+int(v))%len(walkSizes)]/len(line))
	if w.rand(3) == 0 {
		h.Set("Content-Type", "text/plain")
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(body))
		return
	}
	if w.rand(2) == 0 {
		h.Set("Content-Length", fmt.Sprint(len(body)))
	}
	for len(body) > 0 {
		p := body[:min(len(body), 1+w.rand(64<<10))]
		if _, err := rw.Write(p); err != nil && w.rand(2) == 0 {
			return
		}
		body = body[len(p):]
		switch w.rand(40) {
		case 0:
			rw.(http.Flusher).Flush()
			w.pause(r)
		case 1, 2:
			rw.(http.Flusher).Flush()
		case 3:
			w.pause(r)
		case 4:
			if w.rand(3) == 0 {
				panic(http.ErrAbortHandler)
			}
		}
	}
}

var walkSizes = [...]int{0, 300, 20 << 10, 60 << 10, 100 << 10, 400 << 10, 900 << 10}

// pause is how handlers hang: mostly not at all, some for longer than anybody waits, and some
// whatever their context says.
func (w *walk) pause(r *http.Request) {
	for_ := time.Duration(0)
	switch w.rand(12) {
	case 0, 1, 2:
		for_ = time.Duration(w.rand(3000)) * time.Millisecond
	case 3:
		for_ = time.Duration(w.rand(90)) * time.Second
	}
	if w.rand(2) == 0 {
		time.Sleep(for_)
		return
	}
	select {
	case <-r.Context().Done():
	case <-time.After(for_):
	}
}

// act is one thing that a client does.
func (w *walk) act(client *http.Client) {
	n := w.rand(len(w.pages))
	page := &w.pages[n]
	url := fmt.Sprint("http://example.com/", n)
	method := "GET"
	switch w.rand(40) {
	case 0:
		v := page.version.Add(1)
		if _, err := w.c.Invalidate(w.t.Context(), store.Mark{Kind: store.MarkTag,
			Name: fmt.Sprint("page", n)}); err != nil {
			w.t.Error(err)
		}
		raise(&page.floor, v)
		return
	case 1:
		v := page.version.Add(1)
		if _, err := w.c.InvalidateURL(w.t.Context(), url); err != nil {
			w.t.Error(err)
		}
		raise(&page.floor, v)
		return
	case 2:
		method = "POST"
	case 3:
		method = "DELETE"
	case 4, 5, 6, 7:
		method = "HEAD"
	}
	if w.rand(4) == 0 {
		url += fmt.Sprint("?utm=", w.rand(3))
	}
	floor := page.floor.Load()
	ctx, leave := context.WithCancel(w.t.Context())
	defer leave()
	if w.rand(4) == 0 {
		timer := time.AfterFunc(time.Duration(w.rand(5000))*time.Millisecond, leave)
		defer timer.Stop()
	}
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		w.t.Error(err)
		return
	}
	user := w.dress(r, n)
	res, err := client.Do(r)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if (method == "POST" || method == "DELETE") && res.StatusCode == 200 {
		v, _ := strconv.ParseInt(res.Header.Get("X-Version"), 10, 64)
		raise(&page.floor, v)
		io.Copy(io.Discard, res.Body)
		return
	}
	w.check(r, res, n, floor, user)
}

func raise(v *atomic.Int64, to int64) {
	for {
		old := v.Load()
		if old >= to || v.CompareAndSwap(old, to) {
			return
		}
	}
}

// dress gives a request what clients send, and returns who the user is.
func (w *walk) dress(r *http.Request, n int) (user string) {
	pick := func(of ...string) string { return of[w.rand(len(of))] }
	r.Header.Set("Accept-Language", pick("en", "de"))
	if user = pick("", "", "", "ann", "bob"); user != "" {
		r.Header.Set("Cookie", "user="+user)
	}
	switch w.rand(16) {
	case 0:
		r.Header.Set("Cache-Control", "no-cache")
	case 1:
		r.Header.Set("Cache-Control", "only-if-cached")
	case 2:
		r.Header.Set("Cache-Control", "no-store")
	case 3:
		r.Header.Set("Cache-Control", "max-stale")
	case 4, 5:
		r.Header.Set("Range", pick("bytes=0-99", "bytes=100-", "bytes=-5", "bytes=0-9,20-29",
			"bytes=999999-"))
	case 6:
		r.Header.Set("If-None-Match",
			fmt.Sprintf(`"%d-%d--%s"`, n, w.pages[n].version.Load(),
				r.Header.Get("Accept-Language")))
	case 7:
		r.Header.Set("Range", "bytes=0-99")
		r.Header.Set("If-Range", fmt.Sprintf(`"%d-%d--"`, n, w.pages[n].version.Load()))
	case 8:
		r.Header.Set("X-Long", strings.Repeat("x", 5000))
	}
	return user
}

// check looks at what a client got.
func (w *walk) check(r *http.Request, res *http.Response, n int, floor int64, user string) {
	where := func() string {
		return fmt.Sprintf("%s %s %v: %s %v", r.Method, r.URL, r.Header, res.Status, res.Header)
	}
	got, err := w.read(res)
	line := res.Header.Get("X-Line")
	if line == "" {
		return
	}
	var page int
	var version int64
	var who, lang string
	fields := strings.NewReplacer("page=", "", "version=", "", "user=", "", "lang=", "", ".",
		"").Replace(line)
	parts := strings.Split(fields, " ")
	page, _ = strconv.Atoi(parts[0])
	version, _ = strconv.ParseInt(parts[1], 10, 64)
	who, lang = parts[2], parts[3]
	switch {
	case page != n:
		w.t.Errorf("another page: %s", where())
	case version < floor:
		w.t.Errorf("version %d, and %d had been invalidated: %s", version, floor, where())
	case who != "" && who != user:
		w.t.Errorf("another user's page: %s", where())
	case lang != "" && lang != r.Header.Get("Accept-Language"):
		w.t.Errorf("another language: %s", where())
	}
	if err != nil || r.Method == "HEAD" || res.StatusCode >= 300 ||
		res.Header.Get("X-Empty") != "" {
		return
	}
	whole := bytes.Repeat([]byte(line+"\n"), 1+walkSizes[(n+int(version))%len(walkSizes)]/(len(line)+1))
	switch {
	case res.StatusCode == http.StatusOK && !bytes.Equal(got, whole):
		w.t.Errorf("%d of %d bytes look whole: %s", len(got), len(whole), where())
	case res.StatusCode == http.StatusPartialContent &&
		strings.HasPrefix(res.Header.Get("Content-Range"), "bytes "):
		var from, to, total int
		fmt.Sscanf(res.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total)
		if total != len(whole) || to >= total || !bytes.Equal(got, whole[from:to+1]) {
			w.t.Errorf("a wrong part: %s", where())
		}
	}
}

// read reads a response as fast, or as slowly, as its client does. Some leave in the middle.
func (w *walk) read(res *http.Response) (all []byte, err error) {
	switch w.rand(12) {
	case 0:
		time.Sleep(time.Duration(w.rand(60)) * time.Second)
	case 1:
		return nil, errors.New("left")
	case 2:
		for piece := make([]byte, 8<<10); err == nil; time.Sleep(time.Duration(w.rand(1000)) * time.Millisecond) {
			var n int
			n, err = res.Body.Read(piece)
			all = append(all, piece[:n]...)
		}
		if err == io.EOF {
			err = nil
		}
		return all, err
	}
	return io.ReadAll(res.Body)
}

// distant is a store that takes its time, and sometimes fails.
type distant struct {
	store.Store
	rand func(n int) int
}

func (d *distant) Local() bool { return false }

func (d *distant) travel(ctx context.Context) error {
	took := time.Duration(d.rand(20)) * time.Millisecond
	if d.rand(40) == 0 {
		took = time.Second
	}
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return ctx.Err()
	}
	if d.rand(60) == 0 {
		return errors.New("it failed")
	}
	return nil
}

func (d *distant) Get(ctx context.Context, key string) (*store.Entry, error) {
	if err := d.travel(ctx); err != nil {
		return nil, err
	}
	return d.Store.Get(ctx, key)
}

func (d *distant) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	if err := d.travel(ctx); err != nil {
		return err
	}
	return d.Store.Set(ctx, key, e, ttl)
}

func (d *distant) Delete(ctx context.Context, key string) error {
	if err := d.travel(ctx); err != nil {
		return err
	}
	return d.Store.Delete(ctx, key)
}

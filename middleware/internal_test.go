package middleware

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// boundedCache is a Cache whose fills may hold so many bytes together.
func boundedCache(t *testing.T, bytes int64, options ...Options) *Cache {
	s := memstore.New(64 << 20)
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	o.Log, o.MaxFillBytes = slog.New(slog.DiscardHandler), bytes
	c := New(s, o)
	t.Cleanup(func() {
		if err := c.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return c
}

// idle fails unless everything that fills take is given back, but for the parts that wait for
// others: they take as much of the budget as they hold.
func idle(t *testing.T, c *Cache) {
	t.Helper()
	c.parts.mu.Lock()
	held, waiting := c.parts.held, int64(0)
	for _, all := range c.parts.m {
		waiting += sizeOf(all)
	}
	c.parts.mu.Unlock()
	if used := c.fills.Budget.Used(); used != held || held != waiting {
		t.Errorf("%d bytes of the budget are left taken; the parts that wait hold %d, and %d count",
			used, waiting, held)
	}
	if n := len(c.refreshing); n != 0 {
		t.Errorf("%d refreshes are left counted", n)
	}
	if n := c.fills.Len(); n != 0 {
		t.Errorf("%d fills are left to be joined", n)
	}
}

// takesLate is a client that takes nothing until it is told to.
type takesLate struct {
	*httptest.ResponseRecorder
	until chan struct{}
}

func (w takesLate) Write(p []byte) (int, error) {
	<-w.until
	return w.ResponseRecorder.Write(p)
}

// What a reader still holds of a body counts when the run that made it is over: among what clients
// read.
func TestAStalledReaderHoldsItsPartOfTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := boundedCache(t, 4<<20)
		const size = 1 << 20
		goOn := make(chan struct{})
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Write(make([]byte, size/2))
			<-goOn
			w.Write(make([]byte, size/2))
		}))
		var leader, follower sync.WaitGroup
		leader.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		})
		synctest.Wait()
		stalled := takesLate{httptest.NewRecorder(), make(chan struct{})}
		follower.Go(func() { h.ServeHTTP(stalled, httptest.NewRequest("GET", "/", nil)) })
		synctest.Wait()
		close(goOn)
		leader.Wait()
		if used := c.fills.Pins.Used(); used < size || c.fills.Budget.Used() > 0 {
			t.Errorf("a stalled reader holds %d bytes, %d are counted, and %d more for the run",
				size, used, c.fills.Budget.Used())
		}
		close(stalled.until)
		follower.Wait()
		if got := stalled.Body.Len(); got != size {
			t.Errorf("the stalled reader got %d bytes, want %d", got, size)
		}
		idle(t, c)
	})
}

// A refresh whose turn comes when another has just ended is none any more.
func TestARefreshThatComesTooLate(t *testing.T) {
	for _, late := range []bool{true, false} {
		c := boundedCache(t, 1<<20)
		var runs atomic.Int64
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			runs.Add(1)
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "page")
		}))
		c.Root(h)
		r := httptest.NewRequest("GET", "/", nil)
		h.ServeHTTP(httptest.NewRecorder(), r)

		l := lookup{x: exchange{c: c, w: httptest.NewRecorder(), r: r, p: &policy.Policy{},
			who: h.(*Mount).who}}
		l.x.req.Mount, _ = c.tell(l.x.who, r, l.x.p)
		l.x.req.Read(r, l.x.p, nil)
		l.found = found{stored: stored{entry: &store.Entry{}}, flight: l.x.req.Key,
			ended: c.fills.Ended()}
		if late {
			l.found.ended-- // it found what was stale before the response came that is stored now
		}
		if !l.mayServeStale() {
			t.Error("a stale response may not be served while it is renewed")
		}
		l.startRefresh()
		if err := c.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int64{true: 1, false: 2}[late]; runs.Load() != want {
			t.Errorf("late %v: the handler ran %d times, want %d", late, runs.Load(), want)
		}
		if len(c.refreshing) > 0 {
			t.Errorf("late %v: the refresh holds its place", late)
		}
		if c.fills.Len() > 0 {
			t.Errorf("late %v: the refresh is still to be joined", late)
		}
	}
}

// Fills that together are beyond MaxFillBytes stream on, unstored, to the end; nothing of the
// budget is left taken, and what comes after is stored.
func TestFillsBeyondTheBudgetStreamOnUnstored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, budget, fills = 512 << 10, 1 << 20, 16
		c := boundedCache(t, budget)
		most := int64(0)
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			for range size / (32 << 10) {
				w.Write(make([]byte, 32<<10))
				time.Sleep(time.Millisecond)
			}
		}))
		ask := func(path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			return w
		}
		var all sync.WaitGroup
		for i := range fills {
			for range 2 { // one leads, one reads along
				all.Go(func() {
					if got := ask(fmt.Sprint("/", i)).Body.Len(); got != size {
						t.Errorf("fill %d: %d bytes, want %d", i, got, size)
					}
				})
			}
		}
		all.Go(func() {
			for range 2 * size / (32 << 10) {
				most = max(most, c.fills.Budget.Used())
				time.Sleep(500 * time.Microsecond)
			}
		})
		all.Wait()
		if most > budget || most < budget/2 {
			t.Errorf("all fills together held %d bytes, want up to %d", most, budget)
		}
		if stored := c.store.(*memstore.Store).Len(); stored > budget/size {
			t.Errorf("%d responses of %d bytes are stored, which all were filled at once within %d",
				stored, size, budget)
		}
		idle(t, c)
		ask("/after")
		if held := c.store.(*memstore.Store).Len(); held == 0 {
			t.Error("nothing is stored once the budget is free again")
		}
		idle(t, c)
	})
}

// Handlers that panic, exit, cut, flush and vary, clients that leave and stall, over a real server:
// no byte is another response's, nothing cut looks whole, and everything taken is given back.
func TestEverythingAtOnce(t *testing.T) {
	c := boundedCache(t, 1<<20)
	mux := http.NewServeMux()
	c.Root(mux)
	mux.Handle("/", c.With(policy.Policy{MaxBody: 200 << 10, Timeout: 200 * time.Millisecond})(
		http.HandlerFunc(erratic)))
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.Start()
	var all sync.WaitGroup
	stop := time.Now().Add(time.Second)
	for range 24 {
		all.Go(func() {
			for time.Now().Before(stop) {
				askErratic(t, srv.Client(), srv.URL)
			}
		})
	}
	all.Wait()
	srv.Close()
	if err := c.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	idle(t, c)
}

// erratic answers with so many bytes as X-Size says, all of which are X-Seed, in one of many ways.
func erratic(w http.ResponseWriter, r *http.Request) {
	size, seed := rand.IntN(400<<10), byte(rand.IntN(256))
	w.Header().Set("X-Seed", fmt.Sprint(seed))
	w.Header().Set("X-Size", fmt.Sprint(size))
	switch rand.IntN(4) {
	case 0:
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=1")
	case 1:
		w.Header().Set("Cache-Control", "max-age=1")
		w.Header().Set("Vary", "Accept")
	case 2:
		w.Header().Set("Cache-Control", "private")
	case 3:
		w.Header().Set("Cache-Control", "no-cache")
	}
	switch rand.IntN(20) {
	case 0:
		panic(http.ErrAbortHandler)
	case 1:
		w.Header().Set("Content-Length", fmt.Sprint(size))
	case 2:
		runtime.Goexit()
	}
	buf := make([]byte, 30<<10)
	for left := size; left > 0; {
		part := buf[:min(1+rand.IntN(len(buf)), left)]
		copy(part, bytes.Repeat([]byte{seed}, len(part)))
		if _, err := w.Write(part); err != nil {
			panic(http.ErrAbortHandler)
		}
		clear(part) // it is the handler's again
		left -= len(part)
		if rand.IntN(3) == 0 {
			w.(http.Flusher).Flush()
		}
		if rand.IntN(100) == 0 {
			panic(http.ErrAbortHandler)
		}
	}
}

// askErratic asks once, as one of many kinds of client, and looks at what it gets.
func askErratic(t *testing.T, client *http.Client, url string) {
	ctx, leave := context.WithTimeout(context.Background(),
		time.Duration(rand.IntN(400))*time.Millisecond)
	defer leave()
	method := "GET"
	switch n := rand.IntN(100); {
	case n < 10:
		method = "HEAD"
	case n < 11:
		method = "POST"
	}
	r, err := http.NewRequestWithContext(ctx, method, fmt.Sprint(url, "/", rand.IntN(6)), nil)
	if err != nil {
		t.Error(err)
		return
	}
	r.Header.Set("Accept", fmt.Sprint("a/", rand.IntN(2)))
	if rand.IntN(5) == 0 {
		r.Header.Set("Cookie", "a=b")
	}
	res, err := client.Do(r)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if rand.IntN(6) == 0 {
		time.Sleep(50 * time.Millisecond) // a slow one
	}
	got, err := io.ReadAll(res.Body)
	if err != nil || method == "HEAD" || res.StatusCode != 200 {
		return
	}
	var seed byte
	var size int
	fmt.Sscan(res.Header.Get("X-Seed"), &seed)
	fmt.Sscan(res.Header.Get("X-Size"), &size)
	if len(got) != size {
		t.Errorf("%s: %d of %d bytes look complete; %v", method, len(got), size, res.Header)
	}
	if same := bytes.Count(got, []byte{seed}); same != len(got) {
		t.Errorf("%s: %d of %d bytes are another response's; %v", method, len(got)-same, len(got),
			res.Header)
	}
}

// What is stored has its length as HTTP writes it, however the handler wrote it.
func TestAStoredLengthIsDigits(t *testing.T) {
	c := boundedCache(t, 1<<20)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", r.URL.RawQuery)
		w.Write([]byte("12345"))
	}))
	for _, declared := range []string{"5", "+5", "005", "-5", "five", ""} {
		for range 2 {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/?"+declared, nil))
			if got := w.Header()["Content-Length"]; len(got) != 1 || got[0] != "5" ||
				w.Body.String() != "12345" {
				t.Errorf("declared as %q: %q, %q", declared, got, w.Body)
			}
		}
	}
}

// A 304 has the fields that a 200 would have had, but for those that describe content (RFC 9110
// section 15.4.5), also where outer handlers have put fields into the header before.
func TestA304DescribesNoContent(t *testing.T) {
	c := boundedCache(t, 1<<20)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Cache-Control": "max-age=60", "Etag": `"1"`, "Content-Type": "text/plain",
			"Content-Language": "en", "Content-Length": "4",
			"Content-Location": "/page.en", "Vary": "Origin",
		} {
			w.Header().Set(name, value)
		}
		io.WriteString(w, "page")
	}))
	for _, outer := range []string{"", "X-Outer"} {
		for range 2 { // a miss and a hit, and two hits
			w := httptest.NewRecorder()
			if outer != "" {
				w.Header().Set(outer, "1")
			}
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("If-None-Match", `"1"`)
			h.ServeHTTP(w, r)
			got := w.Header()
			if w.Code != http.StatusNotModified || w.Body.Len() > 0 || got.Get("Etag") != `"1"` ||
				got.Get("Cache-Control") == "" || got.Get("Content-Location") == "" ||
				got.Get("Vary") == "" || outer != "" && got.Get(outer) != "1" {
				t.Errorf("got %d %q %v", w.Code, w.Body, got)
			}
			for name := range got {
				if describesContent(name) {
					t.Errorf("a 304 with %s", name)
				}
			}
		}
	}
}

// What is stored takes the memory that is counted, whatever outer handlers have put into the header
// of the response.
func TestStoredHeadersHaveNoRoomForOuterFields(t *testing.T) {
	const pages, outer = 4000, 40
	s := memstore.New(256 << 20)
	defer s.Close()
	c := New(s, Options{})
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "page")
	}))
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range pages {
		w := httptest.NewRecorder()
		for j := range outer {
			w.Header().Set(fmt.Sprint("X-Outer-", j), "1")
		}
		h.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprint("/", i), nil))
	}
	taken, counted := heap()-before, s.Bytes()
	if s.Len() != pages || taken > counted*5/4 {
		t.Errorf("%d pages take %d bytes, and %d are counted", s.Len(), taken, counted)
	}
	runtime.KeepAlive(h)
}

// What is stored lies together in memory, however it came: at once, as a stream, or renewed by a
// 304.
func TestWhatIsStoredIsPacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(1 << 20)
		defer s.Close()
		c := New(s, Options{})
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Etag", `"1"`)
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			io.WriteString(w, "page")
			if r.URL.Path == "/stream" {
				w.(http.Flusher).Flush()
			}
		}))
		for _, step := range []string{"made", "renewed"} {
			for _, path := range []string{"/page", "/stream"} {
				r := httptest.NewRequest("GET", path, nil)
				h.ServeHTTP(httptest.NewRecorder(), r)
				synctest.Wait()
				id, _ := c.tell(h.(*Mount).who, r, &obey)
				e, err := s.Get(t.Context(), "GET http://example.com"+path+" mount="+id)
				if err != nil {
					t.Fatal(err)
				}
				if _, packed := e.FieldsOf(e.Header); !packed || e.CurrentAge(time.Now()) != 0 {
					t.Errorf("%s, %s: packed %v, of age %v", path, step, packed,
						e.CurrentAge(time.Now()))
				}
			}
			time.Sleep(2 * time.Minute)
		}
	})
}

// The header that the leader's client gets is the stored one, which nobody writes to while those
// who read along have it, with outer fields or without. The race detector tells.
func TestTheLeaderSharesItsHeader(t *testing.T) {
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			c := boundedCache(t, 1<<20)
			h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Content-Type", "text/plain")
				time.Sleep(time.Second)
				io.WriteString(w, "page")
			}))
			var all sync.WaitGroup
			for i := range 40 {
				all.Go(func() {
					w := httptest.NewRecorder()
					if i > 0 {
						w.Header().Set("X-Outer", "1")
					}
					h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
					if got := w.Header(); w.Body.String() != "page" ||
						got.Get("Content-Length") != "4" || got.Get("Accept-Ranges") != "bytes" {
						t.Errorf("%q with %v", w.Body, got)
					}
				})
				if i == 0 {
					synctest.Wait() // it leads
				}
			}
			all.Wait()
		})
	}
}

// What has left is not found among what is on its way, and what took its place still is.
func TestWhatIsOnItsWayLeaves(t *testing.T) {
	var s coming
	first, second := &store.Entry{Key: "k"}, &store.Entry{Key: "k"}
	s.enter(first)
	s.enter(second)
	s.leave(first)
	if s.shard("k").find("k") != second {
		t.Error("the newer one has gone with the older")
	}
	s.leave(second)
	if e := s.shard("k").find("k"); e != nil || !s.none() {
		t.Errorf("all have left, and %v is still found", e)
	}
}

// A lock that nobody has or waits for takes no memory.
func TestKeyLocksAreForgotten(t *testing.T) {
	var locks keyLocks
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			lock, ok := locks.lock("k", time.Minute)
			if !ok {
				t.Error("the lock is not free within a minute")
				return
			}
			lock.unlock()
		})
	}
	all.Wait()
	for i := range locks.shards {
		if n := len(locks.shards[i].held); n > 0 {
			t.Errorf("%d locks are kept", n)
		}
	}
}

// A client that gets all of a long body counts as its reader, whatever its conditions were; one
// that gets none does not.
func TestWhoHoldsALongBody(t *testing.T) {
	c := boundedCache(t, 1<<20)
	e := &store.Entry{Key: "k", Status: 200, Header: http.Header{"Etag": {`"a"`}},
		Body: make([]byte, bigBody+1)}
	for _, s := range []struct {
		method, ifNoneMatch string
		holds               bool
	}{{"GET", "", true}, {"GET", `"b"`, true}, {"GET", `"a"`, false}, {"HEAD", "", false}} {
		r := httptest.NewRequest(s.method, "/", nil)
		if s.ifNoneMatch != "" {
			r.Header.Set("If-None-Match", s.ifNoneMatch)
		}
		x := exchange{c: c, w: httptest.NewRecorder(), r: r, p: &policy.Policy{}}
		x.req.Read(r, x.p, nil)
		h, ok := x.hold(e, time.Now())
		if !ok || (h.pin != nil) != s.holds {
			t.Errorf("%v: counted %v, %v; want %v", s, h.pin != nil, ok, s.holds)
		}
		x.letGo(h)
	}
	x := exchange{c: c, w: httptest.NewRecorder(), r: httptest.NewRequest("GET", "/", nil),
		p: &policy.Policy{}}
	if h, _ := x.hold(&store.Entry{Key: "short", Status: 200, Body: make([]byte, bigBody)},
		time.Now()); h.pin != nil {
		t.Errorf("a body of %d bytes is counted", bigBody)
	}
}

// A fill whose response turned out to be private, or that failed, is of no use to who comes only
// then; one that nobody knows of yet may be.
func TestWhichFillsAreJoined(t *testing.T) {
	l := lookup{x: exchange{c: boundedCache(t, 1<<20)}}
	for s, fits := range map[fill.Stage]bool{fill.StageAsked: true, fill.StagePrivate: false,
		fill.StageFailed: false} {
		f := l.x.c.fills.New(fill.Start{})
		f.Decide(fill.Answer{Stage: s})
		if l.fits(f, time.Now()) != fits {
			t.Errorf("stage %d: fits is %v, want %v", s, !fits, fits)
		}
	}
}

// What is asked for is what is answered: under its key, a response that can be sent, or an index.
func TestWhatIsOurs(t *testing.T) {
	for _, s := range []struct {
		e    *store.Entry
		ours bool
	}{
		{nil, false}, {&store.Entry{Key: "other", Status: 200}, false},
		{&store.Entry{Key: "k", Status: 199}, false}, {&store.Entry{Key: "k", Status: 200}, true},
		{&store.Entry{Key: "k", Status: 999}, true}, {&store.Entry{Key: "k", Status: 1000}, false},
		{&store.Entry{Key: "k", Variants: [][]string{{"A"}}}, true},
	} {
		if got := ours(s.e, "k"); got != s.ours {
			t.Errorf("%+v: %v", s.e, got)
		}
	}
}

// A run whose answer is for one client is out of the flights at once, however long that client
// takes.
func TestAPrivateRunIsOutOfTheFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := boundedCache(t, 1<<20)
		goOn := make(chan struct{})
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			w.Write(make([]byte, 2*HoldBack))
			<-goOn
		}))
		var leader sync.WaitGroup
		leader.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		})
		synctest.Wait()
		idle(t, c)
		close(goOn)
		leader.Wait()
	})
}

// A body takes of the budget what it needs, and a little more only when that is not enough: one
// that just fits is stored.
func TestABodyThatJustFitsTheBudget(t *testing.T) {
	for budget, stored := range map[int64]int{72 << 10: 1, 72<<10 - 1: 0} {
		c := boundedCache(t, budget)
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			for _, n := range []int{40 << 10, 24 << 10, 8 << 10} {
				w.Write(make([]byte, n))
			}
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		if n := c.store.(*memstore.Store).Len(); n != stored {
			t.Errorf("%d bytes of budget: %d are stored, want %d", budget, n, stored)
		}
		idle(t, c)
	}
}

// What is left of a policy for paths that are left out is made once.
func TestWhatIsLeftOfAPolicyIsMadeOnce(t *testing.T) {
	var l leaveOut
	p := &policy.Policy{TTL: time.Minute}
	if first := l.of(p); first != l.of(p) || first.TTL != 0 {
		t.Errorf("it is made anew: %+v", first)
	}
	for range maxLeft - 2 {
		l.of(&policy.Policy{})
	}
	last, more := &policy.Policy{}, &policy.Policy{}
	if l.of(last) != l.of(last) || l.of(more) == l.of(more) {
		t.Errorf("those of %d policies are not what is remembered", maxLeft)
	}
}

// What the client of a refresh was answered is the first final status.
func TestWhatARefreshIsAnswered(t *testing.T) {
	for _, s := range []struct {
		codes   []int
		refused bool
	}{
		{[]int{103, 503}, true}, {[]int{200, 500}, false}, {[]int{500, 200}, true},
		{[]int{429}, true}, {[]int{404}, false}, {nil, false},
	} {
		w := &nowhere{header: http.Header{}}
		for _, code := range s.codes {
			w.WriteHeader(code)
		}
		if w.refused() != s.refused {
			t.Errorf("%v: refused is %v", s.codes, !s.refused)
		}
	}
}

// The URLs that late handlers came to are remembered up to a bound.
func TestHowManyURLsOfLateHandlersAreRemembered(t *testing.T) {
	ms := mounts{byURL: map[uint64]sighting{}}
	for i := range maxLate + 1 {
		if !ms.tells(&identity{named: "page"}, httptest.NewRequest("GET", fmt.Sprint("/", i),
			nil)) {
			t.Fatalf("URL %d: handlers that come to URLs of their own are taken for made anew", i)
		}
	}
	if n := len(ms.byURL); n != maxLate {
		t.Errorf("%d URLs are remembered, want %d", n, maxLate)
	}
}

// What is on its way to the store is not hidden by the response of a run that began earlier and was
// overtaken: who was served the newer one would be served the older one next.
func TestAnOvertakenEntryOnItsWay(t *testing.T) {
	began := time.Now()
	older := &store.Entry{Key: "k", Requested: began}
	newer := &store.Entry{Key: "k", Requested: began.Add(time.Second)}
	for _, order := range [][]*store.Entry{{older, newer}, {newer, older}} {
		var s coming
		for _, e := range order {
			s.enter(e)
		}
		if got := s.shard("k").find("k"); got != newer {
			t.Errorf("found %+v, want the newer one", got)
		}
		s.leave(older)
		if got := s.shard("k").find("k"); got != newer {
			t.Errorf("when the older one has left: %+v, want the newer one", got)
		}
		s.leave(newer)
		if got := s.shard("k").find("k"); got != nil || !s.none() {
			t.Errorf("when both have left: %+v", got)
		}
	}
}

package servertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/open"
)

// The environment of an app of TestPurgeUntilGone.
const (
	goneStore = "FRESHET_TEST_GONE_STORE" // the URL of its store
	goneRedis = "FRESHET_TEST_GONE_REDIS" // host:port of the server
	goneRate  = "FRESHET_TEST_GONE_RATE"  // how many requests a second it gets
)

const (
	goneHost    = "gone.example"
	goneChannel = "freshet-test-floor"
	goneLook    = 50 * time.Microsecond // between two looks at a page that is to be gone
)

// goneApp is a process of TestPurgeUntilGone: an app with a cache under load, a door by which it
// purges and watches, and beside it a bare client of the same server, which publishes and hears.
type goneApp struct {
	cache *middleware.Cache
	site  http.Handler
	bare  *redis.Client

	mu    sync.Mutex
	heard map[string]chan time.Time // when a message of the bare client's came

	made, failed atomic.Int64 // requests of the load
}

// span is when something that the test had an app do began and ended, by the machine's clock.
type span struct{ Began, Ended int64 }

func (s *span) answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(s)
}

func serveGoneApp() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := open.URL(ctx, os.Getenv(goneStore), open.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	a := &goneApp{heard: map[string]chan time.Time{},
		cache: middleware.New(s, middleware.Options{StoreTimeout: time.Minute, MaxLag: time.Hour}),
		bare:  redis.NewClient(&redis.Options{Addr: os.Getenv(goneRedis)})}
	defer a.bare.Close()
	page := a.cache.With(policy.Policy{TTL: time.Hour, Shared: true})
	site := http.NewServeMux()
	site.Handle("/pages/", page(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(make([]byte, 4096))
	})))
	site.HandleFunc("POST /purge", a.purge)
	site.HandleFunc("GET /watch", a.watch)
	site.HandleFunc("POST /publish", a.publish)
	site.HandleFunc("GET /heard", a.hears)
	site.HandleFunc("GET /load", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, a.made.Load(), " ", a.failed.Load())
	})
	a.site = a.cache.Root(site)
	var work sync.WaitGroup
	sub := a.bare.Subscribe(ctx, goneChannel)
	work.Go(func() { a.listen(sub) })
	if rate, _ := strconv.Atoi(os.Getenv(goneRate)); rate > 0 {
		work.Go(func() { a.load(ctx, rate) })
	}
	testserver.ServeApp(a.site)
	cancel()
	sub.Close()
	work.Wait()
	return a.cache.Shutdown(context.Background())
}

// load gets pages from the app itself, by the network, rate times a second.
func (a *goneApp) load(ctx context.Context, rate int) {
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	due := make(chan int)
	var work sync.WaitGroup
	defer work.Wait()
	defer close(due)
	for range 8 {
		work.Go(func() {
			for n := range due {
				if err := goneGet(transport, testserver.AppURL(), fmt.Sprint("/pages/", n%100)); err != nil {
					a.failed.Add(1)
				}
				a.made.Add(1)
			}
		})
	}
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for began, n := time.Now(), 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for ; n < int(time.Since(began).Seconds()*float64(rate)); n++ { // a ticker drops what is late
			due <- n
		}
	}
}

func goneGet(client http.RoundTripper, app, path string) error {
	r, err := http.NewRequest("GET", app+path, nil)
	if err != nil {
		return err
	}
	r.Host = goneHost
	res, err := client.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return err
}

func (a *goneApp) purge(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	_, err := a.cache.InvalidateURL(r.Context(), "http://"+goneHost+r.FormValue("page"))
	s := span{began.UnixNano(), time.Now().UnixNano()}
	s.answer(w, err)
}

// watch answers at once that it looks, and again when the page is gone: a client that wants what is
// stored, or nothing, gets nothing.
func (a *goneApp) watch(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	looks := httptest.NewRequest("GET", r.FormValue("page"), nil)
	looks.Host = goneHost
	looks.Header.Set("Cache-Control", "only-if-cached")
	for n := 0; ; n++ {
		got := httptest.NewRecorder()
		a.site.ServeHTTP(got, looks)
		switch {
		case got.Code == http.StatusGatewayTimeout && n > 0:
			s := span{began.UnixNano(), time.Now().UnixNano()}
			s.answer(w, nil)
			return
		case got.Code != http.StatusOK || r.Context().Err() != nil:
			fmt.Fprintf(w, "%q: status %d at look %d, %v", r.FormValue("page"), got.Code, n, r.Context().Err())
			return
		case n == 0:
			http.NewResponseController(w).Flush()
		}
		nap(goneLook)
	}
}

func (a *goneApp) publish(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	err := a.bare.Publish(r.Context(), goneChannel, r.FormValue("message")).Err()
	s := span{began.UnixNano(), time.Now().UnixNano()}
	s.answer(w, err)
}

// message returns where it is told when a message comes.
func (a *goneApp) message(text string) chan time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.heard[text]
	if c == nil {
		c = make(chan time.Time, 1)
		a.heard[text] = c
	}
	return c
}

func (a *goneApp) listen(sub *redis.PubSub) {
	for m := range sub.Channel() {
		came := time.Now()
		a.message(m.Payload) <- came
	}
}

// hears answers at once that it listens, and again when a message of the bare client's has come.
func (a *goneApp) hears(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).Flush()
	select {
	case came := <-a.message(r.FormValue("message")):
		s := span{Ended: came.UnixNano()}
		s.answer(w, nil)
	case <-r.Context().Done():
	}
}

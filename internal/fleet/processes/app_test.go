package processes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/open"
	_ "github.com/freshet-go/freshet/store/pgstore"
	_ "github.com/freshet-go/freshet/store/redisstore"
)

func TestMain(m *testing.M) {
	if testserver.IsApp() {
		if err := app(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	testserver.Main(m)
}

// The environment of an app.
const (
	envStore    = "FRESHET_TEST_STORE"    // the URL of its store
	envDatabase = "FRESHET_TEST_DATABASE" // of what its pages are made from
	envSpool    = "FRESHET_TEST_SPOOL"    // its Options.SpoolFolder
	envName     = "FRESHET_TEST_NAME"     // its Options.ProcessName
)

// patienceOfApps is the apps' Options.MaxLag, which is more than a second, for so often they ask the
// journal; and how long they wait for the server. Those that are tested for hours share the machine
// with others.
func patienceOfApps() (maxLag, timeout time.Duration) {
	if soak() {
		return 3 * time.Second, time.Second
	}
	return 1500 * time.Millisecond, 500 * time.Millisecond
}

// site is the host of the app, at whichever process.
const site = "site.example"

// app is a user's app: pages that a database has, a POST that changes one, and a door by which the
// test purges.
func app() error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	maxLag, timeout := patienceOfApps()
	s, err := open.URL(context.Background(), os.Getenv(envStore), open.Options{Log: log,
		Near: 1 << 20, Guard: guardstore.Options{Timeout: timeout, SetTimeout: timeout}})
	if err != nil {
		return err
	}
	defer s.Close()
	cache := freshet.New(s, freshet.Options{
		MaxLag:         maxLag,
		StoreTimeout:   timeout,
		ReadYourWrites: freshet.ReadYourWrites{Keys: [][]byte{[]byte("sixteen random bytes, or more")}},
		SpoolFolder:    os.Getenv(envSpool),
		ProcessName:    os.Getenv(envName),
		Log:            log,
	})
	pages := cache.With(freshet.Policy{TTL: time.Hour, Shared: true, Tags: []string{"pages"}})
	purges := purger{cache: cache, receipts: map[string]freshet.Receipt{}}
	mux := http.NewServeMux()
	mux.Handle("/pages/", pages(http.HandlerFunc(page)))
	mux.HandleFunc("POST /purge", purges.purge)
	mux.HandleFunc("GET /wait", purges.wait)
	testserver.ServeApp(cache.Root(mux))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return cache.Shutdown(ctx)
}

// page answers with what the database says of the page, now and then slowly. It passes a change on.
func page(w http.ResponseWriter, r *http.Request) {
	time.Sleep(latency())
	ask, err := http.NewRequestWithContext(r.Context(), r.Method, os.Getenv(envDatabase)+r.URL.Path, nil)
	if err != nil {
		panic(err)
	}
	res, err := http.DefaultClient.Do(ask)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	time.Sleep(latency())
	io.Copy(w, res.Body)
}

func latency() time.Duration {
	if rand.IntN(10) > 0 {
		return 0
	}
	return rand.N(50 * time.Millisecond)
}

// purger invalidates, and waits for receipts.
type purger struct {
	cache *freshet.Cache

	mu       sync.Mutex
	receipts map[string]freshet.Receipt
}

// purgeAnswer is what the test hears of a purge.
type purgeAnswer struct {
	Number  uint64 // 0: the journal did not take it
	Spooled bool   // then the disk did
	Wait    string // the path by which to wait for its receipt
}

func (p *purger) purge(w http.ResponseWriter, r *http.Request) {
	var receipt freshet.Receipt
	var err error
	switch url := "http://" + site + r.FormValue("page"); r.FormValue("by") {
	case "url":
		receipt, err = p.cache.InvalidateURL(r.Context(), url)
	case "tag":
		receipt, err = p.cache.InvalidateTag(r.Context(), "pages")
	case "prefix":
		receipt, err = p.cache.InvalidatePrefix(r.Context(), "http://"+site+"/pages/")
	default:
		err = fmt.Errorf("purge by %q", r.FormValue("by"))
	}
	if err != nil && !errors.Is(err, freshet.ErrUnsent) {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	p.mu.Lock()
	id := strconv.Itoa(len(p.receipts))
	p.receipts[id] = receipt
	p.mu.Unlock()
	spooled := err != nil && !strings.Contains(err.Error(), "could not be spooled")
	json.NewEncoder(w).Encode(purgeAnswer{receipt.Number, spooled, "/wait?of=" + id})
}

func (p *purger) wait(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	receipt := p.receipts[r.FormValue("of")]
	p.mu.Unlock()
	if err := receipt.Wait(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusGatewayTimeout)
	}
}

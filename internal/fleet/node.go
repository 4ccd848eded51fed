package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/tieredstore"
)

// database is what the pages are made from: the version of each, which every node reads and writes
// without faults.
type database struct {
	mu       sync.Mutex
	versions map[string]int
}

func (d *database) read(key string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.versions[key]
}

func (d *database) change(key string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.versions[key]++
	return d.versions[key]
}

// node is a process of the app.
type node struct {
	name  string
	link  *link
	cache *middleware.Cache
	app   http.Handler
	dead  atomic.Bool // it was killed, or has ended: nobody asks it any more
	died  time.Time   // when
}

// noteReceipt tells who posts what number the journal gave the invalidation.
func noteReceipt(r *http.Request, e middleware.Event) {
	if number, ok := r.Context().Value(receiptOf{}).(*uint64); ok {
		*number = e.Receipt.Number
	}
}

type receiptOf struct{}

// writeKeys sign what clients have written.
var writeKeys = [][]byte{[]byte("sixteen random bytes, or more")}

// everyPage is the policy of all pages.
var everyPage = &policy.Policy{TTL: time.Hour, Shared: true, Tags: []string{"pages"}}

// maxLag is the nodes' Options.MaxLag: more than a second, for so often they ask the journal.
const maxLag = 2 * time.Second

func newNode(name string, s *server, d *database, seed uint64, log slog.Handler) *node {
	dice := rand.New(rand.NewPCG(seed, 1))
	n := &node{name: name, link: newLink(s, rand.New(rand.NewPCG(seed, 2)))}
	quiet := slog.New(slog.DiscardHandler)
	far := guardstore.New(store.New(n.link, store.Options{}), guardstore.Options{Log: quiet})
	n.cache = middleware.New(tieredstore.New(newNear(), far, tieredstore.Options{}),
		middleware.Options{MaxLag: maxLag, ReadYourWrites: middleware.ReadYourWrites{Keys: writeKeys},
			Observe: noteReceipt,
			Log:     slog.New(log).With("node", name),
			Policy:  func(*http.Request) *policy.Policy { return everyPage }})
	var mu sync.Mutex
	n.app = n.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == composed {
			part := httptest.NewRecorder()
			n.app.ServeHTTP(part, httptest.NewRequestWithContext(r.Context(), "GET",
				pageURL(composed+partOf), nil))
			w.Write(part.Body.Bytes())
			return
		}
		mu.Lock()
		before, after := latency(dice), latency(dice)
		mu.Unlock()
		time.Sleep(before)
		version := d.read(strings.TrimSuffix(r.URL.Path, partOf))
		time.Sleep(after)
		fmt.Fprint(w, version)
	}))
	return n
}

// latency is mostly little.
func latency(dice *rand.Rand) time.Duration {
	d := time.Duration(dice.Int64N(int64(2 * time.Millisecond)))
	if dice.IntN(10) == 0 {
		d += time.Duration(dice.Int64N(int64(400 * time.Millisecond)))
	}
	return d
}

// composed is the key of a page that is made of a part, which is a page of its own below it.
const (
	composed = "/c"
	partOf   = "/part"
)

// invalidate invalidates a page, and its part with it.
func (n *node) invalidate(ctx context.Context, key string) (middleware.Receipt, error) {
	if key == composed {
		return n.cache.InvalidatePrefix(ctx, pageURL(key))
	}
	return n.cache.InvalidateURL(ctx, pageURL(key))
}

func pageURL(key string) string { return "http://a.example" + key }

// get asks the node for a page, and returns its version and how the cache answered.
func (n *node) get(key, token string) (version int, how string) {
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", pageURL(key), nil)
	if token != "" {
		r.Header.Set("Cookie", token)
	}
	n.app.ServeHTTP(w, r)
	version, err := strconv.Atoi(w.Body.String())
	if err != nil {
		return -1, fmt.Sprintf("status %d, body %.50q", w.Code, w.Body.String())
	}
	return version, strings.TrimPrefix(w.Header().Get("Cache-Status"), "Freshet; ")
}

// end shuts the node down, in bounded time.
func (n *node) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return n.cache.Shutdown(ctx)
}

package admin

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
)

// Watch is what a door sees of a Cache's requests: it counts them, and remembers which pages are
// made and asked for most. Its memory is bounded. It is safe for concurrent use.
//
// While nobody looks, a hit costs what a metrics.Meter takes to count it, and a miss a little more.
type Watch struct {
	meter  *metrics.Meter
	misses ranking // every miss, by what its handler took
	served ranking // one of sampleHits hits, while somebody looks
	hits   atomic.Uint64
	looks  atomic.Int64 // until when somebody looks, in nanoseconds since 1970

	mu        sync.Mutex
	listeners map[*listener]bool
	many      atomic.Int32 // of listeners
}

const (
	sampleHits = 16
	lookFor    = time.Minute
)

// NewWatch returns a Watch that has seen nothing.
func NewWatch() *Watch {
	return &Watch{meter: metrics.New(), listeners: map[*listener]bool{}}
}

// Meter returns the Watch's Meter, for exporters.
func (w *Watch) Meter() *metrics.Meter { return w.meter }

// Observe is for Options.Observe of the Cache.
func (w *Watch) Observe(r *http.Request, e middleware.Event) {
	w.meter.Observe(r, e)
	switch {
	case e.Fill > 0:
		w.misses.add(pageOf(r), 1, e.Fill)
	case e.Hit && w.looks.Load() != 0 && w.hits.Add(1)%sampleHits == 0 &&
		time.Now().UnixNano() < w.looks.Load():
		w.served.add(pageOf(r), sampleHits, e.Saved*sampleHits)
	}
	if w.many.Load() > 0 {
		w.tell(r, &e)
	}
}

// look notes that somebody looks now, so that hits are ranked for a while.
func (w *Watch) look(now time.Time) { w.looks.Store(now.Add(lookFor).UnixNano()) }

// pageOf names the page that a request asked for: its host and path, and nothing of its query.
func pageOf(r *http.Request) string {
	name := r.Host + r.URL.Path
	return name[:min(len(name), maxPage)]
}

// maxPage is the longest name of a page, in bytes.
const maxPage = 256

// ranking finds what comes most often among any number of names, in bounded memory: when it is
// full, a new name takes the place of the rarest, with its count (the algorithm "space-saving" of
// Metwally, Agrawal and El Abbadi, 2005). A name that comes more often than one of every maxRanked
// is in it.
type ranking struct {
	mu    sync.Mutex
	pages map[string]*ranked
}

type ranked struct {
	count uint64
	took  time.Duration
}

const maxRanked = 256

func (k *ranking) add(page string, n uint64, took time.Duration) {
	if !k.mu.TryLock() {
		return // a count more or less; nobody waits for it
	}
	defer k.mu.Unlock()
	if p := k.pages[page]; p != nil {
		p.count += n
		p.took += took
		return
	}
	if k.pages == nil {
		k.pages = make(map[string]*ranked, maxRanked)
	}
	count := uint64(0)
	if len(k.pages) >= maxRanked {
		rarest := ""
		for name, p := range k.pages {
			if rarest == "" || p.count < k.pages[rarest].count {
				rarest = name
			}
		}
		count = k.pages[rarest].count
		delete(k.pages, rarest)
	}
	k.pages[string([]byte(page))] = &ranked{count + n, took}
}

// all returns what is ranked.
func (k *ranking) all() []topPage {
	k.mu.Lock()
	defer k.mu.Unlock()
	pages := make([]topPage, 0, len(k.pages))
	for name, p := range k.pages {
		pages = append(pages, topPage{name, p.count, p.took.Seconds()})
	}
	return pages
}

// Package statsd sends what a Cache does to a statsd server by UDP: a timer for each call to a
// store, and every few seconds counters of what became of requests and gauges of what the Cache
// and its store hold.
//
//	client, err := statsd.New(statsd.Options{URL: "statsd://127.0.0.1:8125", Prefix: "shop"})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	pages, err := open.URL(ctx, url, open.Options{Wrap: client.Backend})
//	...
//	meter := metrics.New()
//	cache := freshet.New(pages, freshet.Options{Observe: meter.Observe})
//	client.Report(meter, cache.Stats)
//
// The timers have the names that Cliquet and Kinto give to calls of a cache backend, and are in
// milliseconds. Each is one call of a store.Backend, or of a store.Store where that is traced:
//
//	cache.get      Get
//	cache.set      Set
//	cache.delete   Delete
//	cache.exists   Exists, which the older ones lack
//	cache.ttl      TTL
//	cache.expire   Expire
//	cache.ping     Health
//
// A near hit in memory is no call to a backend, and has no timer. docs/operating.md lists the
// counters and gauges. No name and no tag comes from clients.
package statsd

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/tracestore"
)

// Options say where metrics go, and how. URL is required.
type Options struct {
	// URL is the server's: statsd://HOST:PORT. udp:// is the same, and udp4:// and udp6:// choose
	// how to reach it. Without a port it is 8125.
	URL string
	// Prefix begins each name, with a dot behind it: letters, digits, _ - and dots, at most 100.
	// Default DefaultPrefix.
	Prefix string
	// Tags: what tells counters and gauges of one name apart, such as a result or a tier, is sent as
	// tags (|#result:hit), as Datadog's agent, Telegraf and others read them. Default: it is a part
	// of the name, which every server reads.
	Tags bool
	// Interval is the time between two reports of counters and gauges. At least 1 second. Default
	// 10 seconds, which is how often statsd itself flushes.
	Interval time.Duration
	// Log hears when the server does not take metrics, once, and when it does again. Nil:
	// slog.Default().
	Log *slog.Logger

	dial func(ctx context.Context, network, address string) (net.Conn, error) // of tests
}

// DefaultPrefix begins the names of who chooses no prefix.
const DefaultPrefix = "freshet"

const (
	defaultInterval = 10 * time.Second
	leastInterval   = time.Second

	maxWaiting = 4096 // timers that have not been sent
	flushAfter = 100 * time.Millisecond
)

// Client sends metrics. It is safe for concurrent use. It has one goroutine, which ends with Close.
type Client struct {
	options Options
	out     *sender
	timers  chan timer
	ctx     context.Context // done from Close on
	cancel  context.CancelFunc
	done    chan struct{}

	dropped atomic.Uint64 // timers for which there was no room

	before reported // touched by the goroutine alone

	mu    sync.Mutex // of what follows
	meter *metrics.Meter
	stats func() middleware.Stats
}

// timer is one call to a store.
type timer struct {
	op   tracestore.Op
	took time.Duration
}

// New returns a Client that sends to the server at o.URL. It asks nobody: a server that is not
// there, or whose name is unknown, is one line of the log, and what it does not get is dropped. The
// error says which option is wrong.
func New(o Options) (*Client, error) {
	to, err := parseURL(o.URL)
	if err != nil {
		return nil, wrongOption("URL", o.URL, err)
	}
	if o.Prefix, err = parsePrefix(cmp.Or(o.Prefix, DefaultPrefix), maxPrefix); err != nil {
		return nil, wrongOption("Prefix", o.Prefix, err)
	}
	o.Interval = cmp.Or(o.Interval, defaultInterval)
	if o.Interval < leastInterval {
		return nil, wrongOption("Interval", o.Interval.String(),
			errors.New("allowed is 1s or more, or 0 for the default of 10s"))
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.dial == nil {
		o.dial = new(net.Dialer).DialContext
	}
	c := &Client{options: o, out: newSender(to, &o), timers: make(chan timer, maxWaiting),
		done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.run()
	return c, nil
}

// Trace is a tracestore.Tracer: it sends a timer for each call. It never waits. Timers for which
// there is no room, because 4,096 wait to be sent, are dropped and counted.
func (c *Client) Trace(ctx context.Context, op tracestore.Op) (context.Context, func(error)) {
	began := time.Now()
	return ctx, func(error) {
		select {
		case c.timers <- timer{op, time.Since(began)}:
		default:
			c.dropped.Add(1)
		}
	}
}

// Backend returns a backend that passes calls on to b and sends a timer for each. It is for
// open.Options.Wrap.
func (c *Client) Backend(b store.Backend) store.Backend { return tracestore.Backend(b, c.Trace) }

// Store returns a store that passes calls on to s and sends a timer for each. It is for a store that
// has no backend; before a store in memory, each hit then pays for a timer.
func (c *Client) Store(s store.Store) store.Store { return tracestore.Store(s, c.Trace) }

// Report has what meter has counted and what stats returns, which is the Stats of a Cache, sent once
// in an Interval, and once more by Close. Either may be nil: then it is left out. A second call takes
// the place of the first.
func (c *Client) Report(meter *metrics.Meter, stats func() middleware.Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.meter, c.stats = meter, stats
}

// Stats are what a Client has done since it was made.
type Stats struct {
	Sent    uint64 // metrics in packets that the system took: whether they arrive, UDP does not tell
	Dropped uint64 // metrics for which there was no room, or whose packet the system refused
}

// Stats returns what the Client has done.
func (c *Client) Stats() Stats {
	return Stats{c.out.sent.Load(), c.dropped.Load() + c.out.dropped.Load()}
}

// Close sends what is left, and returns when that is done or has failed, after two seconds at most.
// Calls that are traced afterwards are dropped.
func (c *Client) Close() error {
	c.cancel()
	<-c.done
	return nil
}

// run sends timers in batches, and reports.
func (c *Client) run() {
	defer close(c.done)
	defer c.out.close()
	report := time.NewTicker(c.options.Interval)
	defer report.Stop()
	flush := time.NewTimer(flushAfter)
	defer flush.Stop()
	for {
		select {
		case t := <-c.timers:
			if c.out.empty() {
				flush.Reset(flushAfter)
			}
			c.timer(c.ctx, t)
		case <-flush.C:
			c.out.flush(c.ctx)
		case <-report.C:
			c.report(c.ctx)
			c.out.flush(c.ctx)
		case <-c.ctx.Done():
			c.end()
			return
		}
	}
}

// end sends what is left.
func (c *Client) end() {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	for {
		select {
		case t := <-c.timers:
			c.timer(ctx, t)
		default:
			c.report(ctx)
			c.out.flush(ctx)
			return
		}
	}
}

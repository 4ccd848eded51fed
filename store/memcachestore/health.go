package memcachestore

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Health implements [store.Backend]. It asks every server for its statistics, and to store, return
// and delete an item. Details are named after the servers where there are several; the latency is
// the slowest one's.
func (b *Backend) Health(ctx context.Context) (store.Health, error) {
	h := store.Health{Backend: "memcached", Details: make(map[string]string)}
	all := b.servers.all
	errs := make([]error, len(all))
	var mu sync.Mutex
	var asking sync.WaitGroup
	for i, s := range all {
		asking.Go(func() {
			start := time.Now()
			details, err := b.probe(ctx, s)
			if err != nil {
				errs[i] = b.fail(ctx, "health", "", s, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			h.Latency = max(h.Latency, time.Since(start))
			for k, v := range details {
				if len(all) > 1 {
					k = s.String() + " " + k
				}
				h.Details[k] = v
			}
		})
	}
	asking.Wait()
	return h, joined(errs)
}

// joined returns the errors that are not nil as one, on one line.
func joined(errs []error) (all error) {
	for _, err := range errs {
		switch {
		case all == nil:
			all = err
		case err != nil:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// checkItemSize fails when the server takes smaller items than the Config says.
func (b *Backend) checkItemSize(t *text, s *server) error {
	settings, err := t.stats("settings")
	if err != nil {
		return err
	}
	var limit int
	fmt.Sscan(settings["item_size_max"], &limit) // 0 where a proxy does not tell
	if limit > 0 && limit < b.config.MaxItemSize {
		return driver.Refuse("health", "", "option max_item_size: %d bytes, but server %s takes "+
			"items of at most %d bytes: "+
			"give the option that value, or start the server with a greater -I",
			b.config.MaxItemSize, s, limit)
	}
	return nil
}

// probe asks one server. It fails unless the server takes items of Config.MaxItemSize, and an item
// can be stored, read and deleted.
func (b *Backend) probe(ctx context.Context, s *server) (map[string]string, error) {
	t, err := b.dial(ctx, s)
	if err != nil {
		return nil, err
	}
	defer t.close()
	stats, err := t.stats("")
	if err != nil {
		return nil, err
	}
	if err := b.checkItemSize(t, s); err != nil {
		return nil, err
	}
	details := make(map[string]string)
	for k, word := range map[string]string{
		"version": "version", "uptime_seconds": "uptime", "connections": "curr_connections",
		"items":      "curr_items",
		"used_bytes": "bytes", "limit_bytes": "limit_maxbytes", "evictions": "evictions",
	} {
		if v := stats[word]; v != "" {
			details[k] = v
		}
	}
	key := "~health~" + rand.Text()
	value := rand.Text()
	if err := t.ask(fmt.Sprintf("set %s 0 10 %d\r\n%s\r\n", key, len(value), value), "STORED"); err != nil {
		return nil, err
	}
	if err := t.ask("get "+key+"\r\n", fmt.Sprintf("VALUE %s 0 %d", key, len(value))); err != nil {
		return nil, err
	}
	for _, want := range []string{value, "END"} {
		line, err := t.line()
		if err != nil {
			return nil, err
		}
		if line != want {
			return nil, errAnswer(line)
		}
	}
	return details, t.ask("delete "+key+"\r\n", "DELETED")
}

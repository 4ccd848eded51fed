package memcachestore

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/seat"
)

// copies asks the servers for their copies of the seat of a journal, and writes them. It implements
// [seat.Servers].
//
// Older versions keep the journal on the server of its keys. Their processes and those of this do
// not see each other's invalidations. So a word is put in the place of the number there, which has
// theirs fail. It lasts for as long as processes of this version are there to renew it.
type copies struct {
	backend *Backend
	prefix  string
	key     string   // of the copy
	old     *journal // where it lay before there were seats

	mu      sync.Mutex
	touched map[string]time.Time // by key
}

var _ seat.Servers = (*copies)(nil)

const (
	// lasts is how long a server keeps the number of a journal at a seat that nobody uses, and its
	// list of members.
	lasts = 30 * 24 * time.Hour
	// wordLasts is how long it keeps the word.
	wordLasts = time.Hour
	// touchEvery is how often these are renewed by a process that asks.
	touchEvery = 10 * time.Minute
	// word is what stands where the journal's number was, before that number.
	word = "seats "
)

func newCopies(b *Backend, prefix string) *copies {
	old := &journal{backend: b, prefix: prefix}
	old.server = old.where()
	return &copies{backend: b, prefix: prefix, key: old.key("seat"), old: old,
		touched: make(map[string]time.Time)}
}

func (c *copies) journal(at seat.Seat) *journal {
	return &journal{backend: c.backend, prefix: c.prefix, seat: at,
		server: c.backend.servers.named(at.Server)}
}

// Addresses implements [seat.Servers].
func (c *copies) Addresses() []string {
	all := make([]string, len(c.backend.servers.all))
	for i, s := range c.backend.servers.all {
		all[i] = s.address
	}
	return all
}

// told is an error of a server's, without the words for the call.
type told struct{ made *store.Error }

func (t *told) Error() string { return t.made.Err.Error() }
func (t *told) Unwrap() error { return t.made }

// Ask implements [seat.Servers], in one exchange.
func (c *copies) Ask(ctx context.Context, address string, at seat.Seat) seat.Answer {
	s := c.backend.servers.named(address)
	j := c.journal(at)
	keys := []string{c.key}
	if at.Server == address {
		keys = append(keys, j.key("head"))
	}
	if c.old.server == s {
		keys = append(keys, c.old.key("head"))
	}
	var found map[string]*memcache.Item
	a := seat.Answer{Server: address}
	a.Silent, a.Err = c.backend.ask(ctx, "seat", c.prefix, s, repeated,
		func(client *memcache.Client) (err error) {
			found, err = client.GetMulti(keys)
			return err
		})
	if made, ok := errors.AsType[*store.Error](a.Err); ok {
		a.Err = &told{made}
	}
	if a.Err != nil {
		return a
	}
	if item := found[c.key]; item != nil {
		parsed, ok := seat.Parse(item.Value)
		a.Item, a.Copy, a.Foreign = item, parsed, !ok || item.Flags != seatItem
		if a.Foreign {
			a.Copy = seat.Seat{}
		}
	}
	if item := found[j.key("head")]; item != nil && at.Server == address {
		h, err := j.parseHead("seat", item)
		a.Head, a.Err = &seat.Head{Number: h.number, Generation: h.generation}, err
		c.touch(ctx, j, lasts, j.key("head"), j.listKey())
	}
	if c.old.server == s {
		a.Floor = c.supersede(ctx, found[c.old.key("head")])
	}
	return a
}

// Put implements [seat.Servers].
func (c *copies) Put(ctx context.Context, was seat.Answer, s seat.Seat) (bool, error) {
	item := &memcache.Item{Key: c.key, Flags: seatItem}
	before, swap := was.Item.(*memcache.Item)
	if swap {
		*item = *before
		item.Flags, item.Expiration = seatItem, 0
	}
	item.Value = seat.Append(nil, s)
	err := c.backend.callAt(ctx, "seat", c.prefix, c.backend.servers.named(was.Server), repeated,
		func(client *memcache.Client) error {
			if swap {
				return client.CompareAndSwap(item)
			}
			return client.Add(item)
		})
	switch err {
	case memcache.ErrNotStored, memcache.ErrCASConflict, memcache.ErrCacheMiss:
		return false, nil
	}
	return err == nil, err
}

// Begin implements [seat.Servers].
func (c *copies) Begin(ctx context.Context, s seat.Seat) error {
	return c.journal(s).beginAt(ctx, "seat", s.Number, lasts)
}

// touch has the server keep items for longer, now and then.
func (c *copies) touch(ctx context.Context, j *journal, life time.Duration, keys ...string) {
	if !c.dueToTouch(keys[0]) {
		return
	}
	for _, key := range keys {
		_ = j.call(ctx, "seat", key, repeated, func(client *memcache.Client) error {
			return client.Touch(key, expiration(life, time.Now()))
		})
	}
}

func (c *copies) dueToTouch(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(c.touched, func(_ string, at time.Time) bool { return now.Sub(at) >= touchEvery })
	if _, touched := c.touched[key]; touched {
		return false
	}
	c.touched[key] = now
	return true
}

// supersede puts the word in the place of a journal's number from before there were seats, and
// returns that number; 0: there was none.
func (c *copies) supersede(ctx context.Context, item *memcache.Item) (number uint64) {
	key := c.old.key("head")
	text := ""
	if item != nil {
		text = string(item.Value)
	}
	after, superseded := strings.CutPrefix(text, word)
	number, err := strconv.ParseUint(after, 10, 64)
	switch {
	case err != nil && item != nil || number > seat.MaxNumber:
		return 0 // another program's
	case superseded:
		c.touch(ctx, c.old, wordLasts, key)
		return number
	}
	anew := &memcache.Item{Key: key}
	if item != nil {
		*anew = *item
	}
	anew.Value = strconv.AppendUint([]byte(word), number, 10)
	anew.Expiration = expiration(wordLasts, time.Now())
	// Should it fail, the next one who asks does it.
	_ = c.old.call(ctx, "seat", key, repeated, func(client *memcache.Client) error {
		if item != nil {
			return client.CompareAndSwap(anew)
		}
		return client.Add(anew)
	})
	return number
}

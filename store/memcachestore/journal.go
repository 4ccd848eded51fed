package memcachestore

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
	"github.com/freshet-go/freshet/store/internal/keys"
)

// journalKeys begins the keys of journals: journalKeys+prefix+"~head", and in place of head the
// numbers of records, "members" for the list of members, and "m" with a member's digest. What is
// between the last two '~' chooses the server, so that a journal lies on one.
const journalKeys = "~journal~"

const (
	// markLife is how long the server remembers a mark, if it has the memory.
	markLife = 24 * time.Hour
	// recordsAtOnce is the number of members' records to ask for in one exchange.
	recordsAtOnce = 32
	// searchedAtOnce is the number of keys to ask for in one exchange, where there may be nothing.
	searchedAtOnce = 4096
	// writePatience is how long Since waits for a mark that has a number but is not there: its
	// writer may be about to write it. A context that ends sooner halves what is left of it.
	writePatience = 500 * time.Millisecond
)

// journal is a [store.Journal] on one of the servers.
//
// An item counts the numbers, beginning at the clock; its flags are a random generation. Each
// Append adds to it and writes its marks under the numbers that it got, as a record with the same
// flags. Since reads the records of a part from the newest down to the one asked for. Where one is
// missing, or of another generation, because the server has lost it or its writer has died,
// everything up to there counts as forgotten, and Since records that: a writer that comes later
// finds the record, and need do nothing, for it covers the writer's marks.
type journal struct {
	backend *Backend
	prefix  string
	members int                  // how many it has at most
	highest atomic.Uint64        // number seen: a journal that begins anew begins after it
	gaveUp  atomic.Uint64        // number waited for in vain
	gap     atomic.Pointer[span] // numbers at which no record ended when they were asked for
}

// Journal implements [store.Journaler]. A server that is short of memory forgets marks early, and
// one that restarts forgets all; readers then get MarkEverything.
func (b *Backend) Journal(prefix string) store.Journal {
	return &journal{backend: b, prefix: prefix, members: store.MaxMembers}
}

// JournalName implements [store.NamedJournal]: by the servers and the prefix.
func (j *journal) JournalName() string {
	return keys.JournalName("memcached://"+strings.Join(j.backend.config.Servers, ","), j.prefix)
}

// head is the counter as it was read.
type head struct {
	number     uint64
	generation uint32
}

func (j *journal) key(what string) string { return journalKeys + j.prefix + "~" + what }

func (j *journal) recordKey(number uint64) string { return j.key(strconv.FormatUint(number, 10)) }

// Append implements [store.Journal]. A mark whose name does not fit an item becomes one that covers
// everything.
func (j *journal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	const op = "append"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return 0, err
	}
	if err := driver.CheckMarks(op, j.prefix, what); err != nil {
		return 0, err
	}
	h, err := j.head(ctx, op)
	if err != nil || len(what) == 0 {
		return h.number, err
	}
	last, err := j.count(ctx, op, &h, len(what))
	if err != nil {
		return 0, err
	}
	number := last - uint64(len(what))
	for _, marks := range records(what, j.backend.config.room()) {
		value := forgottenRecord()
		if marks != nil {
			value = appendRecord(nil, marks)
		}
		number += uint64(max(len(marks), 1))
		if err := j.write(ctx, op, h.generation, number, value); err != nil {
			return 0, err
		}
	}
	j.saw(last)
	return last, nil
}

// count takes n numbers and returns the last. If the counter has just been lost it is begun anew,
// and h with it.
func (j *journal) count(ctx context.Context, op string, h *head, n int) (last uint64, err error) {
	for range 3 {
		err = j.backend.call(ctx, op, j.key("head"), repeated,
			func(c *memcache.Client) (err error) {
				last, err = c.Increment(j.key("head"), uint64(n))
				return err
			})
		if err != memcache.ErrCacheMiss {
			return last, err
		}
		if *h, err = j.head(ctx, op); err != nil {
			return 0, err
		}
	}
	return 0, j.lostAgain(op)
}

func (j *journal) lostAgain(op string) error {
	return driver.Fail(op, j.prefix, store.KindTransient,
		errors.New("the server loses the journal's number as soon as it is set"))
}

// write puts a record where nothing is. If something is, a reader has given the number up, and
// recorded that everything counts as invalidated; or a lost journal has left it. In both cases that
// record stands.
func (j *journal) write(
	ctx context.Context, op string, generation uint32, number uint64, value []byte,
) error {
	item := &memcache.Item{
		Key: j.recordKey(number), Flags: generation, Value: value, Expiration: expiration(markLife,
			time.Now()),
	}
	err := j.backend.call(ctx, op, item.Key, once, func(c *memcache.Client) error {
		return c.Add(item)
	})
	if err == memcache.ErrNotStored {
		item.Value = forgottenRecord()
		err = j.backend.call(ctx, op, item.Key, repeated, func(c *memcache.Client) error {
			return c.Set(item)
		})
	}
	return err
}

// head reads the counter. If there is none it begins one.
func (j *journal) head(ctx context.Context, op string) (h head, err error) {
	for range 3 {
		var item *memcache.Item
		err := j.backend.call(ctx, op, j.key("head"), repeated,
			func(c *memcache.Client) (err error) {
				item, err = c.Get(j.key("head"))
				return err
			})
		if err == nil {
			h.generation = item.Flags
			if h.number, err = strconv.ParseUint(string(item.Value), 10, 64); err != nil {
				return head{}, driver.Refuse(op, j.prefix, "the journal's number is not a "+
					"number: another program has written there, or a later version of Freshet: "+
					"then update this program")
			}
			j.saw(h.number)
			return h, nil
		}
		if err == memcache.ErrCacheMiss {
			err = j.begin(ctx, op)
		}
		if err != nil {
			return head{}, err
		}
	}
	return head{}, j.lostAgain(op)
}

// begin sets the counter, unless another process does so first. The number at which it begins is
// that of a record that says that all before is forgotten.
func (j *journal) begin(ctx context.Context, op string) error {
	number := history.Begin(j.highest.Load())
	item := &memcache.Item{
		Key: j.key("head"), Flags: rand.Uint32(), Value: strconv.AppendUint(nil, number, 10),
	}
	err := j.backend.call(ctx, op, item.Key, once, func(c *memcache.Client) error {
		return c.Add(item)
	})
	if err == memcache.ErrNotStored {
		return nil
	}
	if err != nil {
		return err
	}
	return j.write(ctx, op, item.Flags, number, forgottenRecord())
}

// saw notes a number, unless no journal that began at the clock can have reached it.
func (j *journal) saw(number uint64) {
	if number < 1<<62 {
		raise(&j.highest, number)
	}
}

func raise(a *atomic.Uint64, to uint64) {
	for {
		now := a.Load()
		if to <= now || a.CompareAndSwap(now, to) {
			return
		}
	}
}

// Since implements [store.Journal].
func (j *journal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	const op = "since"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return nil, 0, err
	}
	j.saw(number)
	h, err := j.head(ctx, op)
	if err != nil {
		return nil, 0, err
	}
	marks, err := j.read(ctx, op, h, number)
	if err != nil {
		return nil, 0, err
	}
	return marks, h.number, nil
}

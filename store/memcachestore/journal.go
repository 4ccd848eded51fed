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
	"github.com/freshet-go/freshet/store/internal/seat"
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

// journal is a [store.Journal] on one of the servers: on the one that its keys choose, or on that
// of a seat. At a seat, the journal's number is there before anybody uses it, so that it is not
// begun anew: errLost says that the server has lost it.
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
	seat    seat.Seat            // zero: the keys choose the server
	server  *server              // of the seat
	members int                  // how many it has at most
	highest atomic.Uint64        // number seen: a journal that begins anew begins after it
	gaveUp  atomic.Uint64        // number waited for in vain
	gap     atomic.Pointer[span] // numbers at which no record ended when they were asked for
}

// Journal implements [store.Journaler]. A server that is short of memory forgets marks early, and
// one that restarts forgets all; readers then get MarkEverything.
//
// With three servers or more, the journal moves to another one when its server is gone, and all that
// it knew counts as forgotten.
func (b *Backend) Journal(prefix string) store.Journal {
	if len(b.servers.all) < leastSeats {
		return &journal{backend: b, prefix: prefix, members: store.MaxMembers}
	}
	return newSeated(b, prefix)
}

// JournalName implements [store.NamedJournal]: by the servers and the prefix.
func (j *journal) JournalName() string { return j.backend.journalName(j.prefix) }

func (b *Backend) journalName(prefix string) string {
	return keys.JournalName("memcached://"+strings.Join(b.config.Servers, ","), prefix)
}

// head is the counter as it was read.
type head struct {
	number     uint64
	generation uint32
}

// key returns the key of a part of the journal. At a seat, it has the number of that in base 36.
func (j *journal) key(what string) string {
	if j.seat.Number == 0 {
		return journalKeys + j.prefix + "~" + what
	}
	return journalKeys + j.prefix + "~" + strconv.FormatUint(j.seat.Number, 36) + "~" + what
}

// call asks the journal's server.
func (j *journal) call(
	ctx context.Context, op, key string, again repeat, f func(*memcache.Client) error,
) error {
	return j.backend.callAt(ctx, op, key, j.server, again, f)
}

// where returns the journal's server.
func (j *journal) where() *server {
	if j.server != nil {
		return j.server
	}
	return j.backend.servers.pick(j.key("head"))
}

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
	if err := j.writeAll(ctx, op, h, last, what); err != nil {
		return 0, err
	}
	j.saw(last)
	return last, nil
}

// writeAll writes marks whose numbers end with last.
func (j *journal) writeAll(
	ctx context.Context, op string, h head, last uint64, what []store.Mark,
) error {
	number := last - uint64(len(what))
	for _, marks := range records(what, j.backend.config.room()) {
		value := forgottenRecord()
		if marks != nil {
			value = appendRecord(nil, marks)
		}
		number += uint64(max(len(marks), 1))
		if err := j.write(ctx, op, h.generation, number, value); err != nil {
			return err
		}
	}
	return nil
}

// count takes n numbers and returns the last. If the counter has just been lost it is begun anew,
// and h with it.
func (j *journal) count(ctx context.Context, op string, h *head, n int) (last uint64, err error) {
	for range 3 {
		err = j.call(ctx, op, j.key("head"), repeated,
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

// errLost says that the server of a seat has lost the journal.
var errLost = errors.New("the server has lost the journal's number")

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
	err := j.call(ctx, op, item.Key, once, func(c *memcache.Client) error {
		return c.Add(item)
	})
	if err == memcache.ErrNotStored {
		item.Value = forgottenRecord()
		err = j.call(ctx, op, item.Key, repeated, func(c *memcache.Client) error {
			return c.Set(item)
		})
	}
	return err
}

// head reads the counter. If there is none it begins one.
func (j *journal) head(ctx context.Context, op string) (h head, err error) {
	for range 3 {
		var item *memcache.Item
		err := j.call(ctx, op, j.key("head"), repeated,
			func(c *memcache.Client) (err error) {
				item, err = c.Get(j.key("head"))
				return err
			})
		if err == nil {
			return j.parseHead(op, item)
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

// parseHead reads the counter's item.
func (j *journal) parseHead(op string, item *memcache.Item) (h head, err error) {
	h.generation = item.Flags
	if h.number, err = strconv.ParseUint(string(item.Value), 10, 64); err != nil {
		return head{}, driver.Refuse(op, j.prefix, "the journal's number is not a "+
			"number: another program has written there, or a later version of Freshet: "+
			"then update this program")
	}
	j.saw(h.number)
	return h, nil
}

// begin sets the counter, unless another process does so first.
func (j *journal) begin(ctx context.Context, op string) error {
	if j.seat.Number > 0 {
		return driver.Fail(op, j.prefix, store.KindTransient, errLost)
	}
	return j.beginAt(ctx, op, history.Begin(j.highest.Load()), 0)
}

// beginAt sets the counter to a number, which is that of a record that says that all before is
// forgotten. The server keeps it for so long, unless it is touched; 0: for ever.
func (j *journal) beginAt(ctx context.Context, op string, number uint64, life time.Duration) error {
	item := &memcache.Item{
		Key: j.key("head"), Flags: rand.Uint32(), Value: strconv.AppendUint(nil, number, 10),
	}
	if life > 0 {
		item.Expiration = expiration(life, time.Now())
	}
	err := j.call(ctx, op, item.Key, once, func(c *memcache.Client) error {
		return c.Add(item)
	})
	if err == memcache.ErrNotStored {
		return nil
	}
	if err != nil {
		return err
	}
	return j.write(ctx, op, item.Flags, number, beginningRecord())
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

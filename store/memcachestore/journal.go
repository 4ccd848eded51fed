package memcachestore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/keys"
)

// journalKeys begins the keys of journals: journalKeys+prefix+"~seat" says where the journal is, on
// each server, and "~next…" where it will be. There are journalKeys+prefix+"~"+term+"~head", and in
// place of head the numbers of records, "members" for the list of members, and "m" with a member's
// digest.
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

// journal is a [store.Journal] on one of the servers, which the seat names.
//
// An item counts the numbers, beginning at the clock. Each Append adds to it and writes its marks
// under the numbers that it got, as a record. Since reads the records of a part from the newest down
// to the one asked for. Where one is missing, because the server has lost it or its writer has died,
// everything up to there counts as forgotten, and Since records that: a writer that comes later finds
// the record, and need do nothing, for it covers the writer's marks.
//
// When its server has not answered for two seconds, or has lost the counter, the journal begins anew,
// with a greater term, on the first of the servers that answer, in an order that all processes share.
// Each server has a copy of the seat. A process that moves the journal writes all copies that it can
// reach, and does not use the new one before more than half have it (of two: one). Who asks what is
// new looks at the copies first, and who appends looks at them afterwards, and appends again where
// the journal has moved. So of three servers or more, what was acknowledged is in the newest journal or
// before its beginning, whatever servers each reaches; one that reaches too few has an error. A server that
// comes back has an old copy, which is replaced, and the keys of another term, which nobody reads.
type journal struct {
	backend *Backend
	prefix  string
	members int                  // how many it has at most
	highest atomic.Uint64        // number seen: a journal that begins anew begins after it
	gaveUp  atomic.Uint64        // number waited for in vain
	gap     atomic.Pointer[span] // numbers at which no record ended when they were asked for

	mu     sync.Mutex
	seat   *seat         // the newest one that this process knows of; nil: none
	since  time.Time     // since when
	member *store.Member // as it renewed last; nil: it has not, or has left
}

// Journal implements [store.Journaler]. It returns the same journal for the same prefix. A server
// that is short of memory forgets marks early, and one that restarts forgets all; readers then get
// MarkEverything.
//
// The journal moves to another server when its own has not answered for two seconds: everything
// before counts as forgotten, once. Of three servers or more, more than half must answer, and each
// process knows of all that others have invalidated, or reads nothing. Of two, one suffices: processes
// of which one reaches only the one server, and another only the other, know nothing of each other
// until one reaches both. A process that begins while one of two is away begins the journal anew, but
// for those that begin after it.
func (b *Backend) Journal(prefix string) store.Journal {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.journals[prefix]
	if j == nil {
		j = &journal{backend: b, prefix: prefix, members: store.MaxMembers}
		b.journals[prefix] = j
	}
	return j
}

// JournalName implements [store.NamedJournal]: by the servers and the prefix.
func (j *journal) JournalName() string {
	return keys.JournalName("memcached://"+strings.Join(j.backend.config.Servers, ","), j.prefix)
}

func (j *journal) key(what string) string { return journalKeys + j.prefix + "~" + what }
func (j *journal) seatKey() string        { return j.key("seat") }

// known returns the newest seat that this process knows of, or nil.
func (j *journal) known() *seat {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seat
}

// stayed returns for how long the process has known of the newest seat.
func (j *journal) stayed() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.seat == nil {
		return 0
	}
	return time.Since(j.since)
}

// moveTo has the process use another seat. It is a member there before it reads anything, so that those
// who append there later count it in.
func (j *journal) moveTo(ctx context.Context, op string, to *seat) error {
	var renewed *store.Member
	for at := j.at(to); ; {
		j.mu.Lock()
		m := j.member
		if m == renewed || m == nil || at.on == nil {
			if to.over(j.seat) > 0 {
				j.seat, j.since = to, time.Now()
			}
			j.mu.Unlock()
			return nil
		}
		j.mu.Unlock()
		if err := at.renew(ctx, op, *m); err != nil {
			return err
		}
		renewed = m
	}
}

// place is where a journal is.
type place struct {
	*journal
	seat *seat
	on   *server // nil: it is none of this process's
}

func (j *journal) at(s *seat) place { return place{j, s, j.backend.servers.named(s.server)} }

func (p place) key(what string) string { return p.journal.key(p.seat.name() + "~" + what) }

func (p place) recordKey(number uint64) string { return p.key(strconv.FormatUint(number, 10)) }

func (p place) call(ctx context.Context, op string, again repeat, f func(*memcache.Client) error) error {
	return p.backend.callAt(ctx, op, p.prefix, p.on, again, f)
}

// here returns where the journal is as far as this process knows, and asks only where it knows nothing.
func (j *journal) here(ctx context.Context, op string) (place, error) {
	if s := j.known(); s != nil {
		if p := j.at(s); p.on != nil {
			return p, nil
		}
	}
	f, err := j.find(ctx, op)
	return f.place, err
}

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
	if len(what) == 0 {
		f, err := j.find(ctx, op)
		return f.number, err
	}
	for range maxRounds {
		p, err := j.here(ctx, op)
		if err != nil {
			return 0, err
		}
		last, err := p.append(ctx, op, what)
		switch {
		case err == nil && !j.backend.several():
			return last, nil
		case err != nil && err != memcache.ErrCacheMiss:
			return 0, err
		}
		now, lost := j.find(ctx, op)
		switch {
		case lost != nil:
			return 0, lost
		case err == nil && now.seat.over(p.seat) == 0:
			return last, nil
		}
	}
	return 0, driver.Fail(op, j.prefix, store.KindTransient,
		errors.New("the journal moves all the time"))
}

// append takes numbers and writes the marks. Its error is memcache.ErrCacheMiss where the counter is
// lost.
func (p place) append(ctx context.Context, op string, what []store.Mark) (last uint64, err error) {
	err = p.call(ctx, op, repeated, func(c *memcache.Client) (err error) {
		last, err = c.Increment(p.key("head"), uint64(len(what)))
		return err
	})
	if err != nil {
		return 0, err
	}
	number := last - uint64(len(what))
	for _, marks := range records(what, p.backend.config.room()) {
		value := forgottenRecord()
		if marks != nil {
			value = appendRecord(nil, marks)
		}
		number += uint64(max(len(marks), 1))
		if err := p.write(ctx, op, number, value); err != nil {
			return 0, err
		}
	}
	p.saw(last)
	return last, nil
}

// write puts a record where nothing is. If something is, a reader has given the number up, and
// recorded that everything counts as invalidated. That record stands.
func (p place) write(ctx context.Context, op string, number uint64, value []byte) error {
	item := &memcache.Item{Key: p.recordKey(number), Flags: recordItem, Value: value,
		Expiration: expiration(markLife, time.Now())}
	err := p.call(ctx, op, once, func(c *memcache.Client) error { return c.Add(item) })
	if err == memcache.ErrNotStored {
		item.Value = forgottenRecord()
		err = p.call(ctx, op, repeated, func(c *memcache.Client) error { return c.Set(item) })
	}
	return err
}

// number reads the counter.
func (p place) number(op string, item *memcache.Item) (uint64, error) {
	number, err := strconv.ParseUint(strings.TrimRight(string(item.Value), " "), 10, 64)
	if err != nil {
		return 0, driver.Refuse(op, p.prefix, "%w", errNoNumber)
	}
	p.saw(number)
	return number, nil
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
	f, err := j.find(ctx, op)
	if err != nil {
		return nil, 0, err
	}
	marks, err := f.read(ctx, op, number)
	return marks, f.number, err
}

// peek is Since without a look at where the journal is, for who asks often.
func (j *journal) peek(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	const op = "watch"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return nil, 0, err
	}
	p, err := j.here(ctx, op)
	if err != nil {
		return nil, 0, err
	}
	var item *memcache.Item
	err = p.call(ctx, op, repeated, func(c *memcache.Client) (err error) {
		item, err = c.Get(p.key("head"))
		return err
	})
	if err != nil && fault.Made(err) {
		return nil, 0, err
	}
	if err != nil { // the counter is lost
		return j.Since(ctx, number)
	}
	head, err := p.number(op, item)
	if err != nil {
		return nil, 0, err
	}
	marks, err := found{p, head}.read(ctx, op, number)
	return marks, head, err
}

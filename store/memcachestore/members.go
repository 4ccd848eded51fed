package memcachestore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/history"
	"github.com/freshet-go/freshet/store/internal/pause"
)

// Each member of a journal has an item, which lasts as long as its lease by the server's clock, and
// an item of the journal lists them all. A member that renews replaces its item, and puts itself on
// the list if it is not there. So the many that renew at once do not wait for each other.
//
// The list is swapped, never set: who changes it has seen what it was. Who removes from it reads the
// list, then looks for the members' items, then swaps. A member that finds no item of its own to
// replace may be about to be removed: when it has set its item it swaps the list in any case, so
// that the other's swap fails.
//
// Members tells ages by the clocks of the member and of the reader, since the server tells no time:
// they are wrong by as much as the clocks differ, but never such that a lease seems to have ended.

var _ store.Membership = (*journal)(nil)

// digest stands for a member's ID, which may be too long for a key.
type digest [16]byte

func digestOf(id string) (d digest) {
	sum := sha256.Sum256([]byte(id))
	copy(d[:], sum[:])
	return d
}

// memberKey returns the key of a member's item. At a seat, hexadecimal digits would make it too
// long.
func (j *journal) memberKey(d digest) string {
	if j.seat.Number > 0 {
		return j.key("m" + base64.RawURLEncoding.EncodeToString(d[:]))
	}
	return j.key("m" + hex.EncodeToString(d[:]))
}

func (j *journal) listKey() string { return j.key("members") }

// maxSwaps is how often to try to swap the list. Each time that it fails somebody else succeeds.
const maxSwaps = 1000

// Renew implements [store.Membership], in two round trips, or four by who joins.
func (j *journal) Renew(ctx context.Context, m store.Member) error {
	const op = "renew"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return err
	}
	if err := driver.CheckMember(j.prefix, m); err != nil {
		return err
	}
	d, now := digestOf(m.ID), time.Now()
	item := &memcache.Item{Key: j.memberKey(d), Flags: memberItem, Value: appendMember(nil, m, now),
		Expiration: expiration(store.LeaseTime, now)}
	err := j.call(ctx, op, item.Key, repeated, func(c *memcache.Client) error {
		return c.Replace(item)
	})
	replaced := err == nil
	if err == memcache.ErrNotStored {
		err = j.call(ctx, op, item.Key, repeated, func(c *memcache.Client) error {
			return c.Set(item)
		})
	}
	if err != nil {
		return err
	}
	return j.enlist(ctx, op, d, replaced)
}

// enlist puts a member on the list. One that replaced its item is there already, unless the server
// has lost the list.
func (j *journal) enlist(ctx context.Context, op string, d digest, replaced bool) error {
	for try := range maxSwaps {
		l, err := j.list(ctx, op)
		if err != nil {
			return err
		}
		if replaced && slices.Contains(l.members, d) {
			return nil
		}
		most := min(j.members, (j.backend.config.room()-1)/len(d))
		if try == 0 || len(l.members) >= most {
			if _, err := j.look(ctx, op, &l); err != nil {
				return err
			}
		}
		if !slices.Contains(l.members, d) {
			if len(l.members) >= most {
				return driver.Full(j.prefix, most)
			}
			l.members = append(l.members, d)
		}
		if swapped, err := j.swap(ctx, op, l); swapped || err != nil {
			return err
		}
		longest := min(time.Millisecond<<min(try, 8), 20*time.Millisecond)
		if err := pause.For(ctx, rand.N(longest)); err != nil {
			return j.backend.fail(ctx, op, j.prefix, j.where(), err)
		}
	}
	return driver.Fail(op, j.prefix, store.KindTransient,
		errors.New("others change the list of members all the time"))
}

// Members implements [store.Membership]. It removes from the list those whose lease has ended.
func (j *journal) Members(ctx context.Context) ([]store.Member, error) {
	const op = "members"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return nil, err
	}
	l, err := j.list(ctx, op)
	if err != nil {
		return nil, err
	}
	before := len(l.members)
	all, err := j.look(ctx, op, &l)
	if err != nil {
		return nil, err
	}
	if len(l.members) < before {
		_, _ = j.swap(ctx, op, l) // should it fail, the next one does it
	}
	return all, nil
}

// Leave implements [store.Membership], in one round trip. Who reads the list takes the member off.
func (j *journal) Leave(ctx context.Context, id string) error {
	const op = "leave"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return err
	}
	if (store.Member{ID: id}).Validate() != nil {
		return nil // nobody is on the list under it
	}
	key := j.memberKey(digestOf(id))
	err := j.call(ctx, op, key, repeated, func(c *memcache.Client) error {
		return c.Delete(key)
	})
	if fault.Made(err) {
		return err
	}
	return nil
}

// memberList is the list as it was read.
type memberList struct {
	item    *memcache.Item // nil: there is none
	members []digest
}

func (j *journal) list(ctx context.Context, op string) (l memberList, err error) {
	err = j.call(ctx, op, j.listKey(), repeated, func(c *memcache.Client) (err error) {
		l.item, err = c.Get(j.listKey())
		return err
	})
	if err == memcache.ErrCacheMiss {
		return memberList{}, nil
	}
	if err != nil {
		return l, err
	}
	var ok bool
	if l.members, ok = parseList(l.item.Value); !ok || l.item.Flags != memberListItem {
		return l, driver.Refuse(op, j.prefix, "the journal's list of members is not ours: "+
			"another program has written there, or a later version of Freshet: then update this "+
			"program")
	}
	return l, nil
}

// look returns the members on the list whose items the server has, and takes the others off l.
func (j *journal) look(ctx context.Context, op string, l *memberList) ([]store.Member, error) {
	now := time.Now()
	var all []store.Member
	var there []digest
	for some := range slices.Chunk(l.members, recordsAtOnce) {
		keys := make([]string, len(some))
		for i, d := range some {
			keys[i] = j.memberKey(d)
		}
		var found map[string]*memcache.Item
		err := j.call(ctx, op, j.listKey(), repeated, func(c *memcache.Client) (err error) {
			found, err = c.GetMulti(keys)
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, d := range some {
			item := found[keys[i]]
			if item == nil {
				continue
			}
			if isLaterMember(item) {
				m := history.LaterMember(hex.EncodeToString(d[:]))
				all, there = append(all, m), append(there, d)
				continue
			}
			m, ok := parseMember(item.Value, now)
			if !ok || item.Flags != memberItem || digestOf(m.ID) != d {
				return nil, driver.Refuse(op, j.prefix, "a member of the journal is not ours: "+
					"another program has written there")
			}
			all, there = append(all, m), append(there, d)
		}
	}
	l.members = there
	return all, nil
}

// swap makes l the list, and reports false if that has changed since it was read.
func (j *journal) swap(ctx context.Context, op string, l memberList) (bool, error) {
	item := l.item
	if item == nil {
		item = &memcache.Item{Key: j.listKey(), Flags: memberListItem}
	}
	item.Value = appendList(nil, l.members)
	if j.seat.Number > 0 {
		item.Expiration = expiration(lasts, time.Now())
	}
	err := j.call(ctx, op, item.Key, repeated, func(c *memcache.Client) error {
		if l.item == nil {
			return c.Add(item)
		}
		return c.CompareAndSwap(item)
	})
	if fault.Made(err) {
		return false, err
	}
	return err == nil, nil
}

// A list is its version, 1 byte, and the members' digests.
const listVersion = 1

func appendList(b []byte, members []digest) []byte {
	b = append(b, listVersion)
	for _, d := range members {
		b = append(b, d[:]...)
	}
	return b
}

func parseList(b []byte) (members []digest, ok bool) {
	if len(b) == 0 || b[0] != listVersion || (len(b)-1)%len(digest{}) != 0 {
		return nil, false
	}
	for part := range slices.Chunk(b[1:], len(digest{})) {
		members = append(members, digest(part))
	}
	return members, true
}

// A member is its version, 1 byte; when it renewed in milliseconds of the Unix clock, 8; the number
// it has applied, 8; the length of its ID, 1; its ID and its name. Of one of a later version only
// the first byte is known here, and that it is a member.
const (
	memberVersion = 1
	memberNotes   = 1 + 8 + 8 + 1
)

func appendMember(b []byte, m store.Member, now time.Time) []byte {
	b = append(b, memberVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(now.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, m.Applied)
	b = append(b, byte(len(m.ID)))
	return append(append(b, m.ID...), m.Name...)
}

// isLaterMember reports whether an item is a member of a later version.
func isLaterMember(item *memcache.Item) bool {
	return item.Flags == memberItem && len(item.Value) > 0 && item.Value[0] > memberVersion
}

// parseMember reads a member whose lease has not ended.
func parseMember(b []byte, now time.Time) (m store.Member, ok bool) {
	if len(b) < memberNotes || b[0] != memberVersion || len(b)-memberNotes < int(b[memberNotes-1]) {
		return m, false
	}
	age := now.UnixMilli() - int64(binary.BigEndian.Uint64(b[1:]))
	name := memberNotes + int(b[memberNotes-1])
	m = store.Member{
		ID: string(b[memberNotes:name]), Name: string(b[name:]), Applied: binary.BigEndian.Uint64(b[9:]),
		Age: time.Duration(min(max(age, 0), store.LeaseTime.Milliseconds()-1)) * time.Millisecond,
	}
	return m, m.Validate() == nil
}

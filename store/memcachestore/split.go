package memcachestore

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// A value that does not fit an item lies in parts, under keys derived from its own and from a
// random generation, that differs for each Set. The item under its own key is a manifest: the
// generation, and the length and checksum of the whole. It is written last. So a reader finds the
// parts of one Set, all of them, or nothing.
type parts struct {
	key        string
	generation uint64
	length     uint64 // of the value
	size       uint32 // of each part but the last
	sum        uint32 // CRC-32C of the value
}

const (
	manifestSize = endSize + 8 + 8 + 4 + 4
	maxParts     = 1024
	partsAtOnce  = 4 // asked for in one exchange, which has one timeout
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (p parts) count() int { return int((p.length + uint64(p.size) - 1) / uint64(p.size)) }

// name is the key of a part.
func (p parts) name(i int) string { return fmt.Sprintf("%s~%016x~%d", p.key, p.generation, i) }

func (p parts) names(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, p.name(i))
	}
	return all
}

// item is the manifest.
func (p parts) item(ttl time.Duration, now time.Time) *memcache.Item {
	b := appendEnd(make([]byte, 0, manifestSize), ttl, now)
	b = binary.BigEndian.AppendUint64(b, p.generation)
	b = binary.BigEndian.AppendUint64(b, p.length)
	b = binary.BigEndian.AppendUint32(b, p.size)
	b = binary.BigEndian.AppendUint32(b, p.sum)
	return &memcache.Item{Key: p.key, Value: b, Flags: manifest, Expiration: expiration(ttl, now)}
}

// partsOf reads a manifest; false if it is none that setSplit would write.
func partsOf(item *memcache.Item) (parts, bool) {
	if item.Flags != manifest || len(item.Value) != manifestSize {
		return parts{}, false
	}
	b := item.Value[endSize:]
	p := parts{
		key:        item.Key,
		generation: binary.BigEndian.Uint64(b),
		length:     binary.BigEndian.Uint64(b[8:]),
		size:       binary.BigEndian.Uint32(b[16:]),
		sum:        binary.BigEndian.Uint32(b[20:]),
	}
	return p, 0 < p.size && p.size <= maxItemSize && p.length <= maxParts*uint64(p.size)
}

// setSplit stores a value in parts.
func (b *Backend) setSplit(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	size := b.config.room()
	if len(value) > maxParts*size {
		if _, err := b.remove(ctx, "set", key); err != nil {
			return err
		}
		return driver.Refuse("set", key, "%w: it has %d bytes; at most %d parts of %d are allowed",
			store.ErrTooLarge, len(value), maxParts, size)
	}
	before, err := b.item(ctx, "set", key)
	if err != nil && err != store.ErrNotFound {
		return err
	}
	p := parts{
		key: key, generation: rand.Uint64(), length: uint64(len(value)), size: uint32(size),
		sum: crc32.Checksum(value, castagnoli),
	}
	i := 0
	for piece := range slices.Chunk(value, size) {
		item := &memcache.Item{Key: p.name(i), Value: piece, Flags: part,
			Expiration: expiration(ttl, time.Now())}
		if err := b.put(ctx, key, item); err != nil {
			return err
		}
		i++
	}
	if err := b.put(ctx, key, p.item(ttl, time.Now())); err != nil {
		return err
	}
	b.removeParts(ctx, before)
	return nil
}

// join reads the value that a manifest stands for. If a part is gone, the value may have been
// replaced meanwhile: it looks again, once.
func (b *Backend) join(ctx context.Context, op string, item *memcache.Item) ([]byte, error) {
	p, ok := partsOf(item)
	if !ok {
		return item.Value, nil // another program's after all
	}
	value, err := b.joinParts(ctx, op, p)
	if err != store.ErrNotFound {
		return value, err
	}
	if item, err = b.item(ctx, op, p.key); err != nil {
		return nil, err
	}
	if item.Flags == wholeValue && len(item.Value) >= endSize {
		return item.Value[endSize:], nil
	}
	if now, ok := partsOf(item); ok && now.generation != p.generation {
		return b.joinParts(ctx, op, now)
	}
	return nil, store.ErrNotFound
}

// joinParts returns store.ErrNotFound if a part is gone, or another's.
func (b *Backend) joinParts(ctx context.Context, op string, p parts) ([]byte, error) {
	var value []byte
	for from := 0; from < p.count(); from += partsAtOnce {
		names := p.names(from, min(from+partsAtOnce, p.count()))
		var items map[string]*memcache.Item
		err := b.call(ctx, op, p.key, repeated, func(c *memcache.Client) (err error) {
			items, err = c.GetMulti(names)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if items[n] == nil || items[n].Flags != part {
				return nil, store.ErrNotFound
			}
			if value == nil && p.length <= uint64(len(names)*len(items[n].Value)) {
				value = make([]byte, 0, p.length)
			}
			value = append(value, items[n].Value...)
		}
	}
	if uint64(len(value)) != p.length || crc32.Checksum(value, castagnoli) != p.sum {
		return nil, store.ErrNotFound
	}
	return value, nil
}

// removeParts removes what an item that has been removed or replaced referred to, if anything. What
// it cannot remove nobody refers to: the servers will.
func (b *Backend) removeParts(ctx context.Context, item *memcache.Item) {
	if item == nil {
		return
	}
	p, ok := partsOf(item)
	for i := 0; ok && i < p.count(); i++ {
		if _, err := b.remove(ctx, "delete", p.name(i)); err != nil {
			return
		}
	}
}

// touchParts gives the parts of a manifest, if the item is one, the lifetime that it has.
func (b *Backend) touchParts(ctx context.Context, item *memcache.Item) error {
	p, ok := partsOf(item)
	for i := 0; ok && i < p.count(); i++ {
		err := b.call(ctx, "expire", p.name(i), repeated, func(c *memcache.Client) error {
			return c.Touch(p.name(i), item.Expiration)
		})
		if fault.Made(err) {
			return err
		}
	}
	return nil
}

package dynamostore

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store"
)

// A value that does not fit an item lies in parts. The item under its own key has the first part,
// and the length and the checksum of the whole; it is written last. The others have partitions of
// their own, so that a great value is not read from one, named by the key and by what is random for
// each Set. So a reader finds the parts of one Set, all of them, or nothing.
type parts struct {
	key    string
	once   []byte
	length uint64 // of the value
	sum    uint32 // CRC-32C of the value
}

const (
	maxParts    = 256
	partsAtOnce = 8  // asked for, or written, in one exchange, which has one timeout
	mostAtOnce  = 25 // requests of a batch of writes
	batchTries  = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// partsOf reads what an item says of the parts of its value; false if that is whole.
func partsOf(key string, i item) (parts, bool) {
	length, ok := numberOf(i, attrLength)
	if !ok {
		return parts{}, false
	}
	p := parts{key: key, length: length}
	sum, _ := numberOf(i, attrSum)
	p.sum = uint32(sum)
	p.once, _ = bytesOf(i, attrOnce)
	return p, true
}

// count is how many parts there are besides the first.
func (p parts) count() int {
	if p.length > maxParts*room {
		return 0 // none of ours: its checksum will not hold
	}
	return (int(p.length) - 1) / room
}

// at is the primary key of a part, from 1 on.
func (p parts) at(n int) item {
	return keyOf(fmt.Sprintf("%s%s~%s~%d", partKeys, p.key, hexOf(p.once), n), sortPart)
}

func (p parts) deletions() []types.WriteRequest {
	var all []types.WriteRequest
	for n := range p.count() {
		all = append(all, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: p.at(n + 1)}})
	}
	return all
}

// setParts stores a value in parts.
func (b *Backend) setParts(
	ctx context.Context, key string, value []byte, ttl time.Duration,
) error {
	p := parts{key: key, once: random(), length: uint64(len(value)),
		sum: crc32.Checksum(value, castagnoli)}
	now := b.clock.now() // for all parts, however long it takes to write them
	expires := number(seconds(endAfter(now, ttl)))
	var puts []types.WriteRequest
	for piece := range slices.Chunk(value[room:], room) {
		i := p.at(len(puts) + 1)
		i[attrValue], i[attrExpires] = binaries(piece), expires
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: i}})
	}
	for some := range slices.Chunk(puts, partsAtOnce) {
		if err := b.write(ctx, "set", key, some); err != nil {
			return err
		}
	}
	return b.put(ctx, key, value[:room], now, ttl, item{
		attrOnce: binaries(p.once), attrLength: number(p.length), attrSum: number(p.sum),
	})
}

// write makes writes in batches. What the server does not do of a batch it asks for again.
func (b *Backend) write(
	ctx context.Context, op, key string, all []types.WriteRequest,
) error {
	for some := range slices.Chunk(all, mostAtOnce) {
		for try := 1; len(some) > 0; try++ {
			if try > batchTries {
				return b.unprocessed(op, key)
			}
			if try > 1 {
				if err := backOff(ctx, try-1); err != nil {
					return b.fail(ctx, op, key, err)
				}
			}
			out, err := call(ctx, b, op, key, (*dynamodb.Client).BatchWriteItem,
				&dynamodb.BatchWriteItemInput{
					RequestItems: map[string][]types.WriteRequest{b.config.Table: some}})
			if err != nil {
				return err
			}
			some = out.UnprocessedItems[b.config.Table]
		}
	}
	return nil
}

func (b *Backend) unprocessed(op, key string) error {
	return driver.Fail(op, key, store.KindTransient, errUnprocessed)
}

// join reads the value whose first part was found. If a part is missing, the value may have been
// replaced meanwhile, or an eventual read be behind: it looks again, once.
func (b *Backend) join(ctx context.Context, op string, p parts, found item) ([]byte, error) {
	value, err := b.joinParts(ctx, op, p, found, !b.config.EventualReads)
	if err != store.ErrNotFound {
		return value, err
	}
	if found, err = b.look(ctx, op, p.key, true, ""); err != nil {
		return nil, err
	}
	now, ok := partsOf(p.key, found)
	switch {
	case !ok:
		return wholeValue(found)
	case b.config.EventualReads || string(now.once) != string(p.once):
		return b.joinParts(ctx, op, now, found, true)
	}
	return nil, store.ErrNotFound
}

// joinParts returns store.ErrNotFound if a part is missing, or another's.
func (b *Backend) joinParts(
	ctx context.Context, op string, p parts, found item, consistent bool,
) ([]byte, error) {
	first, _ := bytesOf(found, attrValue)
	if len(first) != room || p.count() == 0 {
		return nil, store.ErrNotFound
	}
	value := append(make([]byte, 0, p.length), first...)
	for from := 1; from <= p.count(); from += partsAtOnce {
		to := min(from+partsAtOnce-1, p.count())
		some, err := b.getParts(ctx, op, p, from, to, consistent)
		if err != nil {
			return nil, err
		}
		for _, piece := range some {
			value = append(value, piece...)
		}
	}
	if uint64(len(value)) != p.length || crc32.Checksum(value, castagnoli) != p.sum {
		return nil, store.ErrNotFound
	}
	return value, nil
}

// getParts reads parts from a number to another, in one exchange, or several where the server has
// too much to do.
func (b *Backend) getParts(
	ctx context.Context, op string, p parts, from, to int, consistent bool,
) ([][]byte, error) {
	all, places := make([][]byte, to-from+1), make(map[string]int)
	var ask []map[string]types.AttributeValue
	for n := from; n <= to; n++ {
		at := p.at(n)
		places[textOf(at, attrKey)] = n - from
		ask = append(ask, at)
	}
	for try := 1; len(ask) > 0; try++ {
		if try > batchTries {
			return nil, b.unprocessed(op, p.key)
		}
		if try > 1 {
			if err := backOff(ctx, try-1); err != nil {
				return nil, b.fail(ctx, op, p.key, err)
			}
		}
		out, err := call(ctx, b, op, p.key, (*dynamodb.Client).BatchGetItem,
			&dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
				b.config.Table: {Keys: ask, ConsistentRead: aws.Bool(consistent),
					ProjectionExpression:     aws.String("#k, #v"),
					ExpressionAttributeNames: names{"#k": attrKey, "#v": attrValue}}}})
		if err != nil {
			return nil, err
		}
		for _, i := range out.Responses[b.config.Table] {
			if n, ok := places[textOf(i, attrKey)]; ok {
				all[n], _ = bytesOf(i, attrValue)
			}
		}
		ask = out.UnprocessedKeys[b.config.Table].Keys
	}
	if slices.ContainsFunc(all, func(piece []byte) bool { return piece == nil }) {
		return nil, store.ErrNotFound
	}
	return all, nil
}

// expireParts gives the parts of a value another end. One that is missing stays so.
func (b *Backend) expireParts(ctx context.Context, p parts, end int64) error {
	for n := range p.count() {
		_, err := call(ctx, b, "expire", p.key, (*dynamodb.Client).UpdateItem,
			&dynamodb.UpdateItemInput{
				TableName: &b.config.Table, Key: p.at(n + 1),
				UpdateExpression:          aws.String("SET #x = :expires"),
				ConditionExpression:       aws.String("attribute_exists(#k)"),
				ExpressionAttributeNames:  names{"#x": attrExpires, "#k": attrKey},
				ExpressionAttributeValues: item{":expires": number(seconds(end))},
			})
		if err != nil && err != errCondition {
			return err
		}
	}
	return nil
}

package dynamostore

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// get returns an item, or nil where there is none. projection names the attributes to return;
// empty: all.
func (b *Backend) get(
	ctx context.Context, op, key string, at item, consistent bool, projection string,
) (item, error) {
	in := &dynamodb.GetItemInput{TableName: &b.config.Table, Key: at}
	if consistent {
		in.ConsistentRead = aws.Bool(true)
	}
	if projection != "" {
		in.ProjectionExpression, in.ExpressionAttributeNames = &projection, headNames
	}
	out, err := call(ctx, b, op, key, (*dynamodb.Client).GetItem, in)
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// head has all that an item of a value has but the value.
const head = "#e, #o, #l, #s"

var headNames = names{"#e": attrEnd, "#o": attrOnce, "#l": attrLength, "#s": attrSum}

// look returns the item under a key, if it has not ended; store.ErrNotFound otherwise.
func (b *Backend) look(
	ctx context.Context, op, key string, consistent bool, projection string,
) (item, error) {
	if err := driver.CheckKey(op, key); err != nil {
		return nil, err
	}
	found, err := b.get(ctx, op, key, keyOf(key, sortValue), consistent, projection)
	switch {
	case err != nil:
		return nil, err
	case found == nil || ended(found, b.clock.now()):
		return nil, store.ErrNotFound
	}
	return found, nil
}

// Get implements [store.Backend]. It returns what another program has put there as it is: a Store
// sees that it is no entry.
func (b *Backend) Get(ctx context.Context, key string) ([]byte, error) {
	return b.read(ctx, "get", key)
}

func (b *Backend) read(ctx context.Context, op, key string) ([]byte, error) {
	found, err := b.look(ctx, op, key, !b.config.EventualReads, "")
	if err != nil {
		return nil, err
	}
	if p, ok := partsOf(key, found); ok {
		return b.join(ctx, op, p, found)
	}
	return wholeValue(found)
}

func wholeValue(found item) ([]byte, error) {
	value, ok := bytesOf(found, attrValue)
	if !ok {
		return nil, store.ErrNotFound // another program's
	}
	return value, nil
}

// Exists implements [store.Backend]. It costs what Get costs: DynamoDB counts what it reads, not
// what it returns. A value in parts is read.
func (b *Backend) Exists(ctx context.Context, key string) (bool, error) {
	found, err := b.look(ctx, "exists", key, !b.config.EventualReads, head)
	if err == nil {
		if _, ok := partsOf(key, found); ok {
			_, err = b.read(ctx, "exists", key)
		}
	}
	if err == store.ErrNotFound {
		return false, nil
	}
	return err == nil, err
}

// Set implements [store.Backend]. A value that does not fit one item goes into several, or is
// refused with a permanent error; then what was there is removed.
func (b *Backend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := driver.CheckKey("set", key); err != nil {
		return err
	}
	if ttl <= 0 {
		_, err := b.remove(ctx, "set", key)
		return err
	}
	if most := b.MaxValue(); int64(len(value)) > most {
		// The removal's error counts for more: what was there is there still.
		if _, err := b.remove(ctx, "set", key); err != nil {
			return err
		}
		return driver.Refuse("set", key, "%w: it has %d bytes, and at most %d are allowed with "+
			"oversize=%s", store.ErrTooLarge, len(value), most, b.config.Oversize)
	}
	if len(value) > room {
		return b.setParts(ctx, key, value, ttl)
	}
	return b.put(ctx, key, value, b.clock.now(), ttl, item{attrOnce: binaries(random())})
}

// put stores the item of a value, which lives for ttl from now on, with what else it has.
func (b *Backend) put(
	ctx context.Context, key string, value []byte, now int64, ttl time.Duration, i item,
) error {
	if value == nil {
		value = []byte{} // not NULL
	}
	i[attrKey], i[attrSort], i[attrValue] = text(key), text(sortValue), binaries(value)
	ends(i, now, ttl)
	_, err := call(ctx, b, "set", key, (*dynamodb.Client).PutItem,
		&dynamodb.PutItemInput{TableName: &b.config.Table, Item: i})
	return err
}

// Delete implements [store.Backend].
func (b *Backend) Delete(ctx context.Context, key string) (existed bool, err error) {
	if err := driver.CheckKey("delete", key); err != nil {
		return false, err
	}
	return b.remove(ctx, "delete", key)
}

// remove deletes what lies under key, ended or not, with its parts, and reports whether there was
// something that had not ended.
func (b *Backend) remove(ctx context.Context, op, key string) (existed bool, err error) {
	out, err := call(ctx, b, op, key, (*dynamodb.Client).DeleteItem, &dynamodb.DeleteItemInput{
		TableName: &b.config.Table, Key: keyOf(key, sortValue),
		ReturnValues: types.ReturnValueAllOld,
	})
	if err != nil {
		return false, err
	}
	if p, ok := partsOf(key, out.Attributes); ok {
		_ = b.write(ctx, op, key, p.deletions()) // what stays nothing refers to, and it expires
	}
	return len(out.Attributes) > 0 && !ended(out.Attributes, b.clock.now()), nil
}

// TTL implements [store.TTLer], to the millisecond. Another program's value that has no end is a
// permanent error.
func (b *Backend) TTL(ctx context.Context, key string) (time.Duration, error) {
	found, err := b.look(ctx, "ttl", key, !b.config.EventualReads, head)
	if err != nil {
		return 0, err
	}
	end, ok := numberOf(found, attrEnd)
	if !ok {
		return 0, driver.Refuse("ttl", key, "the value is another program's, and does not tell "+
			"when it ends")
	}
	left := int64(end) - b.clock.now()
	if left <= 0 {
		return 0, store.ErrNotFound
	}
	return lifetime.Of(left, time.Millisecond), nil
}

// Expire implements [store.Expirer]. It writes to the item that is there, whatever its value; with
// one in parts, to those first.
func (b *Backend) Expire(
	ctx context.Context, key string, ttl time.Duration,
) (existed bool, err error) {
	const op = "expire"
	if err := driver.CheckKey(op, key); err != nil {
		return false, err
	}
	if ttl <= 0 {
		return b.remove(ctx, op, key)
	}
	end := endAfter(b.clock.now(), ttl)
	err = b.expire(ctx, key, end, "attribute_not_exists(#l)", nil)
	if err != errCondition {
		return err == nil, err
	}
	found, err := b.look(ctx, op, key, true, head)
	switch {
	case err == store.ErrNotFound:
		return false, nil
	case err != nil:
		return false, err
	}
	p, ok := partsOf(key, found)
	if before, _ := numberOf(found, attrEnd); ok && uint64(end) > before {
		if err := b.expireParts(ctx, p, end); err != nil {
			return false, err
		}
	}
	if !ok { // it has just taken the place of one in parts: as if that call had come last
		return true, nil
	}
	err = b.expire(ctx, key, end, "#o = :once", item{":once": binaries(p.once)})
	if err == errCondition {
		return true, nil
	}
	return err == nil, err
}

// expire changes the end of the item under key, if it has not ended and the condition holds.
func (b *Backend) expire(
	ctx context.Context, key string, end int64, condition string, values item,
) error {
	in := &dynamodb.UpdateItemInput{
		TableName: &b.config.Table, Key: keyOf(key, sortValue),
		UpdateExpression:         aws.String("SET #e = :end, #x = :expires"),
		ConditionExpression:      aws.String("#e > :now AND " + condition),
		ExpressionAttributeNames: names{"#e": attrEnd, "#x": attrExpires},
		ExpressionAttributeValues: item{":end": number(end), ":expires": number(seconds(end)),
			":now": number(b.clock.now())},
	}
	if values == nil {
		in.ExpressionAttributeNames["#l"] = attrLength
	} else {
		in.ExpressionAttributeNames["#o"] = attrOnce
	}
	for name, v := range values {
		in.ExpressionAttributeValues[name] = v
	}
	_, err := call(ctx, b, "expire", key, (*dynamodb.Client).UpdateItem, in)
	return err
}

// MaxValue implements [store.ValueLimited]: what fits one item, or as many as a value is split
// into.
func (b *Backend) MaxValue() int64 {
	if b.config.Oversize == OversizeRefuse {
		return room
	}
	return room * int64(b.most)
}

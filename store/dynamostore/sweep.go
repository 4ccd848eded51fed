package dynamostore

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/freshet-go/freshet/store"
)

var _ store.ValueSweeper = (*Backend)(nil)

// sweepBatch is how many values SweepValues looks at between rests.
const sweepBatch = 100

// SweepValues implements [store.ValueSweeper], if Config.Sweep says so; otherwise it looks at
// nothing. It reads the whole table. The parts of what it removes go when their time is over.
func (b *Backend) SweepValues(
	ctx context.Context, prefix string, n int,
	dead func(head []byte, size int64) bool, rest func(context.Context) error,
) (swept store.Swept, err error) {
	const op = "sweep"
	if err := driver.CheckPrefix(op, prefix); err != nil || !b.config.Sweep {
		return swept, err
	}
	in := &dynamodb.ScanInput{
		TableName: &b.config.Table, Limit: aws.Int32(sweepBatch),
		FilterExpression:          aws.String("#t = :value AND attribute_exists(#o)"),
		ExpressionAttributeNames:  names{"#t": attrSort, "#o": attrOnce},
		ExpressionAttributeValues: item{":value": text(sortValue)},
	}
	if prefix != "" {
		*in.FilterExpression += " AND begins_with(#k, :prefix)"
		in.ExpressionAttributeNames["#k"] = attrKey
		in.ExpressionAttributeValues[":prefix"] = text(prefix)
	}
	for {
		if rest != nil {
			if err := rest(ctx); err != nil {
				return swept, err
			}
		}
		out, err := patiently(ctx, b, op, prefix, (*dynamodb.Client).Scan, in)
		if err != nil {
			return swept, err
		}
		for _, i := range out.Items {
			if err := b.sweepOne(ctx, i, n, dead, &swept); err != nil {
				return swept, err
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return swept, nil
		}
	}
}

// sweepOne removes a value if it is dead, unless it was replaced since.
func (b *Backend) sweepOne(
	ctx context.Context, i item, n int, dead func(head []byte, size int64) bool, swept *store.Swept,
) error {
	if ended(i, b.clock.now()) {
		return nil
	}
	value, _ := bytesOf(i, attrValue)
	once, _ := bytesOf(i, attrOnce)
	size := int64(len(value))
	if p, ok := partsOf("", i); ok {
		size = int64(p.length)
	}
	swept.Seen++
	if !dead(value[:min(n, len(value))], size) {
		return nil
	}
	key := textOf(i, attrKey)
	_, err := patiently(ctx, b, "sweep", key, (*dynamodb.Client).DeleteItem,
		&dynamodb.DeleteItemInput{
			TableName: &b.config.Table, Key: keyOf(key, sortValue),
			ConditionExpression:       aws.String("#o = :once"),
			ExpressionAttributeNames:  names{"#o": attrOnce},
			ExpressionAttributeValues: item{":once": binaries(once)},
		})
	if err == errCondition {
		return nil
	}
	if err == nil {
		swept.Removed++
		swept.RemovedBytes += size
	}
	return err
}

package dynamostore

import (
	"context"
	"iter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A walk over the table reads all of it, whatever it returns: DynamoDB finds keys whole, not by
// their beginnings.

// scan reads the whole table and yields what the filter lets through, a page of up to 1 MB at a
// time. The filter names attributes as in scanNames, and values as in values.
func (b *Backend) scan(
	ctx context.Context, op, prefix, filter, projection string, values item,
) iter.Seq2[[]map[string]types.AttributeValue, error] {
	return func(yield func([]map[string]types.AttributeValue, error) bool) {
		in := &dynamodb.ScanInput{
			TableName: &b.config.Table, ConsistentRead: aws.Bool(true),
			FilterExpression: &filter, ProjectionExpression: &projection,
			ExpressionAttributeNames: scanNames, ExpressionAttributeValues: values,
		}
		for {
			out, err := patiently(ctx, b, op, prefix, (*dynamodb.Client).Scan, in)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(out.Items, nil) || len(out.LastEvaluatedKey) == 0 {
				return
			}
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
	}
}

var scanNames = names{"#k": attrKey, "#t": attrSort, "#e": attrEnd}

// List implements [store.Lister]. It reads the whole table.
func (b *Backend) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := driver.CheckPrefix("list", prefix); err != nil {
			yield("", err)
			return
		}
		filter, values := "#t = :value", item{":value": text(sortValue)}
		if prefix != "" {
			filter += " AND begins_with(#k, :prefix)"
			values[":prefix"] = text(prefix)
		}
		for page, err := range b.scan(ctx, "list", prefix, filter, "#k, #e", values) {
			if err != nil {
				yield("", err)
				return
			}
			for _, i := range page {
				if !ended(i, b.clock.now()) && !yield(textOf(i, attrKey), nil) {
					return
				}
			}
		}
	}
}

// Flush implements [store.Flusher]. It reads the whole table, and removes the parts of values as
// well, those of values that were replaced included.
func (b *Backend) Flush(ctx context.Context, prefix string) (removed int64, err error) {
	const op = "flush"
	if err := driver.CheckFlush(prefix); err != nil {
		return 0, err
	}
	if err := driver.CheckPrefix(op, prefix); err != nil {
		return 0, err
	}
	const filter = "#t = :value AND begins_with(#k, :prefix) OR #t = :part AND begins_with(#k, :parts)"
	values := item{":value": text(sortValue), ":prefix": text(prefix),
		":part": text(sortPart), ":parts": text(partKeys + prefix)}
	for page, err := range b.scan(ctx, op, prefix, filter, "#k, #t, #e", values) {
		if err != nil {
			return removed, err
		}
		n, err := b.deleteAll(ctx, op, prefix, page)
		if removed += n; err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// deleteAll deletes items, and returns how many of them were values that had not ended.
func (b *Backend) deleteAll(
	ctx context.Context, op, prefix string, page []map[string]types.AttributeValue,
) (values int64, err error) {
	for len(page) > 0 {
		some := page[:min(len(page), mostAtOnce)]
		page = page[len(some):]
		var alive int64
		var deletions []types.WriteRequest
		for _, i := range some {
			if textOf(i, attrSort) == sortValue && !ended(i, b.clock.now()) {
				alive++
			}
			deletions = append(deletions, types.WriteRequest{DeleteRequest: &types.DeleteRequest{
				Key: keyOf(textOf(i, attrKey), textOf(i, attrSort))}})
		}
		if err := b.writePatiently(ctx, op, prefix, deletions); err != nil {
			return values, err
		}
		values += alive
	}
	return values, nil
}

// writePatiently is write for walks over the whole table.
func (b *Backend) writePatiently(
	ctx context.Context, op, key string, all []types.WriteRequest,
) error {
	for try := 1; ; try++ {
		err := b.write(ctx, op, key, all)
		if err == nil || !throttled(err) || try == patientTries {
			return err
		}
		if e := backOff(ctx, try); e != nil {
			return b.fail(ctx, op, key, e)
		}
	}
}

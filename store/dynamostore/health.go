package dynamostore

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/freshet-go/freshet/store"
)

// healthKey is of no item.
const healthKey = "~health~"

// Health implements [store.Backend]. It reads an item that is not there; its latency is that of
// this. Then it asks for the table's state, its key and its time to live, where it may.
func (b *Backend) Health(ctx context.Context) (store.Health, error) {
	const op = "health"
	h := store.Health{Backend: "dynamodb", Details: map[string]string{
		"table": b.config.Table, "region": b.config.Region}}
	start := time.Now()
	_, err := b.get(ctx, op, "", keyOf(healthKey, sortValue), !b.config.EventualReads, head)
	h.Latency = time.Since(start)
	if err != nil {
		return h, err
	}
	table, err := b.describe(ctx, op)
	switch {
	case store.KindOf(err) == store.KindAuthentication:
		return h, nil // the role may not, and need not
	case err != nil:
		return h, err
	case table == nil:
		return h, nil // it was read a moment ago
	}
	h.Details["status"] = string(table.TableStatus)
	h.Details["items"] = strconv.FormatInt(aws.ToInt64(table.ItemCount), 10)
	h.Details["bytes"] = strconv.FormatInt(aws.ToInt64(table.TableSizeBytes), 10)
	if table.BillingModeSummary != nil {
		h.Details["billing"] = string(table.BillingModeSummary.BillingMode)
	}
	if err := b.checkKeySchema(op, table); err != nil {
		return h, err
	}
	return h, b.adviseTTL(ctx, op, h.Details)
}

// adviseTTL says when nothing deletes what has ended.
func (b *Backend) adviseTTL(ctx context.Context, op string, details map[string]string) error {
	on, err := b.hasTTL(ctx, op)
	switch {
	case store.KindOf(err) == store.KindAuthentication:
		return nil
	case err != nil:
		return err
	case !on:
		details["ttl_advice"] = "the table " + b.config.Table + " has no time to live: what has " +
			"ended stays and is paid for; enable it by the attribute " + attrExpires
	}
	return nil
}

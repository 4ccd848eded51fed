package dynamostore

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store"
)

// lease is a lease as its holder knows it.
type lease struct {
	backend *Backend
	name    string
	token   []byte
}

// TryLock implements [store.Locker], in one round trip. DynamoDB tells no time in a condition, so
// that the clocks of the processes end a lease: where they differ, or differ from the server's by
// less than 2 seconds, by as much earlier or later.
func (b *Backend) TryLock(
	ctx context.Context, name string, ttl time.Duration,
) (store.Lease, bool, error) {
	const op = "lock"
	if err := driver.CheckLease(op, name, ttl); err != nil {
		return nil, false, err
	}
	l := &lease{backend: b, name: name, token: make([]byte, 16)}
	rand.Read(l.token)
	now := b.clock.now()
	i := keyOf(leaseKeys+name, sortLease)
	i[attrValue] = binaries(l.token)
	ends(i, now, ttl)
	_, err := call(ctx, b, op, name, (*dynamodb.Client).PutItem, &dynamodb.PutItemInput{
		TableName: &b.config.Table, Item: i,
		// A token that is there is of this very call, whose first answer was lost.
		ConditionExpression:       aws.String("attribute_not_exists(#k) OR #e <= :now OR #v = :token"),
		ExpressionAttributeNames:  names{"#k": attrKey, "#e": attrEnd, "#v": attrValue},
		ExpressionAttributeValues: item{":now": number(now), ":token": binaries(l.token)},
	})
	switch err {
	case nil:
		return l, true, nil
	case errCondition:
		return nil, false, nil
	}
	return nil, false, err
}

// Unlock implements [store.Lease]. After its ttl the lease is freed, too, if nobody else has taken
// it, but was held no more.
func (l *lease) Unlock(ctx context.Context) (held bool, err error) {
	b := l.backend
	out, err := call(ctx, b, "unlock", l.name, (*dynamodb.Client).DeleteItem,
		&dynamodb.DeleteItemInput{
			TableName: &b.config.Table, Key: keyOf(leaseKeys+l.name, sortLease),
			ConditionExpression:       aws.String("#v = :token"),
			ExpressionAttributeNames:  names{"#v": attrValue},
			ExpressionAttributeValues: item{":token": binaries(l.token)},
			ReturnValues:              types.ReturnValueAllOld,
		})
	switch err {
	case nil:
		return !ended(out.Attributes, b.clock.now()), nil
	case errCondition:
		return false, nil
	}
	return false, err
}

package dynamostore

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store"
)

// The members of a journal share a partition, an item each, sorted by their IDs.

var _ store.Membership = (*journal)(nil)

const (
	attrName    = "name"    // S
	attrApplied = "applied" // N
	attrRenewed = "renewed" // N: when, in milliseconds of the Unix clock

	// memberSlack is for how much longer than its lease a member is listed, since clocks differ:
	// who is taken for gone too soon may serve what was invalidated.
	memberSlack = 5 * time.Second
)

func (j *journal) memberKey() string { return memberKeys + j.prefix }

// Renew implements [store.Membership], in one round trip, or three by who joins.
func (j *journal) Renew(ctx context.Context, m store.Member) error {
	const op = "renew"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return err
	}
	if err := driver.CheckMember(j.prefix, m); err != nil {
		return err
	}
	now := j.backend.clock.now()
	i := keyOf(j.memberKey(), m.ID)
	i[attrName], i[attrApplied], i[attrRenewed] = text(m.Name), number(m.Applied), number(now)
	ends(i, now, store.LeaseTime+memberSlack)
	in := &dynamodb.PutItemInput{
		TableName: &j.backend.config.Table, Item: i,
		ConditionExpression:       aws.String("#e > :now"), // who is on the list
		ExpressionAttributeNames:  names{"#e": attrEnd},
		ExpressionAttributeValues: item{":now": number(now)},
	}
	_, err := call(ctx, j.backend, op, j.prefix, (*dynamodb.Client).PutItem, in)
	if err != errCondition {
		return err
	}
	all, err := j.list(ctx, op)
	if err != nil {
		return err
	}
	if len(all) >= j.members {
		return driver.Full(j.prefix, j.members)
	}
	in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues = nil, nil, nil
	_, err = call(ctx, j.backend, op, j.prefix, (*dynamodb.Client).PutItem, in)
	return err
}

// Members implements [store.Membership], in a round trip for each 1 MB of them. Ages go by
// the clocks of the member and of this process.
func (j *journal) Members(ctx context.Context) ([]store.Member, error) {
	const op = "members"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return nil, err
	}
	return j.list(ctx, op)
}

func (j *journal) list(ctx context.Context, op string) (all []store.Member, err error) {
	in := &dynamodb.QueryInput{
		TableName: &j.backend.config.Table, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("#k = :key"),
		ExpressionAttributeNames:  names{"#k": attrKey},
		ExpressionAttributeValues: item{":key": text(j.memberKey())},
	}
	for {
		out, err := call(ctx, j.backend, op, j.prefix, (*dynamodb.Client).Query, in)
		if err != nil {
			return nil, err
		}
		now := j.backend.clock.now()
		for _, i := range out.Items {
			if ended(i, now) {
				continue
			}
			m, ok := readMember(i, now)
			if !ok {
				return nil, driver.Refuse(op, j.prefix, "a member of the journal is not ours: "+
					"another program has written there")
			}
			all = append(all, m)
		}
		if len(out.LastEvaluatedKey) == 0 {
			return all, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// readMember reads a member whose lease has not ended.
func readMember(i map[string]types.AttributeValue, now int64) (store.Member, bool) {
	applied, ok1 := numberOf(i, attrApplied)
	renewed, ok2 := numberOf(i, attrRenewed)
	age := now - int64(min(renewed, 1<<62))
	m := store.Member{
		ID: textOf(i, attrSort), Name: textOf(i, attrName), Applied: applied,
		Age: time.Duration(min(max(age, 0), store.LeaseTime.Milliseconds()-1)) * time.Millisecond,
	}
	return m, ok1 && ok2 && m.Validate() == nil
}

// Leave implements [store.Membership], in one round trip.
func (j *journal) Leave(ctx context.Context, id string) error {
	const op = "leave"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return err
	}
	if (store.Member{ID: id}).Validate() != nil {
		return nil // nobody is on the list under it
	}
	_, err := call(ctx, j.backend, op, j.prefix, (*dynamodb.Client).DeleteItem,
		&dynamodb.DeleteItemInput{TableName: &j.backend.config.Table, Key: keyOf(j.memberKey(), id)})
	return err
}

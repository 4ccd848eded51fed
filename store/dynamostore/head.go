package dynamostore

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// head returns the head, which has the number of every record. If there is none it begins the
// journal, above known.
func (j *journal) head(ctx context.Context, op string, known uint64) (headItem, error) {
	for range 3 {
		asked := time.Now()
		out, err := call(ctx, j.backend, op, j.prefix, (*dynamodb.Client).Query,
			&dynamodb.QueryInput{
				TableName: &j.backend.config.Table, ConsistentRead: aws.Bool(true),
				KeyConditionExpression: aws.String("#k = :key"),
				ProjectionExpression:   aws.String("#t, #n, #b, #g"),
				ExpressionAttributeNames: names{"#k": attrKey, "#t": attrSort, "#n": attrNumber,
					"#b": attrBytes, "#g": attrBegun},
				ExpressionAttributeValues: item{":key": text(j.key())},
				ScanIndexForward:          aws.Bool(false), Limit: aws.Int32(2),
			})
		if err != nil {
			return headItem{}, err
		}
		h, ok, newest := headOf(out.Items)
		if !ok {
			if err := j.begin(ctx, op, headItem{}, known); err != nil {
				return headItem{}, err
			}
			continue
		}
		return j.settle(ctx, op, h, newest, asked)
	}
	return headItem{}, j.lostAgain(op)
}

func (j *journal) lostAgain(op string) error {
	return driver.Fail(op, j.prefix, store.KindTransient,
		errors.New("the table loses the journal's head as soon as it is written"))
}

// headOf returns the head among items, and the newest record.
func headOf(items []map[string]types.AttributeValue) (h headItem, ok bool, newest record) {
	for _, i := range items {
		if textOf(i, attrSort) == sortHead {
			h, ok = readHead(i)
		} else if r, found := readRecord(i); found && r.last > newest.last {
			newest = r
		}
	}
	return h, ok, newest
}

// settle returns the head, once it has the number of the newest record.
func (j *journal) settle(
	ctx context.Context, op string, h headItem, newest record, asked time.Time,
) (headItem, error) {
	if newest.last > h.number && newest.first > h.begun {
		h.number, h.bytes = newest.last, newest.bytes
		if err := j.advance(ctx, op, h); err != nil && err != errCondition {
			return headItem{}, err
		}
	}
	j.saw(h, asked)
	return h, nil
}

// readHead reads the head alone.
func (j *journal) readHead(ctx context.Context, op string) (headItem, bool, error) {
	i, err := j.backend.get(ctx, op, j.prefix, keyOf(j.key(), sortHead), true, "")
	if err != nil || i == nil {
		return headItem{}, false, err
	}
	h, ok := readHead(i)
	return h, ok, nil
}

// begin writes a head, in the place of the one that was read, unless another process does so first.
// Its number stands for everything before: no record has it.
func (j *journal) begin(ctx context.Context, op string, before headItem, known uint64) error {
	j.mu.Lock()
	known = max(known, before.number, j.known.number)
	j.mu.Unlock()
	if known >= 1<<62 { // no journal that began at the clock can have reached it
		known = before.number
	}
	begun := history.Begin(known)
	i := keyOf(j.key(), sortHead)
	i[attrNumber], i[attrBegun], i[attrBytes] = number(begun), number(begun), number(0)
	in := &dynamodb.PutItemInput{
		TableName: &j.backend.config.Table, Item: i,
		ConditionExpression:      aws.String("attribute_not_exists(#n)"),
		ExpressionAttributeNames: names{"#n": attrNumber},
	}
	if before.number > 0 {
		in.ConditionExpression = aws.String("#n = :n AND #g = :begun")
		in.ExpressionAttributeNames["#g"] = attrBegun
		in.ExpressionAttributeValues = item{":n": number(before.number), ":begun": number(before.begun)}
	}
	_, err := call(ctx, j.backend, op, j.prefix, (*dynamodb.Client).PutItem, in)
	j.forget()
	if err == errCondition {
		return nil
	}
	return err
}

// saw notes a head, and when it was asked for.
func (j *journal) saw(h headItem, asked time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if h.number >= j.known.number {
		j.known, j.at = h, asked
	}
}

// forget has the next Append look at the journal first.
func (j *journal) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.at = time.Time{}
}

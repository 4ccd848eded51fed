package dynamostore

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// Since implements [store.Journal], in one round trip where few marks are new.
func (j *journal) Since(
	ctx context.Context, number uint64,
) (marks []store.Numbered, head uint64, err error) {
	const op = "since"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return nil, 0, err
	}
	return j.since(ctx, op, number)
}

// since looks, and looks again where records seem to be missing: a query is no snapshot, so that it
// may find a record, or the head, and not the record before it, which was written while it ran.
// What is still missing at the next look is gone.
func (j *journal) since(
	ctx context.Context, op string, number uint64,
) (marks []store.Numbered, head uint64, err error) {
	for proved := uint64(0); ; {
		l, err := j.look(ctx, op, number)
		if err != nil {
			return nil, 0, err
		}
		if number >= l.head.number {
			return nil, l.head.number, nil
		}
		if l.gap() > proved {
			proved = l.newest()
			continue
		}
		marks, err := l.marks(ctx, op)
		return marks, l.head.number, err
	}
}

// look is what one look at a journal found.
type look struct {
	journal *journal
	head    headItem
	after   uint64 // the number asked for, or the greatest that is forgotten
	forgot  bool   // after is that
	records []record
	part    bool // there are more
}

// look asks for the records after a number.
func (j *journal) look(ctx context.Context, op string, after uint64) (*look, error) {
	l := &look{journal: j, after: after}
	if err := l.read(ctx, op); err != nil {
		return nil, err
	}
	if after >= l.head.number {
		return l, nil
	}
	least := l.head.begun
	if l.head.number-least > j.marks {
		least = l.head.number - j.marks
	}
	if after < least {
		l.after, l.forgot = least, true
		if err := l.read(ctx, op); err != nil {
			return nil, err
		}
	}
	if l.gap() > 0 && l.after > l.head.begun {
		return l, l.within(ctx, op)
	}
	return l, nil
}

// read fills in records, head and part.
func (l *look) read(ctx context.Context, op string) error {
	j, asked := l.journal, time.Now()
	out, err := l.query(ctx, op, "#k = :key AND #t > :after", &dynamodb.QueryInput{
		Limit: aws.Int32(history.PartMarks + 1)})
	if err != nil {
		return err
	}
	h, ok, newest := headOf(out.Items)
	l.part = len(out.LastEvaluatedKey) > 0 && !ok
	if l.part {
		if h, ok, err = j.readHead(ctx, op); err != nil {
			return err
		}
	}
	switch {
	case !ok:
		if err := j.begin(ctx, op, headItem{}, l.after); err != nil {
			return err
		}
		l.head, err = j.head(ctx, op, l.after)
	default:
		l.head, err = j.settle(ctx, op, h, newest, asked)
	}
	l.records = l.records[:0]
	for _, i := range out.Items {
		if r, ok := readRecord(i); ok && r.first > l.head.begun {
			l.records = append(l.records, r)
		}
	}
	return err
}

func (l *look) query(
	ctx context.Context, op, condition string, in *dynamodb.QueryInput,
) (*dynamodb.QueryOutput, error) {
	in.TableName, in.ConsistentRead = &l.journal.backend.config.Table, aws.Bool(true)
	in.KeyConditionExpression = &condition
	in.ExpressionAttributeNames = names{"#k": attrKey, "#t": attrSort}
	in.ExpressionAttributeValues = item{":key": text(l.journal.key()), ":after": text(sortOf(l.after))}
	return call(ctx, l.journal.backend, op, l.journal.prefix, (*dynamodb.Client).Query, in)
}

// within puts the record before the others that begins at or before the number asked for, if it
// reaches beyond it: a number may be in the middle of a record.
func (l *look) within(ctx context.Context, op string) error {
	out, err := l.query(ctx, op, "#k = :key AND #t <= :after", &dynamodb.QueryInput{
		Limit: aws.Int32(1), ScanIndexForward: aws.Bool(false)})
	if err != nil {
		return err
	}
	for _, i := range out.Items {
		if r, ok := readRecord(i); ok && r.last > l.after && r.first > l.head.begun {
			l.records = append([]record{r}, l.records...)
		}
	}
	return nil
}

// gap returns the greatest number at which a mark is missing, or 0.
func (l *look) gap() (gap uint64) {
	at := l.after
	for _, r := range l.records {
		if r.first > at+1 {
			gap = r.first - 1
		}
		at = max(at, r.last)
	}
	if !l.part && at < l.head.number {
		gap = l.head.number
	}
	return gap
}

// newest returns the greatest number that the look has seen.
func (l *look) newest() uint64 {
	if n := len(l.records); n > 0 && l.records[n-1].last > l.head.number {
		return l.records[n-1].last
	}
	return l.head.number
}

// marks returns the marks of a part, in order, and what stands for those that are forgotten.
func (l *look) marks(ctx context.Context, op string) ([]store.Numbered, error) {
	var all []store.Numbered
	at, bytes := l.after, 0
	forget := func(upTo uint64) {
		all, at, bytes = []store.Numbered{history.Forgotten(upTo)}, upTo, 0
	}
	if l.forgot {
		forget(l.after)
	}
	if gap := l.gap(); gap > 0 {
		forget(gap)
	}
	for _, r := range l.records {
		if r.last <= at {
			continue
		}
		if len(all) >= history.PartMarks || bytes >= history.PartBytes {
			return all, nil
		}
		if l.head.bytes-min(r.bytes, l.head.bytes) >= l.journal.bytes {
			forget(r.last)
			continue
		}
		marks, err := l.journal.marksOf(ctx, op, r)
		if err != nil {
			return nil, err
		}
		if marks == nil {
			forget(r.last)
			continue
		}
		for n, m := range marks {
			if number := r.first + uint64(n); number > at {
				all = append(all, store.Numbered{Mark: m, Number: number})
				bytes += len(m.Name)
			}
		}
		at = r.last
	}
	return all, nil
}

// marksOf returns the marks of a record, or none if they cannot be read.
func (j *journal) marksOf(ctx context.Context, op string, r record) (all []store.Mark, err error) {
	if r.pieces == 0 {
		if r.spoilt {
			return nil, nil
		}
		return r.marks, nil
	}
	for n := range r.pieces {
		i, err := j.backend.get(ctx, op, j.prefix, keyOf(j.piecesKey(r.once), sortOf(uint64(n))), true, "")
		if err != nil {
			return nil, err
		}
		marks, ok := readMarks(i)
		if !ok {
			return nil, nil
		}
		all = append(all, marks...)
	}
	if uint64(len(all)) != r.last-r.first+1 {
		return nil, nil
	}
	return all, nil
}

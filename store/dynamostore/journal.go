package dynamostore

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
	"github.com/freshet-go/freshet/store/internal/keys"
	"github.com/freshet-go/freshet/store/internal/pause"
)

const (
	// markLife is how long the table keeps a mark; DynamoDB deletes it some time later.
	markLife = 24 * time.Hour
	// fresh is for how long a head that was read is good to append after, without another look. It
	// is far below markLife: a record that stands in the way of another must still be there.
	fresh = time.Minute
	// appendTries is how often to try. Each time that it fails another process succeeds.
	appendTries = 1000
)

// journal is a partition: a record for each Append, and the head.
//
// A record begins at the number after the last one's, and is written on the condition that none
// begins there: so there are no gaps, and of two who append at once, one comes later. The head has
// the greatest number. It follows: no number goes out before the head has it. So the
// head is right when the records are gone that DynamoDB has deleted for their age. Where records
// are missing that were there, everything up to the last missing one counts as forgotten.
//
// Where there is no head the journal begins, at the clock or above every number that the process
// has seen. Where the head is below a number that somebody has seen, because the table comes from a
// backup, it begins anew above that.
type journal struct {
	backend      *Backend
	prefix       string
	marks, bytes uint64 // how much it remembers
	room         int    // bytes of marks in a record
	members      int    // how many it has at most

	appending chan struct{} // held by the one who appends: others of this process would be in its way

	mu    sync.Mutex
	known headItem  // the newest head that this process has seen
	at    time.Time // when that was read
}

// Journal implements [store.Journaler]. The journal remembers 65,536 marks or 16 MiB of names,
// whichever is less, of a day. It is read consistently in any case. It is a [store.Membership].
func (b *Backend) Journal(prefix string) store.Journal {
	return &journal{
		backend: b, prefix: prefix, marks: history.MaxMarks, bytes: history.MaxBytes,
		room: recordRoom, members: store.MaxMembers, appending: make(chan struct{}, 1),
	}
}

// JournalName implements [store.NamedJournal]: by the region, the table and the prefix.
func (j *journal) JournalName() string { return keys.JournalName(j.backend.where, j.prefix) }

func (j *journal) key() string { return journalKeys + j.prefix }

// Append implements [store.Journal], in two round trips, or four by a process that has not looked
// at the journal for a minute, and more where others append at the same time. A mark whose name has
// more than 300 KB becomes one that covers everything.
func (j *journal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	const op = "append"
	if err := driver.CheckPrefix(op, j.prefix); err != nil {
		return 0, err
	}
	if err := driver.CheckMarks(op, j.prefix, what); err != nil {
		return 0, err
	}
	if len(what) == 0 {
		h, err := j.head(ctx, op, 0)
		return h.number, err
	}
	select {
	case j.appending <- struct{}{}:
		defer func() { <-j.appending }()
	case <-ctx.Done():
		return 0, j.backend.fail(ctx, op, j.prefix, ctx.Err())
	}
	return j.append(ctx, op, what)
}

func (j *journal) append(ctx context.Context, op string, what []store.Mark) (uint64, error) {
	i, bytes, err := j.draft(ctx, op, what)
	if err != nil {
		return 0, err
	}
	for try := range appendTries {
		h, at, err := j.base(ctx, op)
		if err != nil {
			return 0, err
		}
		next := headItem{h.number + uint64(len(what)), h.begun, h.bytes + bytes}
		i[attrSort], i[attrNumber], i[attrBytes] = text(sortOf(h.number+1)), number(next.number),
			number(next.bytes)
		done, err := j.record(ctx, op, i, next)
		switch {
		case err != nil:
			j.forget()
			return 0, err
		case done && within(at, markLife/2):
			return next.number, nil
		}
		j.forget()
		longest := min(time.Millisecond<<min(try, 8), 50*time.Millisecond)
		if err := pause.For(ctx, rand.N(longest)); err != nil {
			return 0, j.backend.fail(ctx, op, j.prefix, err)
		}
	}
	return 0, driver.Fail(op, j.prefix, store.KindTransient,
		errors.New("others append to the journal all the time"))
}

// draft returns a record without its number. Marks that do not fit go into pieces first, which
// nothing refers to before the record is there.
func (j *journal) draft(
	ctx context.Context, op string, what []store.Mark,
) (i item, bytes uint64, err error) {
	for _, m := range what {
		bytes += uint64(len(m.Name))
	}
	expires := number(seconds(endAfter(j.backend.clock.now(), markLife)))
	i = item{attrKey: text(j.key()), attrExpires: expires}
	all := pieces(what, j.room)
	if len(all) == 1 {
		i[attrMarks] = all[0]
		return i, bytes, nil
	}
	once := random()
	i[attrOnce], i[attrPieces] = binaries(once), number(len(all))
	for n, marks := range all {
		piece := keyOf(j.piecesKey(once), sortOf(uint64(n)))
		piece[attrMarks], piece[attrExpires] = marks, expires
		_, err := call(ctx, j.backend, op, j.prefix, (*dynamodb.Client).PutItem,
			&dynamodb.PutItemInput{TableName: &j.backend.config.Table, Item: piece})
		if err != nil {
			return nil, 0, err
		}
	}
	return i, bytes, nil
}

func (j *journal) piecesKey(once []byte) string {
	return piecesKeys + j.prefix + "~" + hexOf(once)
}

// base returns the head to append after, and when it was read.
func (j *journal) base(ctx context.Context, op string) (headItem, time.Time, error) {
	j.mu.Lock()
	h, at := j.known, j.at
	j.mu.Unlock()
	if h.number > 0 && within(at, fresh) {
		return h, at, nil
	}
	at = time.Now()
	h, err := j.head(ctx, op, 0)
	return h, at, err
}

// within reports whether a time is less than d ago, by the clock and by what this process has lived
// through: a machine may have slept, and a clock have been set.
func within(at time.Time, d time.Duration) bool {
	return time.Since(at) < d && time.Now().Round(0).Sub(at.Round(0)).Abs() < d
}

// record writes a record and then the head. It reports false, and another try is needed, where
// another process has appended, or the journal has begun anew.
func (j *journal) record(
	ctx context.Context, op string, i item, next headItem,
) (done bool, err error) {
	asked := time.Now()
	_, err = call(ctx, j.backend, op, j.prefix, (*dynamodb.Client).PutItem, &dynamodb.PutItemInput{
		TableName: &j.backend.config.Table, Item: i,
		ConditionExpression:      aws.String("attribute_not_exists(#k)"),
		ExpressionAttributeNames: names{"#k": attrKey},
	})
	if err == errCondition {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err = j.advance(ctx, op, next); err == nil {
		j.saw(next, asked)
		return true, nil
	}
	if err != errCondition {
		return false, err
	}
	// Somebody has read the record already and has advanced the head, or the journal has begun
	// anew after this record.
	h, ok, err := j.readHead(ctx, op)
	return ok && h.begun == next.begun && h.number >= next.number, err
}

// advance raises the head to a number that a record has. It returns errCondition where the head is
// not below it, or of another beginning, or gone.
func (j *journal) advance(ctx context.Context, op string, to headItem) error {
	_, err := call(ctx, j.backend, op, j.prefix, (*dynamodb.Client).UpdateItem,
		&dynamodb.UpdateItemInput{
			TableName: &j.backend.config.Table, Key: keyOf(j.key(), sortHead),
			UpdateExpression:         aws.String("SET #n = :to, #b = :bytes"),
			ConditionExpression:      aws.String("#n < :to AND #g = :begun"),
			ExpressionAttributeNames: names{"#n": attrNumber, "#b": attrBytes, "#g": attrBegun},
			ExpressionAttributeValues: item{":to": number(to.number), ":bytes": number(to.bytes),
				":begun": number(to.begun)},
		})
	return err
}

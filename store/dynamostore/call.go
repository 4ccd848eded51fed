package dynamostore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/pause"
)

// method is an operation of the SDK's client.
type method[I, O any] func(
	*dynamodb.Client, context.Context, *I, ...func(*dynamodb.Options),
) (*O, error)

// call makes one exchange with the server, within Config.Timeout. Its errors are *store.Error, but
// for errCondition.
func call[I, O any](
	ctx context.Context, b *Backend, op, key string, ask method[I, O], in *I,
) (*O, error) {
	out, err := exchange(ctx, b, ask, in)
	if err == nil {
		return out, nil
	}
	if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return nil, errCondition
	}
	return nil, b.fail(ctx, op, key, err)
}

// errCondition says that the condition of a write did not hold.
var errCondition = errors.New("the condition does not hold")

func exchange[I, O any](ctx context.Context, b *Backend, ask method[I, O], in *I) (*O, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.closed.Load() {
		return nil, fault.ErrClosed
	}
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > b.config.Timeout {
		inner, cancel := context.WithTimeout(ctx, b.config.Timeout)
		defer cancel()
		ctx = inner
	}
	return ask(b.client, ctx, in)
}

// What a walk over the table does about a server that has too much to do.
const (
	patientTries = 10
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
)

// patiently is call for walks over the whole table, which take what throughput there is: when the
// server has too much to do, it waits and asks again.
func patiently[I, O any](
	ctx context.Context, b *Backend, op, key string, ask method[I, O], in *I,
) (*O, error) {
	for try := 1; ; try++ {
		out, err := call(ctx, b, op, key, ask, in)
		if err == nil || !throttled(err) || try == patientTries {
			return out, err
		}
		if e := backOff(ctx, try); e != nil {
			return nil, b.fail(ctx, op, key, e)
		}
	}
}

// backOff waits before a further try.
func backOff(ctx context.Context, try int) error {
	longest := min(firstPause<<min(try-1, 10), longestPause)
	return pause.For(ctx, longest/2+rand.N(longest/2))
}

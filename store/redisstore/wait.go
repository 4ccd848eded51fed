package redisstore

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// runAndWait runs a script that writes, and then waits until as many replicas as are wanted have
// what it wrote, or until the time for that is over. It returns the script's answer and how many
// replicas have it. Both go over one connection: WAIT is about what the same client has written.
func (b *Backend) runAndWait(
	ctx context.Context, script *redis.Script, key string, args []any,
) (said []string, replicas int, err error) {
	master, err := b.masterOf(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	said, replicas, err = b.runOn(ctx, master, script.EvalSha, key, args)
	if cluster, ok := b.client.(*redis.ClusterClient); ok && moved(err) {
		// another node has taken over, of which the client learns only by the way
		cluster.ReloadState(ctx)
		if master, err = b.masterOf(ctx, key); err != nil {
			return nil, 0, err
		}
		said, replicas, err = b.runOn(ctx, master, script.EvalSha, key, args)
	}
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		said, replicas, err = b.runOn(ctx, master, script.Eval, key, args)
	}
	return said, replicas, err
}

// run is how a script is run, by its name or by its text.
type run = func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd

func (b *Backend) runOn(
	ctx context.Context, master *redis.Client, how run, key string, args []any,
) (said []string, replicas int, err error) {
	patience := b.waitTimeout
	if end, bounded := ctx.Deadline(); bounded {
		patience = min(patience, time.Until(end)/2)
	}
	both := master.Pipeline()
	answer := how(ctx, both, []string{key}, args...)
	have := both.Do(ctx, "WAIT", b.waitReplicas, max(patience.Milliseconds(), 1))
	_, _ = both.Exec(ctx) // each command has its error
	if said, err = answer.StringSlice(); err != nil {
		return nil, 0, err
	}
	replicas, err = have.Int()
	return said, replicas, err
}

// masterOf returns the client of the server that holds a key.
func (b *Backend) masterOf(ctx context.Context, key string) (*redis.Client, error) {
	if cluster, ok := b.client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return b.client.(*redis.Client), nil
}

func moved(err error) bool {
	return err != nil && (strings.HasPrefix(err.Error(), "MOVED ") ||
		strings.HasPrefix(err.Error(), "ASK ") || redis.HasErrorPrefix(err, "READONLY"))
}

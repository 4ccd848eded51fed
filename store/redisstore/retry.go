package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// retry repeats a call, once, when the server had closed its connection: after a restart, a
// failover, or when a connection was idle for too long or killed. The second attempt gets a fresh
// connection, and ends when the first one would have.
//
// The server may have carried out a call that it did not answer. So each call must bear to be done
// twice: it sets a value again; it takes a lease by its token; it appends a mark twice, which
// invalidates again what was invalidated, and the numbers grow all the same. What may be wrong
// after that is a report: Delete, Expire and Unlock may say that there was nothing, and Flush may
// count too few.
type retry struct {
	batches bool // pipelines too
}

func (retry) DialHook(next redis.DialHook) redis.DialHook { return next }

func (retry) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil || err == redis.Nil {
			return err
		}
		again, cancel, ok := anew(ctx, err)
		if !ok {
			return err
		}
		defer cancel()
		return next(again, cmd)
	}
}

// ProcessPipelineHook leaves a Cluster's client to repeat a pipeline itself, to whichever nodes
// then have the keys. It has fresh connections then as well.
func (r retry) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err == nil {
			return nil
		}
		again, cancel, ok := anew(ctx, err)
		if !ok {
			return err
		}
		defer cancel()
		if !r.batches {
			return err
		}
		return next(again, cmds)
	}
}

// anew returns the context of the second attempt, if there is to be one after err.
func anew(ctx context.Context, err error) (context.Context, context.CancelFunc, bool) {
	var h *hangUp
	if !errors.As(err, &h) || ctx.Err() != nil || ctx.Value(onlyOnce{}) != nil {
		return nil, nil, false
	}
	h.doubt()
	deadline := h.conn.deadline.Load()
	if deadline == 0 {
		return ctx, func() {}, true
	}
	again, cancel := context.WithDeadline(ctx, start.Add(time.Duration(deadline-1)))
	return again, cancel, true
}

// onlyOnce is the key under which a context says that its calls are not to be repeated.
type onlyOnce struct{}

// reload has a Cluster's client ask who has the keys when a node does not answer. By itself it asks
// every ten seconds, or when a node that answers sends it to another: a replica that had taken over
// for a node that is gone would not be found for so long. The client asks five times a second at
// most, and aside.
type reload struct{ cluster *redis.ClusterClient }

func (reload) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r reload) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return r.judge(ctx, next(ctx, cmd))
	}
}

func (r reload) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return r.judge(ctx, next(ctx, cmds))
	}
}

func (r reload) judge(ctx context.Context, err error) error {
	if err != nil && !isReply(err) {
		r.cluster.ReloadState(ctx)
	}
	return err
}

// repeated adds to a client, which is not the caller's, that calls are repeated.
func repeated(client redis.UniversalClient) redis.UniversalClient {
	switch client := client.(type) {
	case *redis.ClusterClient:
		client.OnNewNode(func(node *redis.Client) {
			node.AddHook(reload{client})
			node.AddHook(retry{})
		})
	case *redis.Client:
		client.AddHook(retry{batches: true})
	}
	return client
}

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// details are the lines of INFO that Health passes on, by their names there.
var details = []string{
	"redis_version", "valkey_version", "redis_mode", "role", "uptime_in_seconds",
	"connected_clients", "maxclients",
	"used_memory", "maxmemory", "maxmemory_policy", "evicted_keys", "loading", "master_link_status",
}

// Health implements [store.Backend]. It pings the server, and of a Cluster every master, and fails
// if one does not answer, or does not let its user run what is needed. The latency is the slowest
// one's. Details are what the server says in INFO, in a Cluster with the master's address before
// the name. "advice" is about its maxmemory-policy, if another were better.
func (b *Backend) Health(ctx context.Context) (store.Health, error) {
	h := store.Health{Backend: "redis", Details: map[string]string{}}
	masters, err := b.masters(ctx)
	if err != nil {
		return h, b.unwell(ctx, "", err)
	}
	_, cluster := b.client.(*redis.ClusterClient)
	for _, master := range masters {
		label := ""
		if cluster {
			label = master.Options().Addr + " "
		}
		latency, err := ping(ctx, master)
		h.Latency = max(h.Latency, latency)
		if err == nil {
			err = b.checkRights(ctx, master)
		}
		if err != nil {
			return h, b.unwell(ctx, label, err)
		}
		describe(ctx, master, label, h.Details)
	}
	if !cluster {
		return h, nil
	}
	h.Details["masters"] = strconv.Itoa(len(masters))
	return h, b.clusterHealth(ctx, h.Details)
}

// unwell returns the error of a Health that ended with err. It names the server, and the node if
// label does.
func (b *Backend) unwell(ctx context.Context, label string, err error) error {
	said := err.Error()
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) {
		said += b.hint
	}
	return fail(ctx, "health", "", fault.As(b.server+": "+label+said, err))
}

func ping(ctx context.Context, server *redis.Client) (time.Duration, error) {
	start := time.Now()
	err := server.Ping(ctx).Err()
	return time.Since(start), err
}

// describe adds what the server says of itself. It is no failure when it does not.
func describe(ctx context.Context, server *redis.Client, label string, to map[string]string) {
	info, err := server.Info(ctx).Result()
	if err != nil {
		return
	}
	said := map[string]string{}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		said[name] = value
	}
	for _, name := range details {
		if value, ok := said[name]; ok {
			to[label+name] = value
		}
	}
	if advice := adviceOn(said["maxmemory_policy"], said["maxmemory"]); advice != "" {
		to[label+"advice"] = advice
	}
}

// adviceOn says what follows from how a server makes room, and what to do, or nothing.
func adviceOn(policy, bound string) string {
	const do = "set maxmemory-policy volatile-lru: entries have a lifetime, the journal has none"
	switch {
	case bound == "" || bound == "0":
	case policy == "noeviction":
		return "when the server is full, nothing more is stored (maxmemory-policy noeviction); " + do
	case policy == "allkeys-lru" || policy == "allkeys-random":
		return "the server may evict the journal of invalidations (maxmemory-policy " + policy +
			"), and then everything counts as invalidated; " + do
	}
	return ""
}

// clusterHealth fails when the Cluster says that it cannot serve all keys.
func (b *Backend) clusterHealth(ctx context.Context, to map[string]string) error {
	info, err := b.client.ClusterInfo(ctx).Result()
	if err != nil {
		return b.unwell(ctx, "", err)
	}
	for line := range strings.Lines(info) {
		if state, ok := strings.CutPrefix(strings.TrimSpace(line), "cluster_state:"); ok {
			if to["cluster_state"] = state; state != "ok" {
				return driver.Fail("health", "", store.KindTransient,
					fmt.Errorf("the cluster's state is %q", state))
			}
		}
	}
	return nil
}

package testserver

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestRedisCluster(t *testing.T) {
	nodes := RedisCluster(t)
	owners := 0
	for _, node := range nodes {
		_, err := redisDo(t.Context(), node.Addr, "SET", "k", "v")
		if moved := redisError(""); errors.As(err, &moved) && moved[:6] == "MOVED " {
			continue
		} else if err != nil {
			t.Error(err)
		}
		owners++
	}
	if owners != 1 {
		t.Errorf("%d nodes own a key", owners)
	}
}

func TestRedisSentinel(t *testing.T) {
	sentinels, name, master := RedisSentinel(t)
	if len(sentinels) != 3 {
		t.Fatalf("%q", sentinels)
	}
	where := func(sentinel string) string {
		reply, err := redisDo(t.Context(), sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
		if err != nil {
			t.Fatal(err)
		}
		at := reply.([]any)
		return at[0].(string) + ":" + at[1].(string)
	}
	for _, s := range sentinels {
		if got := where(s); got != master.Addr {
			t.Errorf("%s takes %s for the master, not %s", s, got, master.Addr)
		}
	}
	master.Kill()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := until(ctx, nil, func() error {
		if at := where(sentinels[0]); at != master.Addr {
			_, err := redisDo(ctx, at, "SET", "k", "v")
			return err
		}
		return errors.New("the replica is not the master")
	}); err != nil {
		t.Fatal(err)
	}
	t.Log("a new master after", time.Since(begin))
}

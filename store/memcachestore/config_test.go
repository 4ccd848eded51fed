package memcachestore

import (
	"strings"
	"testing"
	"time"
)

func TestNewChecksItsConfig(t *testing.T) {
	for option, c := range map[string]Config{
		"pool_size":     {PoolSize: -1},
		"timeout":       {Timeout: time.Microsecond},
		"dial_timeout":  {DialTimeout: time.Hour},
		"max_item_size": {MaxItemSize: 1},
		"oversize":      {Oversize: "cut"},
		"server":        {Servers: []string{"a:b:c"}},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("%+v: %v; want an error that names %s", c, err, option)
		}
	}
	b := unasked(t, Config{})
	want(t, "default server", b.servers.all[0].String(), "localhost:11211")
	want(t, "default pool", b.config.PoolSize, 64)
}

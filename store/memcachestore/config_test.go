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
	// Of an item of 1 MiB a value may have what its longest key, our notes and the server's leave.
	want(t, "room", Config{MaxItemSize: 1 << 20}.room(), 1<<20-itemNotes-200-40-8)
	b := unasked(t, Config{})
	want(t, "default server", b.servers.all[0].String(), "localhost:11211")
	want(t, "default pool", b.config.PoolSize, 64)
}

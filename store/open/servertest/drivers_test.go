package servertest

import (
	"maps"
	"slices"
	"testing"

	_ "github.com/freshet-go/freshet/store/cachekitstore"
	"github.com/freshet-go/freshet/store/drivers"
	_ "github.com/freshet-go/freshet/store/httpstore"
	_ "github.com/freshet-go/freshet/store/memcachestore"
	_ "github.com/freshet-go/freshet/store/pgstore"
	_ "github.com/freshet-go/freshet/store/redisstore"
)

// What drivers register when they are imported is what package open says of those that are not: the
// tests of package drivers hold that it names the imports of all these schemes.
func TestOurDriversRegister(t *testing.T) {
	want := map[string][]string{
		"memory":     {"memory"},
		"file":       {"file"},
		"redis":      {"redis", "rediss", "redis+sentinel", "redis+cluster"},
		"postgresql": {"postgres", "postgresql"},
		"memcached":  {"memcached"},
		"http":       {"http+store", "https+store"},
		"cachekit":   {"cachekit"},
	}
	got := make(map[string][]string)
	for _, d := range drivers.All() {
		got[d.Kind] = d.Schemes
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("registered are %v; want %v", got, want)
	}
}

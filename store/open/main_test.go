package open

import (
	"slices"
	"testing"

	"github.com/freshet-go/freshet/store/drivers"
	_ "github.com/freshet-go/freshet/store/memcachestore"
	_ "github.com/freshet-go/freshet/store/pgstore"
	_ "github.com/freshet-go/freshet/store/redisstore"
)

// What our drivers register when they are imported is what we say of them when they are not.
func TestShippedDriversAreThoseThatRegister(t *testing.T) {
	for _, s := range shipped {
		for _, scheme := range s.schemes {
			d, err := driverOf(scheme)
			if err != nil || d.Kind != s.kind || !slices.Equal(d.Schemes, s.schemes) {
				t.Errorf("%s registers %q for %q, %v; want %q for %q", s.path, d.Kind, d.Schemes, err, s.kind, s.schemes)
			}
		}
	}
	if all := drivers.All(); len(all) != len(shipped)+2 {
		t.Errorf("%d drivers are registered; want those that are shipped, memory and file: %v", len(all), all)
	}
}

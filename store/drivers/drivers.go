// Package drivers holds the drivers of a program: what opens a backend by its URL.
//
// A driver registers itself when its package is imported, as those of database/sql do. A program
// that chooses its store by URL imports the drivers that it wants for that effect alone:
//
//	import _ "github.com/freshet-go/freshet/store/redisstore"
//
// Package [open] finds them here. It brings memory:// and file:// along.
//
// [open]: https://pkg.go.dev/github.com/freshet-go/freshet/store/open
package drivers

import (
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/freshet-go/freshet/store"
)

// Driver opens the backends of one kind.
type Driver struct {
	// Kind names the backends in messages, in open.Store.Kind and in the setting cache_backend:
	// "redis". It is required, and lower case.
	Kind string
	// Schemes are the beginnings of its URLs, in lower case: "redis" and "rediss" for redis:// and
	// rediss://. At least one is required. A scheme belongs to one driver.
	Schemes []string
	// Open returns the backend that a URL names. It is required. It checks the URL and asks no
	// server: open.URL then calls the backend's Health. The URL has the options of the driver, and
	// none of package open's. An error must not show a password. When the backend has a method
	// Close() error, open.Store.Close calls it.
	Open func(rawURL string) (store.Backend, error)
}

var registered struct {
	sync.Mutex
	drivers []Driver
}

// Register makes a driver known to the program. The init function of the driver's package calls it.
// It panics when a field is missing or not allowed, or when another driver has the kind or a
// scheme: that is a mistake of the program, which should show at its start. It is safe for
// concurrent use.
func Register(d Driver) {
	registered.Lock()
	defer registered.Unlock()
	if err := check(d, registered.drivers); err != nil {
		panic("drivers: Register: " + err.Error())
	}
	d.Schemes = slices.Clone(d.Schemes)
	registered.drivers = append(registered.drivers, d)
}

// All returns a copy of the registered drivers, in the order of their registration. It is safe for
// concurrent use.
func All() []Driver {
	registered.Lock()
	defer registered.Unlock()
	all := slices.Clone(registered.drivers)
	for i := range all {
		all[i].Schemes = slices.Clone(all[i].Schemes)
	}
	return all
}

var (
	kind   = regexp.MustCompile(`^[a-z][a-z0-9]*$`)
	scheme = regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`) // RFC 3986 section 3.1, in lower case
)

// check returns an error that says why d cannot stand beside the others, or nil.
func check(d Driver, others []Driver) error {
	switch {
	case !kind.MatchString(d.Kind):
		return fmt.Errorf("kind %q; lower-case letters and digits are allowed, beginning with a "+
			"letter", d.Kind)
	case len(d.Schemes) == 0:
		return fmt.Errorf("driver %q has no schemes; it needs one at least", d.Kind)
	case d.Open == nil:
		return fmt.Errorf("driver %q has no Open", d.Kind)
	}
	for i, s := range d.Schemes {
		if !scheme.MatchString(s) {
			return fmt.Errorf("driver %q has the scheme %q; a scheme is written without ://, and "+
				"in lower case",
				d.Kind, s)
		}
		if slices.Contains(d.Schemes[:i], s) {
			return fmt.Errorf("driver %q names the scheme %q twice", d.Kind, s)
		}
	}
	for _, other := range others {
		if other.Kind == d.Kind {
			return fmt.Errorf("there is a driver %q already; is its package imported twice, or "+
				"its name taken?", d.Kind)
		}
		for _, s := range d.Schemes {
			if slices.Contains(other.Schemes, s) {
				return fmt.Errorf("%s:// belongs to the driver %q already; driver %q needs "+
					"another scheme",
					s, other.Kind, d.Kind)
			}
		}
	}
	return nil
}

package open

import (
	"fmt"
	"strings"
	"sync"

	"github.com/freshet-go/freshet/internal/mask"
)

// Choice is the URL of a store, and who chose it.
type Choice struct {
	URL string
	// Origin says where the URL came from, for messages: "the environment variable REDIS_URL".
	Origin string
}

// String shows the choice, with passwords masked.
func (c Choice) String() string { return mask.URL(c.URL) + " (from " + c.Origin + ")" }

var byDefault struct {
	sync.Mutex
	url string
}

// SetDefault chooses the store of all parts of a program that do not choose their own: once, at the start.
// A second call with another URL is an error that names both.
func SetDefault(rawURL string) error {
	if _, err := parse(rawURL, Options{}); err != nil {
		return err
	}
	byDefault.Lock()
	defer byDefault.Unlock()
	if byDefault.url != "" && byDefault.url != rawURL {
		return fmt.Errorf("open: the default is %s already, and cannot be %s as well: set it once", mask.URL(byDefault.url), mask.URL(rawURL))
	}
	byDefault.url = rawURL
	return nil
}

// The environment variables that choose a store, in this order.
const (
	envURL      = "FRESHET_CACHE_URL"
	envRedis    = "FRESHET_REDIS_URL"
	envAnyRedis = "REDIS_URL"
)

// Resolve chooses a store: explicit, if it is not empty; else the URL of SetDefault; else the first of
// FRESHET_CACHE_URL, FRESHET_REDIS_URL and REDIS_URL that environ sets, which has the form of os.Environ; else
// memory. If the first two differ, Resolve returns an error that names both. REDIS_URL belongs to other programs, too,
// and is never in conflict.
func Resolve(explicit string, environ []string) (Choice, error) {
	if explicit != "" {
		return Choice{explicit, "the program"}, nil
	}
	byDefault.Lock()
	chosen := byDefault.url
	byDefault.Unlock()
	if chosen != "" {
		return Choice{chosen, "the program's default"}, nil
	}
	ours, redis := lookup(environ, envURL), lookup(environ, envRedis)
	switch {
	case ours != "" && redis != "" && ours != redis:
		return Choice{}, fmt.Errorf("open: the environment variables %s=%s and %s=%s disagree: keep one", envURL, mask.URL(ours), envRedis, mask.URL(redis))
	case ours != "":
		return Choice{ours, "the environment variable " + envURL}, nil
	case redis != "":
		return Choice{redis, "the environment variable " + envRedis}, nil
	}
	if any := lookup(environ, envAnyRedis); any != "" {
		return Choice{any, "the environment variable " + envAnyRedis}, nil
	}
	return Choice{memory + "://", "no setting: memory is the default"}, nil
}

// lookup finds a variable; of a name that is there twice the first counts, as it does for os.Getenv.
func lookup(environ []string, name string) string {
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

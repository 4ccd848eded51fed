package open

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/freshet-go/freshet/internal/mask"
	"github.com/freshet-go/freshet/settings"
)

// The variables of cachekit's that adjust a store and mean here what they mean there, with the
// settings that they stand for. They count where one of cachekit's chooses the store. Those for
// pools and their time-outs do not: they are meant for a pool in each process of Python's. Where
// CachekitIO is, asService reads.
var adjusting = []struct {
	variable, setting string
	read              func(string) (string, error) // "": the variable says nothing
	kind              string                       // the kind of driver that it is for; "": all
}{
	{"CACHEKIT_MASTER_KEY", "cache_encryption_key", sourceOf("CACHEKIT_MASTER_KEY"), ""},
	{"CACHEKIT_PREVIOUS_MASTER_KEYS", "cache_encryption_old_keys", sourceOf("CACHEKIT_PREVIOUS_MASTER_KEYS"), ""},
	{"CACHEKIT_L1_ENABLED", "cache_near_size_bytes", ifDisabled, ""},
	{"CACHEKIT_L1_MAX_SIZE_MB", "cache_near_size_bytes", megabytes, ""},
	{"CACHEKIT_MAX_VALUE_SIZE", "cache_max_value_bytes", asIs, ""},
	{"CACHEKIT_MEMCACHED_MAX_ITEM_SIZE_BYTES", "cache_max_item_size_bytes", unlessZero, "memcached"},
	{"CACHEKIT_TIMEOUT", "cache_timeout", asIs, cachekit},
}

// cachekit adds what those variables say of a store of that kind, where neither the settings nor
// the URL's query say it.
func (v values) cachekit(kind string, query url.Values, environ []string) error {
	for _, a := range adjusting {
		i := slices.IndexFunc(known, func(k setting) bool { return k.Name == a.setting })
		k := &known[i]
		text := lookup(environ, a.variable)
		if _, there := v[a.setting]; text == "" || a.kind != "" && a.kind != kind || there || query.Has(k.option) ||
			kind == k.except || k.kinds != nil && !slices.Contains(k.kinds, kind) {
			continue
		}
		value, err := a.read(text)
		if err == nil && value != "" {
			value, err = k.read(value)
		}
		if err != nil {
			shown := mask.Value(text)
			if k.Secret {
				shown = "***"
			}
			return fmt.Errorf("open: %s%s = %.60q: %w", variable, a.variable, shown, err)
		}
		if value != "" {
			v[a.setting] = said{value, "environment variable " + a.variable, true}
		}
	}
	return nil
}

// sourceOf has a setting name the variable that holds a key.
func sourceOf(name string) func(string) (string, error) {
	return func(string) (string, error) { return "env:" + name, nil }
}

func ifDisabled(text string) (string, error) {
	enabled, err := settings.Bool(text)
	if err != nil || enabled {
		return "", err
	}
	return "0", nil
}

func megabytes(text string) (string, error) {
	n, err := strconv.ParseUint(text, 10, 20)
	if err != nil {
		return "", fmt.Errorf("allowed is a whole number of MiB from 0 to %d", 1<<20-1)
	}
	return strconv.FormatUint(n<<20, 10), nil
}

func asIs(text string) (string, error) { return text, nil }

// unlessZero leaves 0 out, by which cachekit judges no size.
func unlessZero(text string) (string, error) {
	if text == "0" {
		return "", nil
	}
	return text, nil
}

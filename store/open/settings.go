package open

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/settings"
)

// setting is one of the settings that choose and adjust a store.
type setting struct {
	key    string
	option string   // the URL's option that it stands for; empty: it helps to choose the URL
	kinds  []string // the kinds of driver that it is for; nil: all
	except string   // a kind that it is not for
	read   func(string) (string, error)
}

var (
	onServers = []string{"redis", "postgresql", "memcached"}
	pooled    = []string{"redis", "postgresql"}
)

// The settings, after those of Kinto and cachekit, whose files can be read as they are.
var known = []setting{
	{key: "cache_backend", read: backendName},
	{key: "cache_url", read: text},
	{key: "cache_hosts", read: text},
	{key: "cache_dir", read: text},

	{key: "cache_prefix", option: "prefix", read: text},
	{key: "cache_near_size_bytes", option: "near", read: size, except: memory},
	{key: "cache_compress_from_bytes", option: "compress", read: size},
	{key: "cache_max_value_bytes", option: "max_value", read: size},
	{key: "cache_max_size_bytes", option: "max_bytes", read: size, kinds: []string{memory, "file"}},

	{key: "cache_pool_size", option: "pool_size", read: whole(1, 10_000), kinds: onServers},
	{key: "cache_pool_timeout", option: "pool_timeout", read: seconds, kinds: pooled},
	{key: "cache_max_overflow", option: "max_overflow", read: whole(0, 10_000), kinds: []string{"postgresql"}},
	{key: "cache_maxoverflow", option: "maxoverflow", read: whole(0, 10_000), kinds: []string{"postgresql"}},
	{key: "cache_max_backlog", option: "max_backlog", read: whole(-1, 1_000_000), kinds: []string{"postgresql"}},
	{key: "cache_pool_recycle", option: "pool_recycle", read: whole(-1, 1_000_000), kinds: []string{"postgresql"}},
	{key: "cache_dial_timeout", option: "dial_timeout", read: seconds, kinds: onServers},
	{key: "cache_timeout", option: "timeout", read: seconds, kinds: onServers},
	{key: "cache_max_item_size_bytes", option: "max_item_size", read: size, kinds: []string{"memcached"}},
}

// Keys returns the names of the settings that FromSettings reads, for settings.Loader.Keys.
func Keys() []string {
	keys := make([]string, len(known))
	for i, s := range known {
		keys[i] = s.key
	}
	return keys
}

// FromSettings chooses a store by settings: cache_url, or cache_backend with what goes with it, adjusted by
// the others, all of them from the file or the environment; the URL's own options and a setting that say
// different things are an error that names both. Where no setting chooses one, Resolve does, with environ;
// the settings that fit are applied to that, too.
func FromSettings(s *settings.Settings, environ []string) (Choice, error) {
	values, err := readAll(s)
	if err != nil {
		return Choice{}, err
	}
	choice, err := values.choose(environ)
	if err != nil {
		return Choice{}, err
	}
	return values.adjust(choice)
}

// said is a setting's value as read, and as it was said.
type said struct {
	value, origin string
}

type values map[string]said

func readAll(s *settings.Settings) (values, error) {
	all := make(values)
	var wrong []error
	for _, k := range known {
		origin := s.Origin(k.key)
		value, err := settings.Get(s, k.key, "", k.read)
		switch {
		case errors.Is(err, settings.ErrUndeclared):
			return nil, fmt.Errorf("open: FromSettings: %w, so no setting reaches the store: load the settings with "+
				"settings.Loader{Keys: open.Keys()}, beside keys and resources of your own", err)
		case err != nil:
			wrong = append(wrong, err)
		case origin != "" && value != "":
			all[k.key] = said{value, origin}
		}
	}
	return all, errors.Join(wrong...)
}

// choose finds the URL that the settings name.
func (v values) choose(environ []string) (Choice, error) {
	kind, hasKind := v["cache_backend"]
	c := Choice{URL: v["cache_url"].value, Origin: "cache_url, " + v["cache_url"].origin}
	if c.URL != "" {
		// The environment variable of cache_url is FRESHET_CACHE_URL: Resolve sees whether it is alone.
		if redis := lookup(environ, envRedis); redis != "" && lookup(environ, envURL) == c.URL && redis != c.URL {
			return Resolve("", environ)
		}
		p, err := parse(c.URL, Options{})
		if err != nil {
			return c, fmt.Errorf("%s: %w", c.Origin, err)
		}
		if hasKind && p.driver.Kind != kind.value {
			return c, fmt.Errorf("open: cache_backend = %s (%s) and cache_url = %s (%s) disagree: keep one",
				kind.value, kind.origin, p.shown, v["cache_url"].origin)
		}
		return c, nil
	}
	switch hosts, dir := v["cache_hosts"], v["cache_dir"]; kind.value {
	case "":
		if hosts.value == "" && dir.value == "" {
			return Resolve("", environ)
		}
		return c, fmt.Errorf("open: cache_hosts and cache_dir say where, and nothing says what: set cache_backend = memcached or file")
	case memory:
		return Choice{memory + "://", "cache_backend, " + kind.origin}, nil
	case "memcached":
		list, _ := settings.List(hosts.value)
		if len(list) == 0 {
			list = []string{"127.0.0.1:11211"}
		}
		return Choice{"memcached://" + strings.Join(list, ","), "cache_backend, " + kind.origin}, nil
	case "file":
		if dir.value == "" {
			return c, fmt.Errorf("open: cache_backend = file (%s) needs cache_dir, the folder for the files", kind.origin)
		}
		return Choice{(&url.URL{Scheme: "file", Path: dir.value}).String(), "cache_dir, " + dir.origin}, nil
	case "redis":
		found, err := Resolve("", environ)
		if err != nil || !strings.HasPrefix(found.URL, memory) {
			return found, err
		}
		return Choice{"redis://localhost:6379/0", "cache_backend, " + kind.origin}, nil
	}
	return c, fmt.Errorf("open: cache_backend = %s (%s) needs cache_url", kind.value, kind.origin)
}

// adjust puts the other settings into the URL's query.
func (v values) adjust(c Choice) (Choice, error) {
	p, err := parse(c.URL, Options{})
	if err != nil {
		return c, fmt.Errorf("%s: %w", c.Origin, err)
	}
	before, rawQuery, _ := strings.Cut(c.URL, "?")
	query, _ := url.ParseQuery(rawQuery) // parse has read it
	for _, k := range known {
		set, there := v[k.key]
		if !there || k.option == "" {
			continue
		}
		if !k.isFor(p.driver.Kind) {
			return c, fmt.Errorf("open: %s = %s (%s) means nothing to the %s backend: it is for %s",
				k.key, set.value, set.origin, p.driver.Kind, k.meant())
		}
		if query.Has(k.option) && query.Get(k.option) != set.value {
			return c, fmt.Errorf("open: %s = %s (%s) and %s=%s in %s disagree: keep one",
				k.key, set.value, set.origin, k.option, query.Get(k.option), p.shown)
		}
		if !query.Has(k.option) {
			rawQuery += "&" + k.option + "=" + url.QueryEscape(set.value)
		}
	}
	if c.URL = before; rawQuery != "" {
		c.URL += "?" + strings.TrimPrefix(rawQuery, "&")
	}
	return c, nil
}

// isFor reports whether the setting means something to a kind of driver.
func (s setting) isFor(kind string) bool {
	return kind != s.except && (s.kinds == nil || slices.Contains(s.kinds, kind))
}

// meant says which kinds the setting is for.
func (s setting) meant() string {
	if s.kinds != nil {
		return strings.Join(s.kinds, ", ")
	}
	return "every backend but " + s.except
}

func text(v string) (string, error) { return strings.TrimSpace(v), nil }

// backendName takes the kinds of drivers, and the dotted names of Kinto: kinto.core.cache.redis.
func backendName(v string) (_ string, err error) {
	v = strings.ToLower(strings.TrimSpace(v))
	_, err = driverOfKind("")
	for _, word := range strings.FieldsFunc(v, func(c rune) bool { return c == '.' || c == '_' }) {
		if word == "postgres" {
			word = "postgresql"
		}
		if _, err = driverOfKind(word); err == nil {
			return word, nil
		}
	}
	return "", err
}

func size(v string) (string, error) {
	n, err := settings.Bytes(v)
	return strconv.FormatInt(n, 10), err
}

func whole(least, most int) func(string) (string, error) {
	return func(v string) (string, error) {
		n, err := settings.Int(v)
		if err != nil || n < least || n > most {
			return "", fmt.Errorf("allowed is a whole number from %d to %d", least, most)
		}
		return strconv.Itoa(n), nil
	}
}

// seconds takes lengths of time, and numbers of seconds with a fraction, as Kinto writes them.
func seconds(v string) (string, error) {
	if f, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil && f > 0 && f <= 86400 {
		return strconv.FormatFloat(f*1000, 'f', 0, 64) + "ms", nil
	}
	d, err := positive(v)
	if err != nil {
		return "", errors.New("allowed is a number of seconds greater than 0, such as 3.14, or a length of time such as 250ms")
	}
	return d.String(), nil
}

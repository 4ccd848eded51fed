package open

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/internal/mask"
	"github.com/freshet-go/freshet/settings"
)

// FromSettings chooses a store by settings: cache_url, or cache_backend with what goes with it,
// adjusted by the others, all of them from the file or the environment, each within its bounds; the
// URL's own options and a setting that say different things are an error that names both. So are a
// cache_url from the environment and another variable that Resolve reads. Where no setting chooses
// one, Resolve does, with environ; the settings that fit are applied to that, too. [Settings] lists
// them.
func FromSettings(s *settings.Settings, environ []string) (Choice, error) {
	values, err := read(s, known)
	if err != nil {
		return Choice{}, err
	}
	choice, err := values.choose(environ)
	if err != nil {
		return Choice{}, err
	}
	return values.adjust(choice, environ)
}

// Encrypted adds to a choice that settings did not make, as one of the command line, what they and
// environ say of encryption: cache_encryption_key, cache_encryption_old_keys, and the variables that
// [Resolve] reads.
func Encrypted(c Choice, s *settings.Settings, environ []string) (Choice, error) {
	values, err := read(s, slices.DeleteFunc(slices.Clone(known), func(k setting) bool {
		return !strings.HasPrefix(k.Name, "cache_encryption_")
	}))
	if err != nil {
		return Choice{}, err
	}
	return values.adjust(c, environ)
}

// said is a setting's value as read, and where it was said.
type said struct {
	value, origin string
	environ       bool
}

type values map[string]said

// read reads those settings.
func read(s *settings.Settings, which []setting) (values, error) {
	all := make(values)
	var wrong []error
	for _, k := range which {
		origin := s.Origin(k.Name)
		value, err := k.of(s)
		switch {
		case errors.Is(err, settings.ErrUndeclared):
			return nil, fmt.Errorf("open: FromSettings: %w, so no setting reaches the store: "+
				"load the settings with "+
				"settings.Loader{Keys: open.Keys()}, beside keys and resources of your own", err)
		case err != nil:
			wrong = append(wrong, err)
		case origin != "" && value != "":
			all[k.Name] = said{value, origin, s.InEnviron(k.Name)}
		}
	}
	if one, two := all["cache_max_overflow"], all["cache_maxoverflow"]; one.origin != "" && two.origin != "" && one.value != two.value {
		wrong = append(wrong, fmt.Errorf("open: cache_max_overflow = %s (%s) and "+
			"cache_maxoverflow = %s (%s) are one setting and disagree: keep one",
			one.value, one.origin, two.value, two.origin))
	}
	return all, errors.Join(wrong...)
}

// of reads the setting. An error does not show the value of a secret one.
func (k *setting) of(s *settings.Settings) (string, error) {
	if !k.Secret {
		return settings.Get(s, k.Name, "", k.read)
	}
	text, err := settings.Get(s, k.Name, "", settings.Text)
	if err != nil {
		return "", err
	}
	value, err := k.read(text)
	if err != nil {
		err = fmt.Errorf("open: %s: %s = ***: %w", s.Origin(k.Name), k.Name, err)
	}
	return value, err
}

// choose finds the URL that the settings name.
func (v values) choose(environ []string) (Choice, error) {
	kind, hasKind := v["cache_backend"]
	c := Choice{URL: v["cache_url"].value, Origin: "cache_url, " + v["cache_url"].origin}
	if c.URL != "" {
		if at := v["cache_url"]; at.environ {
			others, err := fromVariables(environ)
			if err != nil {
				return c, err
			}
			if err := agree(append([]Choice{{at.value, "the " + at.origin}}, others...)); err != nil {
				return c, err
			}
		}
		p, err := parse(c.URL, Options{})
		if err != nil {
			return c, fmt.Errorf("%s: %w", c.Origin, err)
		}
		if hasKind && p.driver.Kind != kind.value {
			return c, fmt.Errorf("open: cache_backend = %s (%s) and cache_url = %s (%s) "+
				"disagree: keep one",
				kind.value, kind.origin, p.shown, v["cache_url"].origin)
		}
		return c, nil
	}
	switch hosts, dir := v["cache_hosts"], v["cache_dir"]; kind.value {
	case "":
		if hosts.value == "" && dir.value == "" {
			return resolve("", environ)
		}
		return c, fmt.Errorf("open: cache_hosts and cache_dir say where, and nothing says what: " +
			"set cache_backend = memcached or file")
	case memory:
		return Choice{memory + "://", "cache_backend, " + kind.origin}, nil
	case "memcached":
		list, _ := settings.List(hosts.value)
		if len(list) == 0 {
			list = []string{"127.0.0.1:11211"}
		}
		return Choice{"memcached://" + strings.Join(list, ","), "cache_backend, " + kind.origin},
			nil
	case "file":
		if dir.value == "" {
			return c, fmt.Errorf("open: cache_backend = file (%s) needs cache_dir, the folder "+
				"for the files", kind.origin)
		}
		return Choice{(&url.URL{Scheme: "file", Path: dir.value}).String(), "cache_dir, " +
			dir.origin}, nil
	case "dynamodb": // where it is the AWS SDK finds out
		return Choice{"dynamodb://", "cache_backend, " + kind.origin}, nil
	case "redis":
		return redisOf(kind, environ)
	case cachekit:
		return v.serviceOf(kind, environ)
	}
	return c, fmt.Errorf("open: cache_backend = %s (%s) needs cache_url", kind.value, kind.origin)
}

// redisOf finds the server of cache_backend = redis where cache_url names none.
func redisOf(kind said, environ []string) (Choice, error) {
	c, err := resolve("", environ)
	if err != nil {
		return c, err
	}
	switch p, err := parse(c.URL, Options{}); {
	case err != nil:
		return c, fmt.Errorf("%s: %w", c.Origin, err)
	case p.driver.Kind == memory:
		return Choice{"redis://localhost:6379/0", "cache_backend, " + kind.origin}, nil
	case p.driver.Kind != kind.value:
		return c, fmt.Errorf("open: cache_backend = %s (%s) and %v disagree: keep one", kind.value,
			kind.origin, c)
	}
	return c, nil
}

// serviceOf finds the service of cache_backend = cachekit where cache_url names none: the one of
// CACHEKIT_API_KEY, or the usual one with the key that a setting has.
func (v values) serviceOf(kind said, environ []string) (Choice, error) {
	found, err := fromVariables(environ)
	if err != nil {
		return Choice{}, err
	}
	if len(found) > 0 {
		if c := found[0]; !strings.HasPrefix(c.URL, cachekit+":") {
			return c, fmt.Errorf("open: cache_backend = %s (%s) and %v disagree: keep one", kind.value,
				kind.origin, c)
		}
		return found[0], agree(found)
	}
	if v["cache_token"].value == "" && v["cache_token_file"].value == "" {
		return Choice{}, fmt.Errorf("open: cache_backend = %s (%s) needs a key: set CACHEKIT_API_KEY, "+
			"cache_token or cache_token_file", kind.value, kind.origin)
	}
	return Choice{cachekit + "://", "cache_backend, " + kind.origin}, nil
}

// adjust puts the other settings into the URL's query.
func (v values) adjust(c Choice, environ []string) (Choice, error) {
	p, err := parse(c.URL, Options{})
	if err != nil {
		return c, fmt.Errorf("%s: %w", c.Origin, err)
	}
	if p.driver.Kind != memory {
		if err := v.encryptedBy(environ); err != nil {
			return c, err
		}
	}
	before, rawQuery, _ := strings.Cut(c.URL, "?")
	query, _ := url.ParseQuery(rawQuery) // parse has read it
	if c.cachekit() {
		if err := v.cachekit(p.driver.Kind, query, environ); err != nil {
			return c, err
		}
	}
	for _, k := range known {
		set, there := v[k.Name]
		if !there || k.option == "" {
			continue
		}
		if err := k.suits(p, set); err != nil {
			return c, err
		}
		if query.Has(k.option) && query.Get(k.option) != set.value {
			return c, fmt.Errorf("open: %s = %s (%s) and %s=%s in %s disagree: keep one",
				k.Name, k.shown(set), set.origin, k.option,
				k.shown(said{value: query.Get(k.option)}), p.shown)
		}
		if !query.Has(k.option) {
			query.Set(k.option, set.value)
			rawQuery += "&" + k.option + "=" + url.QueryEscape(set.value)
		}
	}
	if c.URL = before; rawQuery != "" {
		c.URL += "?" + strings.TrimPrefix(rawQuery, "&")
	}
	return c, nil
}

// suits returns an error when the setting, or its value, is none for the chosen driver.
func (k *setting) suits(p *parsed, set said) error {
	kind := p.driver.Kind
	if kind == k.except || k.kinds != nil && !slices.Contains(k.kinds, kind) {
		return fmt.Errorf("open: %s = %s (%s) means nothing to the %s backend: it is for %s",
			k.Name, k.shown(set), set.origin, kind, k.meant())
	}
	if scheme, _, _ := strings.Cut(p.rest, "://"); k.schemes != nil && !slices.Contains(k.schemes, strings.ToLower(scheme)) {
		return fmt.Errorf("open: %s = %s (%s) means nothing to %s://: it is for %s://",
			k.Name, k.shown(set), set.origin, scheme, strings.Join(k.schemes, ":// and "))
	}
	if narrow, ok := k.narrow[kind]; ok {
		if _, err := narrow.read(set.value); err != nil {
			return fmt.Errorf("open: %s: %s = %s: for the %s backend %w", set.origin, k.Name,
				k.shown(set), kind, err)
		}
	}
	return nil
}

// meant says which kinds the setting is for.
func (k *setting) meant() string {
	if k.kinds != nil {
		return strings.Join(k.kinds, ", ")
	}
	return "every backend but " + k.except
}

// shown is a value for messages.
func (k *setting) shown(set said) string {
	if k.Secret {
		return "***"
	}
	return mask.Value(set.value)
}

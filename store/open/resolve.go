package open

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/freshet-go/freshet/internal/mask"
	"github.com/freshet-go/freshet/settings"
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

// SetDefault chooses the store of all parts of a program that do not choose their own: once, at the
// start. A second call with another URL is an error that names both; see ClearDefault.
func SetDefault(rawURL string) error {
	if _, err := parse(rawURL, Options{}); err != nil {
		return err
	}
	byDefault.Lock()
	defer byDefault.Unlock()
	if byDefault.url != "" && byDefault.url != rawURL {
		return fmt.Errorf("open: the default is %s already, and cannot be %s as well: set it once",
			mask.URL(byDefault.url), mask.URL(rawURL))
	}
	byDefault.url = rawURL
	return nil
}

// ClearDefault takes back what SetDefault chose, so that it may choose again: between tests, say. A
// store that is open stays as it is.
func ClearDefault() {
	byDefault.Lock()
	defer byDefault.Unlock()
	byDefault.url = ""
}

// The environment variables that choose a store, in this order: ours, then cachekit's.
var choosing = []struct {
	name string
	read func(text string, environ []string) (string, error)
}{
	{"FRESHET_CACHE_URL", asURL},
	{"FRESHET_REDIS_URL", asURL},
	{"CACHEKIT_API_KEY", asService},
	{"CACHEKIT_REDIS_URL", asURL},
	{"CACHEKIT_MEMCACHED_SERVERS", asServers},
}

// envAnyRedis is read after them. It belongs to other programs, too.
const envAnyRedis = "REDIS_URL"

// Resolve chooses a store: explicit, if it is not empty; else the URL of SetDefault; else the first
// of FRESHET_CACHE_URL, FRESHET_REDIS_URL, CACHEKIT_API_KEY (of CachekitIO, or of the service at
// CACHEKIT_API_URL, with CACHEKIT_ALLOW_CUSTOM_HOST), CACHEKIT_REDIS_URL,
// CACHEKIT_MEMCACHED_SERVERS (host:port, with commas between them or as an array in JSON) and
// REDIS_URL that environ sets, which has the form of os.Environ; else memory. If two of them say
// different things, Resolve returns an error that names both; but REDIS_URL belongs to other
// programs, too, and is never in conflict.
//
// To a choice that is not memory it adds the encryption that environ asks for: FRESHET_MASTER_KEY is
// a key, FRESHET_MASTER_KEY_FILE names the file of one, FRESHET_OLD_MASTER_KEYS and
// FRESHET_OLD_MASTER_KEYS_FILE do so for old ones. The URL then says where the keys are, not which.
// If a variable of cachekit's chooses the store, those of its others that mean the same here adjust
// it: CACHEKIT_MASTER_KEY and CACHEKIT_PREVIOUS_MASTER_KEYS, CACHEKIT_L1_ENABLED,
// CACHEKIT_L1_MAX_SIZE_MB, CACHEKIT_MAX_VALUE_SIZE, CACHEKIT_MEMCACHED_MAX_ITEM_SIZE_BYTES
// and CACHEKIT_TIMEOUT (of CachekitIO). The URL's own options and our variables go before them.
func Resolve(explicit string, environ []string) (Choice, error) {
	c, err := resolve(explicit, environ)
	asks := make(values)
	if err == nil {
		err = asks.encryptedBy(environ)
	}
	if err != nil || len(asks) == 0 && !c.cachekit() {
		return c, err
	}
	return values{}.adjust(c, environ)
}

// cachekit reports whether a variable of cachekit's made the choice.
func (c Choice) cachekit() bool { return strings.HasPrefix(c.Origin, variable+"CACHEKIT_") }

// variable begins the Origin of what an environment variable chose.
const variable = "the environment variable "

func resolve(explicit string, environ []string) (Choice, error) {
	if explicit != "" {
		return Choice{explicit, "the program"}, nil
	}
	byDefault.Lock()
	chosen := byDefault.url
	byDefault.Unlock()
	if chosen != "" {
		return Choice{chosen, "the program's default"}, nil
	}
	found, err := fromVariables(environ)
	if err != nil {
		return Choice{}, err
	}
	if len(found) > 0 {
		return found[0], agree(found)
	}
	if any := lookup(environ, envAnyRedis); any != "" {
		return Choice{any, variable + envAnyRedis}, nil
	}
	return Choice{memory + "://", "no setting: memory is the default"}, nil
}

// fromVariables returns what the variables that are one program's choose, in their order.
func fromVariables(environ []string) (found []Choice, err error) {
	for _, v := range choosing {
		text := lookup(environ, v.name)
		if text == "" {
			continue
		}
		rawURL, err := v.read(text, environ)
		if err != nil {
			shown := fmt.Sprintf("%.60q", mask.Value(text))
			if mask.Secret(v.name) {
				shown = "***"
			}
			return nil, fmt.Errorf("open: the environment variable %s = %s: %w", v.name, shown, err)
		}
		found = append(found, Choice{rawURL, variable + v.name})
	}
	return found, nil
}

// agree returns an error that names the first two of the choices which differ.
func agree(all []Choice) error {
	for _, other := range all[1:] {
		if one := all[0]; one.URL != other.URL {
			return fmt.Errorf("open: %s (%s) and %s (%s) disagree: keep one",
				mask.URL(one.URL), one.Origin, mask.URL(other.URL), other.Origin)
		}
	}
	return nil
}

func asURL(text string, _ []string) (string, error) { return text, nil }

// asService reads the key of CachekitIO, and where that is, as cachekit does.
func asService(key string, environ []string) (string, error) {
	at := ""
	if text := lookup(environ, "CACHEKIT_API_URL"); text != "" {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" ||
			u.Fragment != "" {
			return "", errors.New("CACHEKIT_API_URL is no URL of a service: allowed is " +
				"https://host:port/path")
		}
		at = u.Host + strings.TrimRight(u.EscapedPath(), "/")
	}
	options := make(url.Values)
	if text := lookup(environ, "CACHEKIT_ALLOW_CUSTOM_HOST"); text != "" {
		yes, err := settings.Bool(text)
		if err != nil {
			return "", fmt.Errorf("CACHEKIT_ALLOW_CUSTOM_HOST = %.60q: %w", text, err)
		}
		options.Set("allow_custom_host", strconv.FormatBool(yes))
	}
	rawURL := cachekit + "://" + strings.ReplaceAll(url.QueryEscape(key), "+", "%20") + "@" + at
	if len(options) > 0 {
		rawURL += "?" + options.Encode()
	}
	return rawURL, nil
}

// asServers reads a list of Memcached servers as cachekit does, or with commas.
func asServers(text string, _ []string) (string, error) {
	var servers []string
	if strings.HasPrefix(text, "[") {
		if err := json.Unmarshal([]byte(text), &servers); err != nil {
			return "",
				errors.New(
					`allowed is an array in JSON such as ["127.0.0.1:11211"], or host:port with commas between them`)
		}
	} else {
		servers, _ = settings.List(text)
	}
	if len(servers) == 0 {
		return "", errors.New("allowed is one server at least, as host:port")
	}
	return "memcached://" + strings.Join(servers, ","), nil
}

// lookup finds a variable; of a name that is there twice the first counts, as it does for
// os.Getenv.
func lookup(environ []string, name string) string {
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

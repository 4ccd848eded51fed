package open

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/settings"
)

// value reads the values of a setting, as the URL's option has them, and says which are allowed.
type value struct {
	read    func(string) (string, error)
	allowed string
}

var text = value{read: func(v string) (string, error) { return strings.TrimSpace(v), nil }}

var prefixes = value{
	read: func(v string) (string, error) {
		if v = strings.TrimSpace(v); v != "" {
			return v, checkPrefix(v)
		}
		return "", nil
	},
	allowed: "letters, digits and _ . : -, at most 136, the last one of these four",
}

// tableName is what the PostgreSQL driver allows.
var tableName = regexp.MustCompile(`^(?:[a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,39}$`)

var tables = value{
	read: func(v string) (string, error) {
		if v = strings.TrimSpace(v); v != "" && !tableName.MatchString(v) {
			return "", errors.New("allowed is a name, or schema.name, of lower-case letters, " +
				"digits and _, the name up to 40 bytes")
		}
		return v, nil
	},
	allowed: "a name, or schema.name, of lower-case letters, digits and _",
}

// plainName is what goes into a header or a query as it is.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

var names = value{
	read: func(v string) (string, error) {
		if v = strings.TrimSpace(v); v != "" && !plainName.MatchString(v) {
			return "", errors.New("allowed is a name of letters, digits and the characters - _ .")
		}
		return v, nil
	},
	allowed: "letters, digits and - _ .",
}

// addresses takes addresses and prefixes, with commas or spaces between them.
var addresses = value{
	read: func(v string) (string, error) {
		list, err := settings.List(v)
		for _, each := range list {
			_, noAddress := netip.ParseAddr(each)
			_, noPrefix := netip.ParsePrefix(each)
			if noAddress != nil && noPrefix != nil || strings.Contains(each, "%") {
				return "", errors.New("allowed are addresses and prefixes such as 10.0.0.0/8,127.0.0.1")
			}
		}
		return strings.Join(list, ","), err
	},
	allowed: "addresses and prefixes such as 10.0.0.0/8,127.0.0.1",
}

// backendName takes the kinds of drivers, and the dotted names of Kinto: kinto.core.cache.redis.
var backendName = value{read: readBackend, allowed: "one of the kinds, or Kinto's name of it, " +
	"such as kinto.core.cache.redis"}

func readBackend(v string) (_ string, err error) {
	v = strings.ToLower(strings.TrimSpace(v))
	if v == "" { // as Kinto has it for no cache, and others for nothing said
		return "", nil
	}
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

var yesOrNo = value{
	read: func(v string) (string, error) {
		yes, err := settings.Bool(v)
		return strconv.FormatBool(yes), err
	},
	allowed: "true or false",
}

func oneOf(words ...string) value {
	allowed := strings.Join(words, " or ")
	return value{allowed: allowed, read: func(v string) (string, error) {
		if v = strings.TrimSpace(v); !slices.Contains(words, v) {
			return "", errors.New("allowed are " + allowed)
		}
		return v, nil
	}}
}

// size takes numbers of bytes from least to most, which people write as shown.
func size(least int64, shownLeast string, most int64, shownMost string) value {
	allowed := fmt.Sprintf("a size from %s to %s", shownLeast, shownMost)
	return value{allowed: allowed, read: func(v string) (string, error) {
		n, err := settings.Bytes(v)
		if err != nil || n < least || n > most {
			return "", fmt.Errorf("allowed is %s, such as 65536 or 16MiB", allowed)
		}
		return strconv.FormatInt(n, 10), nil
	}}
}

func whole(least, most int) value {
	allowed := fmt.Sprintf("a whole number from %d to %d", least, most)
	return value{allowed: allowed, read: func(v string) (string, error) {
		n, err := settings.Int(v)
		if err != nil || n < least || n > most {
			return "", errors.New("allowed is " + allowed)
		}
		return strconv.Itoa(n), nil
	}}
}

// length takes lengths of time, and numbers of seconds with a fraction, as Kinto writes them.
func length(shownLeast, shownMost string) value {
	least, _ := time.ParseDuration(shownLeast)
	most, _ := time.ParseDuration(shownMost)
	allowed := fmt.Sprintf("a time from %s to %s", shownLeast, shownMost)
	return value{allowed: allowed, read: func(v string) (string, error) {
		d, err := time.ParseDuration(strings.TrimSpace(v))
		if seconds, e := strconv.ParseFloat(strings.TrimSpace(v), 64); e == nil && math.Abs(seconds) < 1<<32 {
			d, err = time.Duration(math.Round(seconds*1000))*time.Millisecond, nil
		}
		if err != nil || d < least || d > most {
			return "", fmt.Errorf("allowed is %s: a length such as 250ms, or a number of seconds "+
				"such as 3.14", allowed)
		}
		return d.String(), nil
	}}
}

// orZero takes 0 as well.
func orZero(v value) value {
	read := v.read
	v.allowed = "0, or " + v.allowed
	v.read = func(text string) (string, error) {
		if strings.Trim(strings.TrimSpace(text), "0") == "" && strings.Contains(text, "0") {
			return "0", nil
		}
		out, err := read(text)
		if err != nil {
			err = fmt.Errorf("%w, or 0", err)
		}
		return out, err
	}
	return v
}

// recycle takes what Kinto does: -1 for never, or whole seconds.
var recycle = value{
	read: func(v string) (string, error) {
		n, err := settings.Int(v)
		if err != nil || n != -1 && (n < 1 || n > 1_000_000) {
			return "", errors.New("allowed is -1 (never) or a whole number of seconds from 1 to " +
				"1000000")
		}
		return strconv.Itoa(n), nil
	},
	allowed: "-1, or a whole number from 1 to 1000000",
}

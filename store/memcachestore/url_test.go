package memcachestore

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseURL(t *testing.T) {
	for url, want := range map[string]Config{
		"memcached://":                  {},
		"memcached://?":                 {},
		"memcached://a":                 {Servers: []string{"a"}},
		"memcached://a:11211,b:11212/":  {Servers: []string{"a:11211", "b:11212"}},
		"memcached://[::1]:11211,[::1]": {Servers: []string{"[::1]:11211", "[::1]"}},
		"memcached://a?timeout=0.25": {Servers: []string{"a"},
			Timeout: 250 * time.Millisecond},
		"memcached://a?timeout=1": {Servers: []string{"a"},
			Timeout: time.Second},
		"memcached://a?max_item_size=2097152": {Servers: []string{"a"},
			MaxItemSize: 2 << 20},
		"memcached://a?max_item_size=1024": {Servers: []string{"a"}, MaxItemSize: 1024},
		"memcached://a?max_item_size=1073741824": {Servers: []string{"a"},
			MaxItemSize: 1 << 30},
		"memcached://a?timeout=1ms&dial_timeout=0.001": {Servers: []string{"a"},
			Timeout: time.Millisecond, DialTimeout: time.Millisecond},
		"memcached://a?oversize=refuse":   {Servers: []string{"a"}, Oversize: OversizeRefuse},
		"memcached://a?oversize=%73plit&": {Servers: []string{"a"}, Oversize: OversizeSplit},
		"memcached://a/?pool_size=10000":  {Servers: []string{"a"}, PoolSize: 10000},
		"memcached://a?dial_timeout=1m":   {Servers: []string{"a"}, DialTimeout: time.Minute},
		"memcached://a?timeout=60&pool_size=1": {Servers: []string{"a"}, Timeout: time.Minute,
			PoolSize: 1},
	} {
		if strings.HasPrefix(url, "memcached://[::1]") {
			if _, err := ParseURL(url); err == nil || !strings.Contains(err.Error(),
				"named twice") {
				t.Errorf("%s: %v", url, err)
			}
			continue
		}
		got, err := ParseURL(url)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", url, got, err, want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for url, words := range map[string][]string{
		"":                                  {"must begin with memcached://"},
		"redis://a":                         {"must begin with memcached://"},
		"memcached:a":                       {"must begin with memcached://"},
		"memcached://a/1":                   {"no databases"},
		"memcached://a#x":                   {"only servers"},
		"memcached://a?timeout=1#x":         {"only servers"},
		"memcached://a,":                    {`server ""`, "host is missing"},
		"memcached://:11211":                {"host is missing"},
		"memcached://a:b":                   {"port is not a number", "host:port"},
		"memcached://a:0":                   {"from 1 to 65535"},
		"memcached://a:65536":               {"from 1 to 65535"},
		"memcached://::1":                   {"not host:port"},
		"memcached://a b":                   {"no name of a host"},
		"memcached://a,A:11211":             {"named twice"},
		"memcached://a?Timeout=1":           {`unknown option "Timeout"`, "max_item_size"},
		"memcached://a?timeout=1&timeout=2": {"option timeout is given 2 times"},
		"memcached://a?timeout=":            {`option timeout=""`},
		"memcached://a?timeout=0":           {"option timeout", `"0"`},
		"memcached://a?timeout=-1s":         {"option timeout", `"-1s"`},
		"memcached://a?timeout=61":          {"timeout=1m1s: 1ms to 1m0s is allowed"},
		"memcached://a?timeout=NaN":         {"option timeout", `"NaN"`},
		"memcached://a?timeout=1h":          {"timeout=1h0m0s: 1ms to 1m0s is allowed"},
		"memcached://a?dial_timeout=0":      {"option dial_timeout", `"0"`},
		"memcached://a?max_item_size=0":     {"option max_item_size", `"0"`},
		"memcached://a?max_item_size=1073741825": {"max_item_size=1073741825: 1024 to " +
			"1073741824 is allowed"},
		"memcached://@a":                   {"user and password", "***@a"},
		"memcached://a?dial_timeout=soon":  {"option dial_timeout", `"soon"`},
		"memcached://a?pool_size=0":        {`option pool_size="0": a whole number, 1 or more`},
		"memcached://a?pool_size=10001":    {"pool_size=10001: 1 to 10000 is allowed"},
		"memcached://a?pool_size=many":     {"option pool_size", `"many"`},
		"memcached://a?max_item_size=1023": {"max_item_size=1023: 1024 to"},
		"memcached://a?max_item_size=1m":   {"option max_item_size", `"1m"`},
		"memcached://a?oversize=":          {"option oversize"},
		"memcached://a?oversize=cut": {"option oversize", `"cut"`,
			"refuse and split"},
		"memcached://a?timeout=%zz":                 {"the options are malformed"},
		"memcached://u:secret@a":                    {"user and password", "***@a"},
		"memcached://u:secret@a,b:x?oversize=split": {"user and password"},
		"memcached://a?password=secret":             {`unknown option "password"`, "memcached://a"},
		"memcached://u:se/secret@a":                 {"user and password"},
		"memcached://u:se@secret@a":                 {"user and password"},
		"memcached:/u:secret@a":                     {"must begin with memcached://"},
	} {
		_, err := ParseURL(url)
		if err == nil {
			t.Errorf("%s: no error", url)
			continue
		}
		for _, w := range append(words, "memcachestore: url ") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v: does not say %q", url, err, w)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", url, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("memcached://a:11211,b?timeout=1s&oversize=split")
	f.Add("memcached://user:password@[::1]:1/?a=b&a=c#d")
	f.Fuzz(func(t *testing.T, url string) {
		c, err := ParseURL(url)
		if err == nil {
			if _, err := New(c); err != nil {
				t.Errorf("%q is taken, and then refused: %v", url, err)
			}
		}
	})
}

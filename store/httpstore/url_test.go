package httpstore

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store/internal/httpclient"
)

func TestParseURL(t *testing.T) {
	for url, want := range map[string]Config{
		"https+store://a":               {URL: "https://a"},
		"http+store://a:81/b/c/":        {URL: "http://a:81/b/c/"},
		"http+store://[::1]:81/%2Fb?":   {URL: "http://[::1]:81/%2Fb"},
		"https+store://u:p%40%3A@a/":    {URL: "https://a/", Authorization: "Basic dTpwQDo="},
		"https+store://:p@a":            {URL: "https://a", Authorization: "Basic OnA="},
		"https+store://a?token=t%2B":    {URL: "https://a", Authorization: "Bearer t+"},
		"https+store://a?token_file=/t": {URL: "https://a", TokenFile: "/t"},
		"https+store://a?ttl_header=X-Delete-After&ttl_query=ttl": {URL: "https://a",
			TTLHeader: "X-Delete-After", TTLQuery: "ttl"},
		"https+store://a?allow=10.0.0.0/8,::1": {URL: "https://a", Allow: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
		"https+store://a?ca_file=/b&max_item_size=1024&pool_size=3&timeout=0.5&dial_timeout=1m": {
			URL: "https://a", CAFile: "/b", MaxItemSize: 1024, PoolSize: 3,
			Timeout: 500 * time.Millisecond, DialTimeout: time.Minute},
	} {
		got, err := ParseURL(url)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", url, got, err, want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for url, says := range map[string]string{
		"":                                         "must begin with https+store:// or http+store://",
		"http://a":                                 "must begin with",
		"http+store:a":                             "must begin with",
		"http+store:/u:secret@a":                   "must begin with",
		"http+store://":                            "has no host",
		"http+store:///a":                          "has no host",
		"http+store://:80":                         "has no host",
		"http+store://a:b":                         "malformed",
		"http+store://a b":                         "malformed",
		"http+store://a/%zz":                       "malformed",
		"http+store://a/../b":                      "the segment . or ..",
		"http+store://a/%2e":                       "the segment . or ..",
		"http+store://a/b%2F":                      "an encoded slash",
		"http+store://a#b":                         "a fragment",
		"http+store://u:se/cret@a":                 "an @ after the first /",
		"http+store://u:se%zzcret@a":               "two hexadecimal",
		"http+store://u%3a:secret@a":               "a : in it",
		"http+store://u:secret@a?token=secret":     "a user and a token",
		"http+store://u:secret@a?token_file=b":     "a token_file beside a token",
		"http+store://a?token=secret&token_file=b": "a token_file beside a token",
		"http+store://a?token=sec%0aret":           "the authorization has",
		"http+store://a?token=secret%e4":           "the authorization has",
		"http+store://a?Token=secret":              `unknown option "Token"`,
		"http+store://a?ttl_header=a%20b":          `ttl_header="a b"`,
		"http+store://a?ttl_header=Host":           `ttl_header="Host"`,
		"http+store://a?ttl_header=content-type":   `ttl_header="content-type"`,
		"http+store://a?ttl_query=a%26b":           `ttl_query="a&b"`,
		"http+store://a?allow=":                    "addresses and prefixes such as",
		"http+store://a?allow=localhost":           "addresses and prefixes such as",
		"http+store://a?allow=10.0.0.0/33":         "addresses and prefixes such as",
		"http+store://a?allow=fe80::1%25eth0":      "addresses and prefixes such as",
		"http+store://a?ca_file=b":                 "key_file need https",
		"https+store://a?cert_file=b":              "cert_file without key_file",
		"http+store://a?max_item_size=1":           "max_item_size=1: 1024 to 1073741824",
		"http+store://a?pool_size=0":               "option pool_size",
		"http+store://a?pool_size=10001":           "1 to 10000",
		"http+store://a?timeout=2h":                "timeout=2h0m0s: 1ms to 1h0m0s",
		"http+store://a?dial_timeout=1us":          "1ms to 1h0m0s",
		"http+store://a?timeout=1&timeout=2":       "given 2 times",
		"http+store://u:secret?@a":                 "",
	} {
		_, err := ParseURL(url)
		if says == "" && err == nil {
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "httpstore: url ") ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want an error that says %q", url, err, says)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "cret@")) {
			t.Errorf("%s: the error shows the password: %v", url, err)
		}
	}
}

func TestNewChecksItsConfig(t *testing.T) {
	for says, c := range map[string]Config{
		"is missing":         {},
		`the scheme "ftp"`:   {URL: "ftp://a"},
		"a user":             {URL: "http://u:secret@a"},
		"a user, a query":    {URL: "http://a?b"},
		"allow has a prefix": {URL: "http://a", Allow: make([]netip.Prefix, 1)},
		"the authorization":  {URL: "http://a", Authorization: "secret\r\nHost: b"},
		"ca_file: open":      {URL: "https://a", CAFile: "/nonexistent"},
		`token_file="/nonexistent": open: no such`: {URL: "https://a", TokenFile: "/nonexistent"},
		"in PEM": {URL: "https://a", CAFile: "url_test.go"},
	} {
		_, err := New(c)
		if err == nil || !strings.HasPrefix(err.Error(), "httpstore: ") ||
			!strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v; want an error that says %q", c, err, says)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("https+store://user:password@[::1]:1/a%2Fb?allow=::1,10.0.0.0/8&token=x#d")
	f.Add("http+store://a/b?ttl_query=ttl&timeout=1s")
	f.Fuzz(func(t *testing.T, url string) {
		c, err := ParseURL(url)
		if err != nil || c.CAFile != "" || c.TokenFile != "" {
			return
		}
		b, err := New(c)
		if err != nil {
			t.Fatalf("%q is taken, and then refused: %v", url, err)
		}
		defer b.Close()
		if to := httpclient.At(b.base, "a:b").String(); !strings.HasSuffix(to, "/a%3Ab") ||
			!strings.HasPrefix(to, "http") {
			t.Errorf("%q: a value is at %q", url, to)
		}
	})
}

package cachekitstore

import (
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/cachekitserver"
	"github.com/freshet-go/freshet/store"
)

func TestParseURL(t *testing.T) {
	for url, want := range map[string]Config{
		"cachekit://secret@":                       {APIKey: "secret"},
		"cachekit://:secret@":                      {APIKey: "secret"},
		"cachekit://?token=secret":                 {APIKey: "secret"},
		"cachekit:///?token=secret":                {APIKey: "secret"},
		"cachekit://secret@api.cachekit.io":        {APIKey: "secret", URL: "https://api.cachekit.io"},
		"cachekit://secret@API.cachekit.io:443":    {APIKey: "secret", URL: "https://API.cachekit.io:443"},
		"cachekit://s%40%3A@eu.api.cachekit.io/a/": {APIKey: "s@:", URL: "https://eu.api.cachekit.io/a/"},
		"cachekit://api.staging.cachekit.io?token_file=/t": {APIKeyFile: "/t",
			URL: "https://api.staging.cachekit.io"},
		"cachekit://secret@[::1]:81?allow_custom_host=true&allow=10.0.0.0/8,::1": {APIKey: "secret",
			URL: "https://[::1]:81", AllowCustomHost: true, Allow: []netip.Prefix{
				netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
		"cachekit://secret@?ca_file=/b&max_item_size=1024&pool_size=3&timeout=0.5&dial_timeout=1m": {
			APIKey: "secret", CAFile: "/b", MaxItemSize: 1024, PoolSize: 3,
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
		"":                                                     "must begin with cachekit://",
		"https://secret@api.cachekit.io":                       "must begin with",
		"cachekit:secret":                                      "must begin with",
		"cachekit://":                                          "no key for the service",
		"cachekit://api.cachekit.io":                           "no key for the service",
		"cachekit://@":                                         "no key for the service",
		"cachekit://ck_secret":                                 "a key stands before an @",
		"cachekit://ck_secret/a?timeout=1":                     "a key stands before an @",
		"cachekit://user:secret@":                              "a user and a password",
		"cachekit://secret@?token=secret":                      "a key before the host and a token",
		"cachekit://secret@?token_file=/t":                     "a key and a token_file",
		"cachekit://se%zzcret@":                                "two hexadecimal",
		"cachekit://secret%0a@":                                "bytes that no key has",
		"cachekit://secret%20secret@":                          "a space",
		"cachekit://secret@#b":                                 "a fragment",
		"cachekit://se/cret@":                                  "an @ after the first /",
		"cachekit://secret@a.example":                          `the host "a.example" is not the service's`,
		"cachekit://secret@127.0.0.1":                          "is not the service's",
		"cachekit://secret@xapi.cachekit.io":                   "is not the service's",
		"cachekit://secret@cachekit.io":                        "is not the service's",
		"cachekit://secret@api.cachekit.io.a.example":          "is not the service's",
		"cachekit://secret@/path":                              "has no host",
		"cachekit://secret@:81":                                "has no host",
		"cachekit://secret@a:b?allow_custom_host=true":         "malformed",
		"cachekit://secret@api.cachekit.io/../a":               "the segment . or ..",
		"cachekit://secret@?Token=secret":                      `unknown option "Token"`,
		"cachekit://secret@?ttl_header=a":                      `unknown option "ttl_header"`,
		"cachekit://secret@?allow_custom_host=perhaps":         "true or false",
		"cachekit://secret@?allow=localhost":                   "addresses and prefixes such as",
		"cachekit://secret@?max_item_size=1":                   "max_item_size=1: 1024 to 1073741824",
		"cachekit://secret@?pool_size=10001":                   "1 to 10000",
		"cachekit://secret@?timeout=2h":                        "timeout=2h0m0s: 1ms to 1h0m0s",
		"cachekit://secret@?timeout=1&timeout=2":               "given 2 times",
		"cachekit://?token=" + strings.Repeat("secret", 2_000): "the key is too long",
	} {
		_, err := ParseURL(url)
		if err == nil || !strings.HasPrefix(err.Error(), "cachekitstore: url ") ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want an error that says %q", url, err, says)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "cret@")) {
			t.Errorf("%s: the error shows the key: %v", url, err)
		}
	}
}

func TestNewChecksItsConfig(t *testing.T) {
	for says, c := range map[string]Config{
		"no key":                {},
		`the scheme "http"`:     {APIKey: "secret", URL: "http://api.cachekit.io"},
		"a user, a query":       {APIKey: "secret", URL: "https://api.cachekit.io?b"},
		"allow has a prefix":    {APIKey: "secret", Allow: make([]netip.Prefix, 1)},
		"ca_file: open":         {APIKey: "secret", CAFile: "/nonexistent"},
		"in PEM":                {APIKey: "secret", CAFile: "url_test.go"},
		`token_file="/nonexis`:  {APIKeyFile: "/nonexistent"},
		"bytes that no key has": {APIKey: "secret\r\nHost:b"},
	} {
		_, err := New(c)
		if err == nil || !strings.HasPrefix(err.Error(), "cachekitstore: ") ||
			!strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", says, err)
		}
	}
}

// A name that resolves to a private address is refused, whatever its text, and no byte is sent.
func TestAddressesAreChecked(t *testing.T) {
	var asked atomic.Int64
	s := served(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	for _, host := range []string{"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		c := patient(t, s)
		c.URL, c.Allow = "https://"+host+port, nil
		for call, err := range everyCall(t.Context(), unasked(t, c)) {
			wantKind(t, host+": "+call, err, store.KindPermanent, " address ", "is refused; allow=")
		}
	}
	if asked.Load() > 0 {
		t.Error("a refused address was asked")
	}
}

func TestACertificateThatIsNotTrusted(t *testing.T) {
	s := served(t, cachekitserver.New(secretKey))
	c := patient(t, s)
	c.CAFile = ""
	_, err := unasked(t, c).Health(t.Context())
	wantKind(t, "an unknown certificate", err, store.KindTransient, "x509")
}

// A key in a file may change while requests come.
func TestAKeyFileThatChanges(t *testing.T) {
	var server atomic.Pointer[cachekitserver.Server]
	c := patient(t, served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server.Load().ServeHTTP(w, r)
	})))
	c.APIKey, c.APIKeyFile = "", filepath.Join(t.TempDir(), "key")
	write := func(key string) {
		if err := os.WriteFile(c.APIKeyFile, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	b := unasked(t, c)
	server.Store(cachekitserver.New("one"))
	mustSet(t, b, "k", "v", time.Hour)
	server.Store(cachekitserver.New("two"))
	_, err := b.Health(t.Context())
	wantKind(t, "a key that is refused", err, store.KindAuthentication, "status 401")
	write("two")
	if _, err := b.Health(t.Context()); err != nil {
		t.Errorf("with the new key: %v", err)
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("cachekit://ck_live_1@api.cachekit.io/a%2Fb?allow=::1,10.0.0.0/8&timeout=1s#d")
	f.Add("cachekit://[::1]:1?allow_custom_host=true&token=x")
	f.Fuzz(func(t *testing.T, url string) {
		c, err := ParseURL(url)
		if err != nil || c.CAFile != "" || c.APIKeyFile != "" {
			return
		}
		b, err := New(c)
		if err != nil {
			t.Fatalf("%q is taken, and then refused: %v", url, err)
		}
		defer b.Close()
		if b.base.Scheme != "https" || !strings.HasSuffix(b.base.String(), "/v1/cache") {
			t.Errorf("%q: values are at %q", url, b.base)
		}
	})
}

package statsd

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/settings"
)

func load(t *testing.T, environ ...string) *settings.Settings {
	t.Helper()
	s, err := settings.Loader{Keys: Keys(), Prefixes: []string{"kinto."}}.Load("", environ)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSettingsAreRead(t *testing.T) {
	o, err := FromSettings(load(t, "FRESHET_STATSD_URL=udp6://[::1]:9125",
		"KINTO_STATSD_PREFIX=kinto.prod", "FRESHET_STATSD_TAGS=yes"))
	if err != nil || o.URL != "udp6://[::1]:9125" || o.Prefix != "kinto.prod" || !o.Tags {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = FromSettings(load(t, "FRESHET_STATSD_URL= ")); err != nil || o.URL != "" {
		t.Errorf("without a URL: %+v, %v", o, err)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	_, err := FromSettings(load(t, "FRESHET_STATSD_URL=http://h:1", "FRESHET_STATSD_PREFIX=a b",
		"FRESHET_STATSD_TAGS=x"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, says := range []string{"STATSD_URL", "http://h:1", "allowed is statsd://HOST:PORT",
		"STATSD_PREFIX", "a b", "allowed are letters", "STATSD_TAGS"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("the error does not say %q: %v", says, err)
		}
	}
}

func TestURLs(t *testing.T) {
	for text, want := range map[string]target{
		"statsd://h:1":        {"udp", "h:1"},
		"udp://127.0.0.1":     {"udp", "127.0.0.1:8125"},
		"udp4://h":            {"udp4", "h:8125"},
		"udp6://[::1]:8126":   {"udp6", "[::1]:8126"},
		"":                    {},
		"h:8125":              {},
		"statsd://":           {},
		"statsd://:8125":      {},
		"statsd://h:0":        {},
		"statsd://h:65536":    {},
		"statsd://h/prefix":   {},
		"statsd://u:p@h":      {},
		"statsd://h?tags=yes": {},
		"tcp://h":             {},
		"statsd://h:x":        {},
	} {
		got, err := parseURL(text)
		if got != want || (err == nil) != (want != target{}) {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestWrongOptionsAreNamed(t *testing.T) {
	for name, o := range map[string]Options{
		"Options.URL":      {URL: "8125"},
		"Options.Prefix":   {URL: "statsd://h", Prefix: "..a"},
		"Options.Interval": {URL: "statsd://h", Interval: time.Millisecond},
	} {
		if c, err := New(o); err == nil || !strings.Contains(err.Error(), name) ||
			!strings.Contains(err.Error(), "allowed") {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	if want := []string{"statsd_url", "statsd_prefix", "statsd_tags"}; !slices.Equal(Keys(), want) {
		t.Errorf("%q", Keys())
	}
}

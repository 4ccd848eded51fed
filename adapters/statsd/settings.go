package statsd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/settings"
)

const (
	defaultPort = "8125"
	maxPrefix   = 100
	maxSet      = 90 // of a prefix that is set: programs may add to it
)

const (
	allowedURL    = "statsd://HOST:PORT, or udp, udp4 or udp6 in the place of statsd"
	allowedPrefix = "letters, digits, _ - and dots between them, at most"
)

// Settings returns the settings that [FromSettings] reads, for a program's help and its docs.
func Settings() []settings.Setting {
	return []settings.Setting{
		{Name: "statsd_url", Value: "URL", Allowed: allowedURL,
			Meaning: "send metrics to this statsd server, by UDP", More: "the port is 8125 if " +
				"there is none"},
		{Name: "statsd_prefix", Value: "NAME", Default: DefaultPrefix,
			Allowed: fmt.Sprint(allowedPrefix, " ", maxSet),
			Meaning: "begin the names of metrics with this and a dot; `freshet proxy` adds `proxy.`"},
		{Name: "statsd_tags", Default: "false",
			Meaning: "send results, reasons, resources and tiers as tags, and " +
				"not within the names"},
	}
}

// Keys returns the names of the settings that [FromSettings] reads, for settings.Loader.Keys.
func Keys() (names []string) {
	for _, s := range Settings() {
		names = append(names, s.Name)
	}
	return names
}

// FromSettings reads the options from settings that were loaded with [Keys]:
//
//	statsd_url    = statsd://127.0.0.1:8125
//	statsd_prefix = shop
//	statsd_tags   = true
//
// Without a statsd_url, Options.URL is empty, and nothing is to be sent. The error says all that is
// wrong, a line each, with the setting, its value, where it was set and what is allowed.
func FromSettings(s *settings.Settings) (Options, error) {
	var o Options
	var wrong [3]error
	o.URL, wrong[0] = settings.Get(s, "statsd_url", "", func(text string) (string, error) {
		text = strings.TrimSpace(text)
		if text == "" {
			return "", nil
		}
		_, err := parseURL(text)
		return text, err
	})
	o.Prefix, wrong[1] = settings.Get(s, "statsd_prefix", "", func(text string) (string, error) {
		if text = strings.TrimSpace(text); text == "" {
			return "", nil
		}
		return parsePrefix(text, maxSet)
	})
	o.Tags, wrong[2] = settings.Get(s, "statsd_tags", false, settings.Bool)
	if err := errors.Join(wrong[:]...); err != nil {
		return Options{}, err
	}
	return o, nil
}

func wrongOption(name, value string, err error) error {
	return fmt.Errorf("statsd: New: Options.%s is %q: %w", name, value, err)
}

// target is where packets go.
type target struct{ network, address string }

func parseURL(text string) (target, error) {
	refused := errors.New("allowed is " + allowedURL)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" ||
		u.ForceQuery || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return target{}, refused
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return target{}, errors.New("allowed is a port from 1 to 65535")
	}
	t := target{"udp", net.JoinHostPort(u.Hostname(), port)}
	switch u.Scheme {
	case "statsd", "udp":
	case "udp4", "udp6":
		t.network = u.Scheme
	default:
		return target{}, refused
	}
	return t, nil
}

func parsePrefix(text string, most int) (string, error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
	prefix := strings.TrimSuffix(text, ".")
	if prefix == "" || len(prefix) > most || strings.Trim(prefix, letters) != "" ||
		prefix[0] == '.' || strings.Contains(prefix, "..") || strings.HasSuffix(prefix, ".") {
		return text, fmt.Errorf("allowed are %s %d", allowedPrefix, most)
	}
	return prefix, nil
}

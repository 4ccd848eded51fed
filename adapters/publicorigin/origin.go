// Package publicorigin gives an app one host and one scheme: those of its public URLs, whatever a
// request names. Behind a CDN, the app then never learns the name of the machine that the CDN asks
// (Host: origin.internal), and can neither tell it to others nor have it in a cache's keys; and no
// client can have the app make links to a host of the client's choice, which a cache would then
// give to others (Host poisoning).
package publicorigin

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/settings"
)

// Origin is the origin of an app's public URLs. The zero value changes nothing. It is safe for
// concurrent use.
type Origin struct {
	// Host is the host, with its port unless that is the scheme's own: "example.com". Default (""):
	// the one that the request names.
	Host string
	// Scheme is "http" or "https". Default (""): that of the connection, and what proxies in front
	// say of it.
	Scheme string
}

// check says what is wrong with the origin.
func (o Origin) check() error {
	if err := checkHost(o.Host); err != nil {
		return fmt.Errorf("publicorigin: Host is %.80q: %w", o.Host, err)
	}
	if err := checkScheme(o.Scheme); err != nil {
		return fmt.Errorf("publicorigin: Scheme is %.80q: %w", o.Scheme, err)
	}
	return nil
}

func checkHost(host string) error {
	if host == "" {
		return nil
	}
	u, err := url.Parse("http://" + host + "/")
	if err != nil || u.Host != host || u.Hostname() == "" || u.Path != "/" || u.User != nil ||
		u.RawQuery != "" ||
		strings.ContainsAny(host, "%, ") || strings.HasSuffix(host, ":") {
		return fmt.Errorf("allowed is a host, or a host and a port: example.com, example.com:8080")
	}
	return nil
}

func checkScheme(scheme string) error {
	if scheme != "" && scheme != "http" && scheme != "https" {
		return fmt.Errorf("allowed are http and https")
	}
	return nil
}

// Keys returns the names of the settings that [FromSettings] reads, for settings.Loader.Keys.
func Keys() []string { return []string{"http_host", "http_scheme"} }

// FromSettings reads the origin from settings that were loaded with [Keys]. The error names the
// setting, its value, where it was set and what is allowed. To change the origin, restart: what was
// stored has the old one in its keys.
func FromSettings(s *settings.Settings) (o Origin, err error) {
	for _, key := range Keys() {
		_, err := settings.Get(s, key, struct{}{}, func(text string) (struct{}, error) {
			return struct{}{}, o.Set(key, text)
		})
		if err != nil {
			return Origin{}, err
		}
	}
	return o, nil
}

// Set sets what one of [Keys] stands for, from the text of a setting. The error says what is
// allowed, and then nothing changes. It panics where there is no such key.
func (o *Origin) Set(key, text string) error {
	field, check := &o.Host, checkHost
	switch key {
	case "http_host":
	case "http_scheme":
		field, check = &o.Scheme, checkScheme
	default:
		panic("publicorigin: Origin.Set: there is no key " + strconv.Quote(key))
	}
	text = strings.ToLower(strings.TrimSpace(text))
	if err := check(text); err != nil {
		return err
	}
	*field = text
	return nil
}

// Handler wraps app, which then sees each request as one for the origin. Mount it outside
// everything that looks at hosts or schemes, Cache.Root included. What is inside sees
//
//   - the Host of the origin, and a target without scheme and host;
//   - no field by which proxies name a host or a port (X-Forwarded-Host, Forwarded's host and their kin), where Host is
//     set; and where Scheme is set, no field that names a scheme but X-Forwarded-Proto, with the origin's, if that is
//     not the connection's.
//
// So requests that differ in these alone share what is stored, a change through any of them counts
// for all, and [middleware.Cache.InvalidateURL] takes URLs of the origin. Handler panics where the
// origin cannot be one, with a sentence that says what is allowed.
//
// [middleware.Cache.InvalidateURL]:
// https://pkg.go.dev/github.com/freshet-go/freshet/middleware#Cache.InvalidateURL
func (o Origin) Handler(app http.Handler) http.Handler {
	if err := o.check(); err != nil {
		panic(err.Error())
	}
	o.Host = strings.ToLower(o.Host)
	if o == (Origin{}) {
		return app
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inside := o.of(r)
		defer func() { // net/http's server removes the files of its own request's form
			r.Form, r.PostForm, r.MultipartForm = inside.Form, inside.PostForm, inside.MultipartForm
			r.Pattern = inside.Pattern
		}()
		app.ServeHTTP(w, inside)
	})
}

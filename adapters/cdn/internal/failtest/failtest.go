// Package failtest has the APIs of caches in front fail in all the ways that are not theirs alone,
// for the tests of targets.
package failtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
)

// Make makes a target whose API is at an address. The client trusts it.
type Make func(t *testing.T, address string, client *http.Client, timeout time.Duration) cdn.Target

// Run has the API fail, and looks whether the target says what is to be said of each failure: what
// kind it is, when to try again, that all of p is left, and none of the secrets. options are those
// that hold the credentials: an error of authentication names each.
func Run(t *testing.T, target Make, p cdn.Purge, options []string, secrets ...string) {
	status := func(status int, fields ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(fields); i += 2 {
				w.Header().Set(fields[i], fields[i+1])
			}
			w.WriteHeader(status)
			fmt.Fprint(w, "\xff", strings.Repeat("x", 270), strings.Join(secrets, " "))
			fmt.Fprint(w, r.Header)
		}
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the credentials went along to where a redirect led")
	}))
	defer elsewhere.Close()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		kind   cdn.Kind
		after  time.Duration
	}{
		"no credentials":   {status(401), cdn.KindAuthentication, 0},
		"not allowed":      {status(403), cdn.KindAuthentication, 0},
		"not understood":   {status(400), cdn.KindPermanent, 0},
		"not found":        {status(404), cdn.KindPermanent, 0},
		"a redirect":       {status(307, "Location", elsewhere.URL), cdn.KindPermanent, 0},
		"broken":           {status(500), cdn.KindTemporary, 0},
		"too often":        {status(429, "Retry-After", "7"), cdn.KindTemporary, 7 * time.Second},
		"down for a while": {status(503, "Retry-After", "60"), cdn.KindTemporary, time.Minute},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(200)
			fmt.Fprint(w, `{"status":"ok","success":true,"httpStatus":201`)
		}, cdn.KindTemporary, 0},
		"another's answer": {status(200), cdn.KindTemporary, 0},
		"a closed connection": {func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, cdn.KindTemporary, 0},
	} {
		calls := 0
		server := httptest.NewTLSServer(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				calls++
				test.answer(w, r)
			}))
		err := target(t, server.URL, server.Client(), 0).Purge(t.Context(), p)
		server.Close()
		e, ok := errors.AsType[*cdn.Error](err)
		switch {
		case !ok || e.Kind != test.kind || e.Rest == nil || e.Rest.Len() != p.Len():
			t.Errorf("%s: %v; want a %v error, and all that is left", name, err, test.kind)
		case test.after > 0 && e.RetryAfter != test.after:
			t.Errorf("%s: to be tried again after %v, want %v", name, e.RetryAfter, test.after)
		case calls != 1:
			t.Errorf("%s: %d calls", name, calls)
		}
		Named(t, err, options...)
		tells(t, name, err, secrets)
	}

	release := make(chan struct{})
	hangs := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		<-release
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	err := target(t, hangs.URL, hangs.Client(), 20*time.Millisecond).Purge(ctx, p)
	if ctx.Err() != nil {
		t.Error("one that hangs: the call was not bounded by the target's timeout")
	}
	cancel()
	close(release)
	hangs.Close()
	temporary(t, "one that hangs", err, secrets)
	temporary(t, "one that refuses",
		target(t, hangs.URL, hangs.Client(), 0).Purge(t.Context(), p), secrets)
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	temporary(t, "a caller who has left", target(t, hangs.URL, nil, 0).Purge(ctx, p), secrets)
}

func temporary(t *testing.T, name string, err error, secrets []string) {
	t.Helper()
	e, ok := errors.AsType[*cdn.Error](err)
	if !ok || e.Kind != cdn.KindTemporary || e.Rest == nil {
		t.Errorf("%s: %v; want a temporary error", name, err)
	}
	tells(t, name, err, secrets)
}

// Named reports an error of authentication that does not name the options to check, and another
// that names one.
func Named(t *testing.T, err error, options ...string) {
	t.Helper()
	e, ok := errors.AsType[*cdn.Error](err)
	names := ok && e.Kind == cdn.KindAuthentication
	for _, option := range options {
		if strings.Contains(err.Error(), option) != names {
			t.Errorf("%v: names %s: %t, want %t", err, option, !names, names)
		}
	}
}

// tells reports an error that has a secret, or the beginning of one.
func tells(t *testing.T, name string, err error, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if text := fmt.Sprint(err); strings.Contains(text, secret[:8]) {
			t.Errorf("%s: the error tells the secret: %s", name, text)
		} else if len(text) > 900 {
			t.Errorf("%s: the error has %d bytes", name, len(text))
		}
	}
}

// Refused has the target refuse purges before it makes a call.
func Refused(t *testing.T, target cdn.Target, purges ...cdn.Purge) {
	t.Helper()
	for _, p := range purges {
		e, ok := errors.AsType[*cdn.Error](target.Purge(t.Context(), p))
		if !ok || e.Kind != cdn.KindPermanent || e.Status != 0 {
			t.Errorf("%.100v: %v; want a permanent error, and no call", p, e)
		}
	}
}

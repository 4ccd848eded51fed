package cachekitstore

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/cachekitserver"
	"github.com/freshet-go/freshet/store"
)

// A value counts only with the very label of a fresh one, or with none.
func TestLabels(t *testing.T) {
	for label, found := range map[string]bool{"": true, "fresh": true, "stale": false, "Fresh": false,
		"FRESH": false, "fresh, fresh": false, "fresh,stale": false, "unknown": false} {
		b := over(t, func(w http.ResponseWriter, r *http.Request) {
			if label != "" {
				w.Header().Set("X-CacheKit-Freshness", label)
			}
			io.WriteString(w, "v")
		})
		_, err := b.Get(t.Context(), "k")
		exists, failed := b.Exists(t.Context(), "k")
		if (err == nil) != found || !found && err != store.ErrNotFound || exists != found || failed != nil {
			t.Errorf("label %q: Get: %v; Exists: %t, %v; want found %t", label, err, exists, failed, found)
		}
	}
	for _, labels := range [][]string{{"fresh", "fresh"}, {"fresh", "stale"}, {""}} {
		if fresh(http.Header{"X-Cachekit-Freshness": labels}) {
			t.Errorf("the labels %q are fresh", labels)
		}
	}
}

// What another client gave a stale window is gone when it is stale, and cannot be brought back.
func TestAStaleValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := cachekitserver.New(secretKey)
		another := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				r.Header.Set("X-CacheKit-Stale-TTL", "100")
			}
			server.ServeHTTP(w, r)
		})
		b := piped(t, another)
		mustSet(t, b, "k", "v", 10*time.Second)
		if got := get(t, b, "k"); got != "v" {
			t.Errorf("while it is fresh: %s", got)
		}
		time.Sleep(11 * time.Second)
		exists, err := b.Exists(t.Context(), "k")
		extended, err2 := b.Expire(t.Context(), "k", time.Hour)
		if got := get(t, b, "k"); got != "not found" || exists || extended || err != nil || err2 != nil {
			t.Errorf("when it is stale: %s; Exists: %t, %v; Expire: %t, %v", got, exists, err, extended, err2)
		}
		if left, err := b.TTL(t.Context(), "k"); left != 99*time.Second || err != nil {
			t.Errorf("TTL: %v, %v", left, err)
		}
		if existed, err := b.Delete(t.Context(), "k"); existed || err != nil {
			t.Errorf("Delete: %t, %v", existed, err)
		}
		if _, err := b.TTL(t.Context(), "k"); err != store.ErrNotFound {
			t.Errorf("after Delete, TTL: %v; want it gone", err)
		}
	})
}

// A value becomes stale between the two requests of Expire.
func TestExpireInTheLastMoment(t *testing.T) {
	for _, status := range []int{404, 409} {
		b := over(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PATCH" {
				w.WriteHeader(status)
			}
		})
		if existed, err := b.Expire(t.Context(), "k", time.Hour); existed || err != nil {
			t.Errorf("%d: %t, %v", status, existed, err)
		}
	}
}

// Another program's values may have no end.
func TestAValueWithoutAnEnd(t *testing.T) {
	var there atomic.Bool
	b := over(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/ttl"):
			io.WriteString(w, `{"ttl": null}`)
		case !there.Load():
			w.WriteHeader(404)
		}
	})
	if _, err := b.TTL(t.Context(), "k"); err != store.ErrNotFound {
		t.Errorf("of what is not there: %v", err)
	}
	there.Store(true)
	_, err := b.TTL(t.Context(), "k")
	wantKind(t, "of what is there", err, store.KindPermanent, "the value has no end")
}

func TestStatuses(t *testing.T) {
	for status, tt := range map[int]struct {
		kind store.ErrorKind
		says string
	}{
		400: {store.KindPermanent, "status 400"},
		401: {store.KindAuthentication, "credentials"},
		403: {store.KindAuthentication, "credentials"},
		405: {store.KindPermanent, "status 405"},
		413: {store.KindPermanent, "value too large"},
		429: {store.KindTransient, "after 7s"},
		500: {store.KindTransient, "status 500"},
		502: {store.KindTransient, "status 502"},
		503: {store.KindTransient, "after 7s"},
		206: {store.KindPermanent, ""},
		202: {store.KindPermanent, "status 202"},
		304: {store.KindPermanent, "status 304"},
	} {
		b := over(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			if status != 304 {
				io.WriteString(w, "secret")
			}
		})
		for call, err := range everyCall(t.Context(), b) {
			wantKind(t, fmt.Sprint(status, ": ", call), err, tt.kind, tt.says)
		}
	}
	b := over(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) })
	for call, err := range everyCall(t.Context(), b) {
		switch call {
		case "get", "ttl":
			if err != store.ErrNotFound {
				t.Errorf("404: %s: %v; want not found", call, err)
			}
		case "set", "health", "lock":
			wantKind(t, "404: "+call, err, store.KindPermanent, "404")
		default:
			if err != nil {
				t.Errorf("404: %s: %v", call, err)
			}
		}
	}
}

// No redirect is followed: the key would go along.
func TestRedirects(t *testing.T) {
	asked := 0
	inside := served(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"/v1/cache/other", inside.URL, "http://169.254.169.254/"} {
			b := over(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v1/cache/other" {
					asked++
				}
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			})
			for call, err := range everyCall(t.Context(), b) {
				wantKind(t, fmt.Sprint(status, " to ", to, ": ", call), err, store.KindPermanent, "a redirect")
			}
		}
	}
	if asked > 0 {
		t.Errorf("%d redirects were followed", asked)
	}
}

// What the service has no room for leaves nothing behind, the client or the service may find it too
// large.
func TestTooLarge(t *testing.T) {
	s := served(t, cachekitserver.New(secretKey))
	c := patient(t, s)
	c.MaxItemSize = cachekitserver.MaxValue + 1000
	wide := unasked(t, c)
	c.MaxItemSize = 2000
	narrow := unasked(t, c)
	for limit, b := range map[int]*Backend{cachekitserver.MaxValue: wide, 2000: narrow} {
		mustSet(t, b, "k", "before", time.Hour)
		err := b.Set(t.Context(), "k", make([]byte, limit+1), time.Hour)
		wantKind(t, "Set", err, store.KindPermanent, "value too large")
		if got := get(t, b, "k"); !errors.Is(err, store.ErrTooLarge) || got != "not found" {
			t.Errorf("%v, and afterwards: %.20s", err, got)
		}
		if b.MaxValue() != int64(b.config.MaxItemSize) {
			t.Errorf("MaxValue: %d", b.MaxValue())
		}
	}
	mustSet(t, wide, "k", strings.Repeat("v", 2001), time.Hour)
	_, err := narrow.Get(t.Context(), "k")
	wantKind(t, "Get", err, store.KindPermanent, "more than 2000 bytes")
}

// Who is not the service has no say, and is no cause of a crash.
func TestAnswersThatAreNone(t *testing.T) {
	for body, says := range map[string]string{"<html>": "", "": "", "[]": "", `{"ttl":-1,"version":7}`: "",
		`{"ttl":"1"}`: "", strings.Repeat("secret", 20_000): "more than 65536 bytes"} {
		b := over(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		_, err := b.TTL(t.Context(), "k")
		wantKind(t, "TTL", err, store.KindTransient, says)
		_, err = b.Health(t.Context())
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Health of %.20q: %v", body, err)
		}
		if _, ok, err := b.TryLock(t.Context(), "k", time.Hour); ok || err == nil && !strings.HasPrefix(body, "{") {
			t.Errorf("TryLock of %.20q: %t, %v", body, ok, err)
		}
	}
}

func FuzzTTLAnswers(f *testing.F) {
	for _, body := range []string{`{"ttl":3542}`, `{"ttl":null}`, `{}`, `{"ttl":0}`, `{"ttl":-1}`, `{"ttl":1e9}`,
		`{"ttl":99999999999999999999}`, `[`, `null`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		left, endless, err := parseTTL(body)
		if err == nil && !endless && (left < 1 || left > longest) ||
			err != nil && store.KindOf(err) == store.KindPermanent {
			t.Errorf("%q: %d, %t, %v", body, left, endless, err)
		}
	})
}

func FuzzHealthAnswers(f *testing.F) {
	f.Add([]byte(`{"version":"1.0.0","status":"healthy\n","cache_entries":3,"active_locks":1e400}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		details, err := parseHealth(body)
		for name, text := range details {
			if err != nil || text == "" && name != "version" || len(text) > 80 ||
				strings.ContainsAny(text, "\r\n\x00") {
				t.Errorf("%q: %q is %q, %v", body, name, text, err)
			}
		}
	})
}

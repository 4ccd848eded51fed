package httpstore

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/examples/httpstore/server"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/keys"
)

// Set sends the lifetime as configured.
func TestLifetimes(t *testing.T) {
	for ttl, want := range map[time.Duration]string{
		1: "1", time.Millisecond: "1", time.Second: "1", time.Second + 1: "2",
		90 * time.Second: "90", 400 * 24 * time.Hour: "34560000", math.MaxInt64: "9223372037",
	} {
		for c, told := range map[*Config]string{
			{}:                            want + "  ",
			{TTLHeader: "X-Delete-After"}: " " + want + " ",
			{TTLQuery: "expiration_ttl"}:  "  " + want,
			{TTLQuery: "expiration_ttl", TTLHeader: "X-Delete-After"}: " " + want + " " + want,
		} {
			var got string
			p := patient(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = strings.Join([]string{r.Header.Get("Freshet-TTL"), r.Header.Get("X-Delete-After"),
					r.URL.Query().Get("expiration_ttl")}, " ")
			})))
			p.TTLHeader, p.TTLQuery = c.TTLHeader, c.TTLQuery
			mustSet(t, unasked(t, p), "key", "v", ttl)
			if got != told {
				t.Errorf("%+v, for %v: the server hears %q; want %q", *c, ttl, got, told)
			}
		}
	}
}

func TestPaths(t *testing.T) {
	for base, path := range map[string]string{
		"": "/", "/": "/", "/a": "/a/", "/a/b//": "/a/b/", "/a%2Fb": "/a%2Fb/", "/%20": "/%20/",
	} {
		for key, name := range map[string]string{
			"key": "key", ".": "~.", "..": "~..", "...": "...", "a.b": "a.b", "a:b": "a%3Ab",
			":": "%3A", "-_.:": "-_.%3A", strings.Repeat("k", 200): strings.Repeat("k", 200),
		} {
			var got string
			b := over(t, func(w http.ResponseWriter, r *http.Request) { got = r.RequestURI })
			c := b.config
			c.URL += base
			if err := unasked(t, c).Set(t.Context(), key, nil, time.Hour); err != nil || got != path+name {
				t.Errorf("%s, %s: %q, %v; want %q", base, key, got, err, path+name)
			}
		}
	}
}

// A server that keeps what it was given under the path as it decodes it never mixes keys.
func FuzzKeys(f *testing.F) {
	for _, key := range []string{"a", ".", "..", "a:b", "~.", "a/../b", "a%2e", "a\r\nb", ""} {
		f.Add(key)
	}
	b := unasked(f, patient(serve(f, values(f, server.Options{}))))
	mustSet(f, b, "other", "other's", time.Hour)
	f.Fuzz(func(t *testing.T, key string) {
		err := b.Set(t.Context(), key, []byte("of "+key), time.Hour)
		if keys.Valid(key) != (err == nil) {
			t.Fatalf("%q: %v", key, err)
		}
		if err != nil {
			wantKind(t, "Set", err, store.KindPermanent)
			return
		}
		if got := get(t, b, key); got != "of "+key {
			t.Errorf("%q: %q", key, got)
		}
		if key != "other" && get(t, b, "other") != "other's" {
			t.Errorf("%q changes another key", key)
		}
		b.Delete(t.Context(), key)
		mustSet(t, b, "other", "other's", time.Hour)
	})
}

// Whatever lies on the server, a reader has a value, none, or an error.
func FuzzAnswers(f *testing.F) {
	f.Add(200, []byte("x"), "", "")
	f.Add(200, noted([]byte("v"), time.Hour, time.Now()), "", "")
	f.Add(206, noted(nil, time.Hour, time.Now()), "Content-Range", "bytes 0-15/16")
	f.Add(302, []byte{}, "Location", "http://127.0.0.1:1/")
	f.Add(503, []byte("secret"), "Retry-After", "-9")
	var answer func(http.ResponseWriter)
	b := unasked(f, patient(serve(f, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		answer(w)
	}))))
	f.Fuzz(func(t *testing.T, status int, body []byte, field, value string) {
		answer = func(w http.ResponseWriter) {
			w.Header().Set(field, value)
			w.WriteHeader(200 + (status%400+400)%400)
			w.Write(body)
		}
		for call, err := range everyCall(t.Context(), b) {
			if err == nil || err == store.ErrNotFound {
				continue
			}
			if kind := store.KindOf(err); kind == store.KindUnknown || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %q, kind %v", call, err, kind)
			}
		}
	})
}

// What the token is, nothing shows.
func TestCredentials(t *testing.T) {
	url := serve(t, values(t, server.Options{Token: "secret"}))
	for _, authorization := range []string{"", "Bearer secret2", "Basic secret"} {
		c := patient(url)
		c.Authorization = authorization
		b := unasked(t, c)
		for call, err := range everyCall(t.Context(), b) {
			wantKind(t, call, err, store.KindAuthentication, "status 401", url[len("http://"):])
		}
	}
	host := strings.TrimPrefix(url, "http://")
	for _, raw := range []string{"http+store://" + host + "?allow=127.0.0.1&token=secret"} {
		b, err := openURL(raw)
		if err != nil {
			t.Fatal(err)
		}
		defer b.(*Backend).Close()
		if _, err := b.Health(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A server that takes another token from now on takes it with the next call.
func TestATokenFileThatChanges(t *testing.T) {
	t.Parallel()
	var accepted atomic.Pointer[string]
	inner := values(t, server.Options{})
	requests := 0
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.Header.Get("Authorization") != *accepted.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	c := patient(url)
	c.TokenFile = filepath.Join(t.TempDir(), "token")
	change := func(token string) {
		if err := os.WriteFile(c.TokenFile, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		token = "Bearer " + token
		accepted.Store(&token)
	}
	change("one")
	b := unasked(t, c)
	mustSet(t, b, "key", "v", time.Hour)
	change("two")
	requests = 0
	if got := get(t, b, "key"); got != "v" || requests > 2 {
		t.Errorf("after a new token: %s, with %d requests", got, requests)
	}
	denied := "Bearer three"
	accepted.Store(&denied)
	requests = 0
	_, err := b.Get(t.Context(), "key")
	wantKind(t, "with the former token", err, store.KindAuthentication, "status 401")
	if requests != 1 {
		t.Errorf("%d requests with a token that was refused", requests)
	}
}

// The longest value that is taken comes back, and no other is sent.
func TestTheLongestValue(t *testing.T) {
	c := patient(serve(t, values(t, server.Options{})))
	c.MaxItemSize = 100_000
	b := unasked(t, c)
	longest := strings.Repeat("v", 100_000)
	mustSet(t, b, "key", longest, time.Hour)
	if got := get(t, b, "key"); got != longest || b.MaxValue() != 100_000 {
		t.Errorf("%d bytes came back; MaxValue: %d", len(got), b.MaxValue())
	}
	err := b.Set(t.Context(), "key", []byte(longest+"v"), time.Hour)
	wantKind(t, "Set", err, store.KindPermanent, "100001 bytes", "max_item_size=100000")
	if got := get(t, b, "key"); got != "not found" {
		t.Errorf("afterwards: %.20s", got)
	}
}

// Health says what is wrong with a server that is none.
func TestHealthNeedsAServerThatStores(t *testing.T) {
	for body, says := range map[string]string{"<html>": "another value than the one", "": "another value"} {
		b := over(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body) })
		_, err := b.Health(t.Context())
		wantKind(t, body, err, store.KindPermanent, says)
	}
}

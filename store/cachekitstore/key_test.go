package cachekitstore

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/cachekitserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/keys"
)

// Keys that the service reserves or refuses have another name there, and every key has its own.
func TestKeysThatTheServiceDoesNotTake(t *testing.T) {
	b := unasked(t, patient(t, served(t, cachekitserver.New(secretKey))))
	all := []string{".", "..", "...", "a..b", "health", "ttl", "lock", "Health", "a.b", "a:b", escaped,
		nameOf(".."), nameOf(nameOf("..")), strings.Repeat(".", 200),
		strings.Repeat("k", 200), "-", "_", ":"}
	for _, key := range all {
		mustSet(t, b, key, "of "+key, time.Hour)
		if l, ok, err := b.TryLock(t.Context(), key, time.Hour); !ok || err != nil {
			t.Errorf("TryLock of %.20q: %v, %t, %v", key, l, ok, err)
		}
	}
	for _, key := range all {
		if got := get(t, b, key); got != "of "+key {
			t.Errorf("%.20q: %.40q", key, got)
		}
		if left, err := b.TTL(t.Context(), key); err != nil || left <= 0 {
			t.Errorf("TTL of %.20q: %v, %v", key, left, err)
		}
		if existed, err := b.Delete(t.Context(), key); !existed || err != nil {
			t.Errorf("Delete of %.20q: %t, %v", key, existed, err)
		}
	}
}

func FuzzKeys(f *testing.F) {
	for _, key := range []string{"a", ".", "..", "a:b", "health", escaped + "Li4", "a/../b", "a%2e", "a\r\nb", ""} {
		f.Add(key, nameOf(key))
	}
	var path string
	b := over(f, func(_ http.ResponseWriter, r *http.Request) { path = r.URL.EscapedPath() })
	f.Fuzz(func(t *testing.T, key, other string) {
		err := b.Set(t.Context(), key, nil, time.Hour)
		if keys.Valid(key) != (err == nil) {
			t.Fatalf("%q: %v", key, err)
		}
		if err != nil {
			wantKind(t, "Set", err, store.KindPermanent)
			return
		}
		name, below := strings.CutPrefix(path, "/v1/cache/")
		name = strings.ReplaceAll(name, "%3A", ":")
		switch {
		case !below || strings.Contains(name, "..") || len(name) > 400 || !keys.Plain(name):
			t.Errorf("%q is at %q, which the service does not take", key, path)
		case name == "." || name == "health" || name == "ttl" || name == "lock" || name == "":
			t.Errorf("%q is at %q, which is reserved", key, path)
		case key != other && nameOf(other) == name:
			t.Errorf("%q and %q are both %q", key, other, name)
		}
	})
}

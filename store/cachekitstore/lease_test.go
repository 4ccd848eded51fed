package cachekitstore

import (
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

// A lock is taken where the body has an ID to release it with, and nowhere else.
func TestLockAnswers(t *testing.T) {
	for body, takes := range map[string]bool{
		`{"lock_id":"id"}`: true, `{"lock_id":null}`: false, `{}`: false, `{"lock_id":""}`: false,
		`{"lock_id":7}`: false, `{"lock_id":["id"]}`: false, `{"lock_id":"a b"}`: false,
		`{"lock_id":"a\r\nX: b"}`: false, `{"lock_id":"é"}`: false, `null`: false,
		`{"lock_id":"` + strings.Repeat("i", maxID+1) + `"}`: false,
	} {
		b := over(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		l, ok, err := b.TryLock(t.Context(), "k", time.Hour)
		if ok != takes || err != nil || (l != nil) != takes {
			t.Errorf("%.40s: %v, %t, %v; want %t", body, l, ok, err, takes)
		}
	}
	b := over(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(409)
		io.WriteString(w, `{"lock_id":"id"}`)
	})
	if _, ok, err := b.TryLock(t.Context(), "k", time.Hour); ok || err != nil {
		t.Errorf("409: %t, %v; want false", ok, err)
	}
}

// A lock whose time is over is another's by now: nothing is sent.
func TestUnlockAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heard{next: cachekitserver.New(secretKey)}
		b := piped(t, h)
		l, ok, err := b.TryLock(t.Context(), "k", time.Second)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		time.Sleep(time.Second)
		h.said()
		held, err := l.Unlock(t.Context())
		if said := h.said(); held || err != nil || said != "" {
			t.Errorf("Unlock: %t, %v, and asks %q", held, err, said)
		}
	})
}

// The answer to an Unlock comes after the lock's end: another may have had it.
func TestUnlockAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := cachekitserver.New(secretKey)
		b := piped(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "DELETE" {
				time.Sleep(time.Second)
			}
			server.ServeHTTP(w, r)
		}))
		l, ok, err := b.TryLock(t.Context(), "k", time.Second)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if held, err := l.Unlock(t.Context()); held || err != nil {
			t.Errorf("Unlock: %t, %v", held, err)
		}
	})
}

// An Unlock that failed can be made once more.
func TestUnlockThatFailed(t *testing.T) {
	var sick atomic.Bool
	server := cachekitserver.New(secretKey)
	b := over(t, func(w http.ResponseWriter, r *http.Request) {
		if sick.Load() {
			w.WriteHeader(503)
			return
		}
		server.ServeHTTP(w, r)
	})
	l, ok, err := b.TryLock(t.Context(), "k", time.Hour)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	sick.Store(true)
	_, err = l.Unlock(t.Context())
	wantKind(t, "Unlock", err, store.KindTransient, "unlock k", "status 503")
	if strings.Contains(err.Error(), l.(*lease).id) {
		t.Errorf("%v shows the lock's ID", err)
	}
	sick.Store(false)
	if held, err := l.Unlock(t.Context()); !held || err != nil {
		t.Errorf("once more: %t, %v", held, err)
	}
	if _, ok, err := b.TryLock(t.Context(), "k", time.Hour); !ok || err != nil {
		t.Errorf("afterwards, TryLock: %t, %v", ok, err)
	}
}

func FuzzLockAnswers(f *testing.F) {
	for _, body := range []string{`{"lock_id":"id"}`, `{"lock_id":null}`, `{"lock_id":"a\nb"}`, `{`, `7`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		id, err := parseLock(body)
		if err != nil && id != "" || len(id) > maxID || strings.ContainsAny(id, " \r\n\x00\x7f") {
			t.Errorf("%q: %q, %v", body, id, err)
		}
	})
}

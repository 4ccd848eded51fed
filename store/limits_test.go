package store_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestABodyOfJustTheSizeFits(t *testing.T) {
	const most = 5 << 10
	backend := memstore.NewBackend(64 << 10)
	defer backend.Close()
	s := store.New(backend, store.Options{MaxDecoded: most, Compress: 1})
	limits, _ := store.As[store.Limited](s)
	for n, want := range map[int]bool{most: true, most + 1: false} {
		e := &store.Entry{Key: "GET http://a/", Body: make([]byte, n)}
		if err := s.Set(t.Context(), e.Key, e, time.Hour); err != nil {
			t.Fatal(err)
		}
		_, err := s.Get(t.Context(), e.Key)
		if got := limits.Fits(e); got != want || (err == nil) != want {
			t.Errorf("a body of %d bytes of at most %d: fits %t, then %v", n, most, got, err)
		}
	}
}

// What a store says of its room is what Set then does, around its limit too.
func TestLimitedStoresKeepTheirWord(t *testing.T) {
	memory := memstore.New(64 << 10)
	defer memory.Close()
	backend := memstore.NewBackend(64 << 10)
	defer backend.Close()
	for name, s := range map[string]store.Store{
		"memory":                memory,
		"a backend":             store.New(backend, store.Options{}),
		"max_value":             store.New(backend, store.Options{MaxValue: 5 << 10}),
		"max_value, compressed": store.New(backend, store.Options{MaxValue: 5 << 10, Compress: 1}),
		"max_decoded": store.New(backend, store.Options{MaxDecoded: 5 << 10,
			Compress: 1}),
	} {
		limits, ok := store.As[store.Limited](s)
		if !ok {
			t.Fatalf("%s tells no limits", name)
		}
		most, kept, refused := limits.MaxEntry(), 0, 0
		for i := range 400 {
			n := most - 1500 + 5*int64(i)
			if i%10 == 0 {
				n = rand.Int64N(2 * most)
			}
			e := &store.Entry{Key: fmt.Sprint("GET http://a/", i), URI: "http://a/", Status: 200,
				Header: http.Header{"X-A": {"1"}}, Body: make([]byte, n)}
			if i%3 == 0 {
				for j := range e.Body {
					e.Body[j] = byte(rand.Int32())
				}
			}
			if err := s.Set(t.Context(), e.Key, e, time.Hour); err != nil {
				t.Fatal(err)
			}
			_, err := s.Get(t.Context(), e.Key)
			fits := limits.Fits(e)
			careful := name == "a backend" && !fits // which counts with the longest key
			if fits != (err == nil) && !careful || e.Size() <= most && err != nil {
				t.Errorf("%s: %d bytes of at most %d: fits %v, then %v", name, e.Size(), most, fits,
					err)
			}
			if int64(len(e.Body)) > limits.MaxBody() && fits {
				t.Errorf("%s: a body of %d bytes fits, and at most %d do", name, len(e.Body),
					limits.MaxBody())
			}
			if fits {
				kept++
			} else {
				refused++
			}
			s.Delete(t.Context(), e.Key)
		}
		if kept < 50 || refused < 10 {
			t.Errorf("%s: %d kept and %d refused show nothing", name, kept, refused)
		}
	}
}

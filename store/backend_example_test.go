package store_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

// drawer is a backend of one's own: five methods. storetest.RunBackend checks the rest of the
// contract.
type drawer struct {
	mu     sync.Mutex
	values map[string]kept
}

type kept struct {
	value []byte
	until time.Time
}

// check returns why a call cannot begin.
func check(ctx context.Context, key string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return store.CheckKey(key)
}

func (d *drawer) Get(ctx context.Context, key string) ([]byte, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.values[key]
	if !ok || !time.Now().Before(k.until) {
		return nil, store.ErrNotFound
	}
	return append([]byte(nil), k.value...), nil
}

func (d *drawer) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values[key] = kept{append([]byte(nil), value...), time.Now().Add(ttl)}
	return nil
}

func (d *drawer) Delete(ctx context.Context, key string) (existed bool, err error) {
	if err := check(ctx, key); err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k, existed := d.values[key]
	delete(d.values, key)
	return existed && time.Now().Before(k.until), nil
}

func (d *drawer) Exists(ctx context.Context, key string) (bool, error) {
	_, err := d.Get(ctx, key)
	if err == store.ErrNotFound {
		return false, nil
	}
	return err == nil, err
}

func (d *drawer) Health(ctx context.Context) (store.Health, error) {
	return store.Health{Backend: "drawer"}, ctx.Err()
}

// A Store made of a backend keeps entries: here on a backend of five methods.
func ExampleNew() {
	ctx := context.Background()
	b := &drawer{values: make(map[string]kept)}
	s := store.New(b, store.Options{Prefix: "blog:", Compress: 1024})

	page := &store.Entry{Key: "GET https://a.example/", Status: 200, Body: []byte("Hello")}
	if err := s.Set(ctx, page.Key, page, time.Minute); err != nil {
		fmt.Println(err)
		return
	}
	found, err := s.Get(ctx, page.Key)
	fmt.Println(string(found.Body), err)

	// The backend holds bytes, under a key of its own. Without a whole entry there is a miss, never
	// a wrong page.
	key := store.Options{Prefix: "blog:"}.BackendKey(page.Key)
	b.Set(ctx, key, []byte("not an entry"), time.Minute)
	_, err = s.Get(ctx, page.Key)
	fmt.Println(err)
	// Output:
	// Hello <nil>
	// store: not found
}

func ExampleProbe() {
	h, err := store.Probe(context.Background(), &drawer{values: make(map[string]kept)}, "blog:")
	fmt.Println(h.Backend, err)
	// Output: drawer <nil>
}

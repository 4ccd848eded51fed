package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

var callRules = []rule[store.Backend]{{
	name:  "concurrent calls do not mix values",
	why:   "every request is a goroutine; a torn value is a page made of two",
	check: concurrentBackend,
}, {
	name: "Health names the backend",
	why:  "the operator's health page shows it",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		h, err := b.Health(ctx)
		if err != nil || h.Backend == "" || h.Latency < 0 {
			return fmt.Errorf("Health: %+v, %v; want a kind, a latency of 0 or more, and no error",
				h, err)
		}
		return nil
	},
}}

func concurrentBackend(ctx context.Context, b store.Backend, o Options) error {
	const workers, keys = 8, 5
	var all sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		all.Go(func() {
			for i := range o.Rounds {
				key := fmt.Sprint("key-", (w+i)%keys)
				// A value says its key and its length in every part.
				size := 1 + (w*o.Rounds+i)%50
				if err := b.Set(ctx, key, bytes.Repeat(fmt.Appendf(nil, "%s/%02d ", key, size),
					size), time.Hour); err != nil {
					errs[w] = err
					return
				}
				got, err := b.Get(ctx, key)
				if err == nil {
					err = whole(got, key)
				}
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					errs[w] = err
					return
				}
				if i%7 == 0 {
					if _, err := b.Delete(ctx, key); err != nil {
						errs[w] = err
						return
					}
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// whole reports whether a value of concurrentBackend is in one piece, and its key's.
func whole(got []byte, key string) error {
	for size := 1; size <= 50; size++ {
		if bytes.Equal(got, bytes.Repeat(fmt.Appendf(nil, "%s/%02d ", key, size), size)) {
			return nil
		}
	}
	return fmt.Errorf("Get(%q) returned what nobody has set: %.200q", key, got)
}

package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

var migrateRules = []rule[able[store.Migrator]]{{
	name: "a dry run changes nothing",
	why: "an operator reads what would be done before it is allowed; asking twice must tell the " +
		"same, and Migrate do just that",
	check: func(ctx context.Context, b able[store.Migrator], _ Options) error {
		first, err := b.can.Migrate(ctx, true)
		if err != nil {
			return fmt.Errorf("dry run: %w", err)
		}
		second, err := b.can.Migrate(ctx, true)
		if err != nil || !slices.Equal(first, second) {
			return fmt.Errorf("a second dry run: %q, %v; the first: %q", second, err, first)
		}
		done, err := b.can.Migrate(ctx, false)
		if err != nil || len(done) != len(first) {
			return fmt.Errorf("Migrate: %q, %v; the dry run: %q", done, err, first)
		}
		return nil
	},
}, {
	name: "Migrate does what is missing, once, and keeps what is there",
	why:  "it runs at each deployment",
	check: func(ctx context.Context, b able[store.Migrator], _ Options) error {
		if _, err := b.can.Migrate(ctx, false); err != nil {
			return err
		}
		if err := setAndFind(ctx, b, "key", []byte("v")); err != nil {
			return err
		}
		for _, dry := range []bool{true, false, true, false} {
			if steps, err := b.can.Migrate(ctx, dry); err != nil || len(steps) > 0 {
				return fmt.Errorf("Migrate (dry run: %t) when nothing is missing: %q, %v", dry,
					steps, err)
			}
		}
		return find(ctx, b, "key", []byte("v"))
	},
}, {
	name: "Migrate may be called from several processes at once",
	why:  "several are deployed at once, and servers refuse to make at once what two ask for",
	check: func(ctx context.Context, b able[store.Migrator], _ Options) error {
		var all sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			all.Go(func() { _, errs[i] = b.can.Migrate(ctx, false) })
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		return setAndFind(ctx, b, "key", []byte("v"))
	},
}}

// unmigratedRules are for a backend with everything to do yet.
var unmigratedRules = append([]rule[able[store.Migrator]]{{
	name: "what is missing is said, and until it is done every call fails",
	why:  "a table that is not there is an operator's mistake and no miss; it must be heard of",
	check: func(ctx context.Context, b able[store.Migrator], _ Options) error {
		steps, err := b.can.Migrate(ctx, true)
		if err != nil || len(steps) == 0 || slices.Contains(steps, "") {
			return fmt.Errorf("dry run: %q, %v; want a sentence for each step", steps, err)
		}
		if _, err := b.Get(ctx, "key"); err == nil || errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("after a dry run: Get: %v; want an error other than ErrNotFound", err)
		}
		if err := b.Set(ctx, "key", []byte("v"), time.Hour); err == nil {
			return errors.New("after a dry run: Set reported success")
		}
		if _, err := b.can.Migrate(ctx, false); err != nil {
			return err
		}
		return setAndFind(ctx, b, "key", []byte("v"))
	},
}}, migrateRules...)

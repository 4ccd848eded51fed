package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// sweepHead is how much of a value the rules ask for.
const sweepHead = 16

// swept has the values that are swept: the key, and what lies under it.
func sweptValues() map[string][]byte {
	values := map[string][]byte{"a:short": []byte("dead"), "a:none": {}, "b:other": []byte("dead too")}
	for i := range 300 { // more than a batch
		word := "live"
		if i%3 == 0 {
			word = "dead"
		}
		values[fmt.Sprintf("a:%03d", i)] = []byte(word + strings.Repeat("x", 40+i))
	}
	return values
}

func isDead(value []byte) bool { return bytes.HasPrefix(value, []byte("dead")) }

var sweepRules = []rule[able[store.ValueSweeper]]{{
	name: "SweepValues gives each value's beginning and length, and removes what is dead",
	why: "what it removes besides is lost, what it leaves takes room, and who reads less than n " +
		"bytes cannot tell",
	check: func(ctx context.Context, b able[store.ValueSweeper], _ Options) error {
		values := sweptValues()
		for key, value := range values {
			if err := b.Set(ctx, key, value, time.Hour); err != nil {
				return err
			}
		}
		given, dead, bad := 0, 0, ""
		swept, err := b.can.SweepValues(ctx, "a:", sweepHead, func(head []byte, size int64) bool {
			given++
			found := false
			for key, value := range values {
				found = found || strings.HasPrefix(key, "a:") && int64(len(value)) == size &&
					bytes.Equal(head, value[:min(sweepHead, len(value))])
			}
			if !found {
				bad = fmt.Sprintf("%q of %d bytes", head, size)
			}
			if isDead(head) {
				dead++
			}
			return isDead(head)
		}, nil)
		if err != nil || bad != "" || given != len(values)-1 || swept.Seen != int64(given) ||
			swept.Removed != int64(dead) || swept.RemovedBytes < int64(40*dead) {
			return fmt.Errorf("SweepValues: %+v, %v; gave %d beginnings, of %d dead values, among "+
				"them %s", swept, err, given, dead, bad)
		}
		for key, value := range values {
			if strings.HasPrefix(key, "a:") && isDead(value) {
				err = absent(ctx, b, key)
			} else {
				err = find(ctx, b, key, value)
			}
			if err != nil {
				return fmt.Errorf("after SweepValues: %w", err)
			}
		}
		return nil
	},
}, {
	name: "SweepValues leaves what has taken the place of what is dead",
	why:  "the new page must not go with the old one",
	check: func(ctx context.Context, b able[store.ValueSweeper], _ Options) error {
		if err := b.Set(ctx, "a:1", []byte("dead"), time.Hour); err != nil {
			return err
		}
		var failed error
		swept, err := b.can.SweepValues(ctx, "a:", sweepHead, func([]byte, int64) bool {
			failed = b.Set(ctx, "a:1", []byte("new"), time.Hour+time.Minute)
			return true
		}, nil)
		if err = errors.Join(err, failed); err != nil || swept.Removed != 0 {
			return fmt.Errorf("SweepValues: %+v, %v; want nothing removed", swept, err)
		}
		return find(ctx, b, "a:1", []byte("new"))
	},
}, {
	name: "SweepValues ends when it may not go on",
	why:  "a process that ends must not wait for it, nor one that has other work",
	check: func(ctx context.Context, b able[store.ValueSweeper], _ Options) error {
		for key, value := range sweptValues() {
			if err := b.Set(ctx, key, value, time.Hour); err != nil {
				return err
			}
		}
		enough, rests := errors.New("enough"), 0
		given := 0
		count := func([]byte, int64) bool { given++; return false }
		_, err := b.can.SweepValues(ctx, "a:", sweepHead, count, func(context.Context) error {
			if rests++; rests == 2 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || given == 0 || given > 250 {
			return fmt.Errorf("rest failed the second time: SweepValues gave %d of 302, and "+
				"returned %v", given, err)
		}
		ended, end := context.WithCancel(ctx)
		end()
		given = 0
		if _, err := b.can.SweepValues(ended, "a:", sweepHead, count, nil); err == nil || given > 0 {
			return fmt.Errorf("with a context that is done, SweepValues gave %d, and returned %v",
				given, err)
		}
		return nil
	},
}}

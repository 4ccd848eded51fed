package storetest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store"
)

// sweeping is a backend over a map that can be swept, and that a test bends.
type sweeping struct {
	*mapBackend
	bend string
}

func (s *sweeping) SweepValues(ctx context.Context, prefix string, n int,
	dead func(head []byte, size int64) bool, rest func(context.Context) error,
) (swept store.Swept, err error) {
	s.mu.Lock()
	all := map[string]mapValue{}
	var keys []string
	for key, v := range s.values {
		if s.bend == "all keys" || strings.HasPrefix(key, prefix) {
			all[key] = v
			keys = append(keys, key)
		}
	}
	s.mu.Unlock()
	slices.Sort(keys)
	for i, key := range keys {
		if i%100 == 0 {
			if rest != nil && s.bend != "no rest" {
				if err := rest(ctx); err != nil {
					return swept, err
				}
			}
			if err := ctx.Err(); err != nil && s.bend != "no end" {
				return swept, err
			}
		}
		v := all[key]
		head, size := v.bytes[:min(n, len(v.bytes))], int64(len(v.bytes))
		switch s.bend {
		case "short heads":
			head = head[:min(len(head), 8)]
		case "size of the head":
			size = int64(len(head))
		case "first batch":
			if i >= 100 {
				return swept, nil
			}
		}
		swept.Seen++
		if !dead(head, size) {
			continue
		}
		s.mu.Lock()
		now := s.values[key]
		same := bytes.Equal(now.bytes, v.bytes)
		if s.bend == "whatever is there" || same && s.bend != "nothing" {
			delete(s.values, key)
			swept.Removed++
			swept.RemovedBytes += size
		}
		if s.bend == "nothing" {
			swept.Removed++
			swept.RemovedBytes += size
		}
		s.mu.Unlock()
	}
	if s.bend == "no count" {
		swept = store.Swept{}
	}
	return swept, nil
}

func TestSweepRulesFindFaults(t *testing.T) {
	broken := func(bend string) (names []string) {
		for _, r := range sweepRules {
			b := &sweeping{newMapBackend(t).(*mapBackend), bend}
			if r.check(t.Context(), able[store.ValueSweeper]{b, b}, Options{}) != nil {
				names = append(names, r.name)
			}
		}
		return names
	}
	if names := broken(""); len(names) > 0 {
		t.Errorf("one that does it right breaks %q", names)
	}
	first, replaced, end := sweepRules[0].name, sweepRules[1].name, sweepRules[2].name
	for bend, rule := range map[string]string{
		"all keys": first, "short heads": first, "size of the head": first, "first batch": first,
		"nothing": first, "no count": first, "whatever is there": replaced, "no rest": end,
		"no end": end,
	} {
		if names := broken(bend); !slices.Contains(names, rule) {
			t.Errorf("%s: broken are %q; want %q among them", bend, names, rule)
		}
	}
}

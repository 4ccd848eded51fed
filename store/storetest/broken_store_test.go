package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/faulty"
	"github.com/freshet-go/freshet/store"
)

// mapStore is a Store that does the least, to be bent.
type mapStore struct {
	entries *sync.Map
	loseTag bool // keeps no tags
	anyKey  bool // takes entries of other keys
	cutKeys bool
	noEnd   bool // knows no lifetimes, except that 0 or less is none
	zero    bool // takes 0 for ever
	date    bool // takes more than 30 days for a date long past
}

func (m mapStore) key(key string) string {
	if m.cutKeys {
		return key[:min(250, len(key))]
	}
	return key
}

func (m mapStore) Get(_ context.Context, key string) (*store.Entry, error) {
	if e, ok := m.entries.Load(m.key(key)); ok {
		return e.(*store.Entry), nil
	}
	return nil, store.ErrNotFound
}

func (m mapStore) Set(_ context.Context, key string, e *store.Entry, ttl time.Duration) error {
	if e.Key != key && !m.anyKey {
		return errors.New("another key")
	}
	if m.loseTag {
		c := *e
		c.Tags = nil
		e = &c
	}
	m.entries.Delete(m.key(key))
	if m.date && ttl > 30*day {
		ttl = 0
	}
	if ttl > 0 || m.zero {
		m.entries.Store(m.key(key), e)
	}
	if !m.noEnd && ttl > 0 {
		time.AfterFunc(ttl, func() { m.entries.Delete(m.key(key)) })
	}
	return nil
}

func (m mapStore) Delete(_ context.Context, key string) error {
	m.entries.Delete(m.key(key))
	return nil
}

func TestStoreRulesFindFaults(t *testing.T) {
	faults := finder[store.Store]{rules: storeRules}
	for _, tt := range []struct {
		fault string
		store mapStore
		rule  string
	}{
		{"a field is lost", mapStore{loseTag: true}, "an entry comes back whole"},
		{"long keys are cut", mapStore{cutKeys: true}, "keys of any length and content work, and " +
			"keys that differ are different"},
		{"any key will do", mapStore{anyKey: true}, "no entry is stored under a key that is not " +
			"its own"},
		{"nothing ends", mapStore{noEnd: true}, "an entry is there until its ttl ends, and then " +
			"no longer"},
		{"an old lifetime goes on", mapStore{}, "Set takes the place of what was there, lifetime " +
			"included"},
		{"more than 30 days is a date", mapStore{date: true}, "a long ttl is not an error and " +
			"not the past"},
		{"0 is for ever", mapStore{zero: true}, "a ttl of 0 or less stores nothing and removes " +
			"what was there"},
	} {
		faults.add(tt.fault, tt.rule, func() store.Store {
			s := tt.store
			s.entries = new(sync.Map)
			return s
		})
	}
	for _, tt := range []struct {
		fault  string
		broken faulty.Fault
		rule   string
	}{
		{"refused", faulty.Refuse(errors.New("connection refused")), "a key that was never set " +
			"is ErrNotFound"},
		{"Delete fails on what is not there", func(_ context.Context, call, key string) error {
			if call == "Delete" {
				return store.ErrNotFound
			}
			return nil
		}, "Delete removes; a key that is not there is no error"},
		{"given up is not found", func(ctx context.Context, _, _ string) error {
			if ctx.Err() != nil {
				return store.ErrNotFound
			}
			return nil
		}, "an error is never \"not there\""},
		{"some are lost", func(_ context.Context, call, key string) error {
			if call == "Get" && key == "key 77" {
				return store.ErrNotFound
			}
			return nil
		}, "many entries are kept at once"},
		{"some fail", func(_ context.Context, call, key string) error {
			if call == "Set" && key == "key 3" {
				return errors.New("broken pipe")
			}
			return nil
		}, "concurrent calls do not mix entries"},
	} {
		faults.add(tt.fault, tt.rule, func() store.Store {
			return faulty.Store(store.New(newMapBackend(nil), store.Options{}), tt.broken)
		})
	}
	faults.run(t)
}

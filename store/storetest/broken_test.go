package storetest

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store"
)

// A suite that cannot fail is a defect: here is what each rule is there to find.

// bent is a Backend with some methods bent out of shape.
type bent struct {
	store.Backend
	get    func(b store.Backend, key string) ([]byte, error)
	set    func(b store.Backend, key string, value []byte, ttl time.Duration) error
	delete func(b store.Backend, key string) (bool, error)
	exists func(b store.Backend, key string) (bool, error)
	health func() (store.Health, error)
}

func (b bent) Get(ctx context.Context, key string) ([]byte, error) {
	if b.get != nil {
		return b.get(b.Backend, key)
	}
	return b.Backend.Get(ctx, key)
}

func (b bent) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if b.set != nil {
		return b.set(b.Backend, key, value, ttl)
	}
	return b.Backend.Set(ctx, key, value, ttl)
}

func (b bent) Delete(ctx context.Context, key string) (bool, error) {
	if b.delete != nil {
		return b.delete(b.Backend, key)
	}
	return b.Backend.Delete(ctx, key)
}

func (b bent) Exists(ctx context.Context, key string) (bool, error) {
	if b.exists != nil {
		return b.exists(b.Backend, key)
	}
	return b.Backend.Exists(ctx, key)
}

func (b bent) Health(ctx context.Context) (store.Health, error) {
	if b.health != nil {
		return b.health()
	}
	return b.Backend.Health(ctx)
}

func TestBackendRulesFindFaults(t *testing.T) {
	bg := context.Background()
	cut := func(n int) func(store.Backend, string, []byte, time.Duration) error {
		return func(b store.Backend, key string, v []byte, ttl time.Duration) error {
			return b.Set(bg, key[:min(n, len(key))], v, ttl)
		}
	}
	for _, tt := range []struct {
		fault string
		bent  func() bent
		rule  string // must break; others may
	}{
		{"not found is another error", func() bent {
			return bent{get: func(b store.Backend, key string) ([]byte, error) {
				v, err := b.Get(bg, key)
				if err != nil {
					err = errors.New("no such key")
				}
				return v, err
			}}
		}, "a key that was never set is ErrNotFound"},
		{"not found is no error", func() bent {
			return bent{get: func(b store.Backend, key string) ([]byte, error) {
				v, _ := b.Get(bg, key)
				return v, nil
			}}
		}, "a key that was never set is ErrNotFound"},
		{"values are text", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				return b.Set(bg, key, []byte(strings.ToValidUTF8(string(v), "?")), ttl)
			}}
		}, "a value comes back byte for byte"},
		{"great values are dropped in silence", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if len(v) > 1000 {
					return nil
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a value comes back byte for byte"},
		{"empty is not there", func() bent {
			return bent{get: func(b store.Backend, key string) ([]byte, error) {
				v, err := b.Get(bg, key)
				if len(v) == 0 {
					err = store.ErrNotFound
				}
				return v, err
			}}
		}, "an empty value is a value"},
		{"keys fold case", func() bent {
			return bent{
				get: func(b store.Backend, key string) ([]byte, error) { return b.Get(bg, strings.ToLower(key)) },
				set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
					return b.Set(bg, strings.ToLower(key), v, ttl)
				},
				exists: func(b store.Backend, key string) (bool, error) { return b.Exists(bg, strings.ToLower(key)) },
			}
		}, "every allowed key works, and keys that differ are different"},
		{"keys are cut", func() bent {
			return bent{
				get:    func(b store.Backend, key string) ([]byte, error) { return b.Get(bg, key[:min(199, len(key))]) },
				set:    cut(199),
				exists: func(b store.Backend, key string) (bool, error) { return b.Exists(bg, key[:min(199, len(key))]) },
			}
		}, "every allowed key works, and keys that differ are different"},
		{"Delete does nothing", func() bent {
			return bent{delete: func(store.Backend, string) (bool, error) { return true, nil }}
		}, "Delete removes, and tells whether there was anything"},
		{"Delete always says true", func() bent {
			return bent{delete: func(b store.Backend, key string) (bool, error) {
				_, err := b.Delete(bg, key)
				return true, err
			}}
		}, "Delete removes, and tells whether there was anything"},
		{"Exists always says true", func() bent {
			return bent{exists: func(store.Backend, string) (bool, error) { return true, nil }}
		}, "a key that was never set is ErrNotFound"},
		{"the first Set stays", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if found, _ := b.Exists(bg, key); found {
					return nil
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "Set takes the place of what was there"},
		{"no value ends", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, _ time.Duration) error {
				return b.Set(bg, key, v, time.Hour)
			}}
		}, "a value ends with its ttl"},
		{"milliseconds for seconds", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				return b.Set(bg, key, v, ttl/1000)
			}}
		}, "a value is there until its ttl ends"},
		{"less than a second is for ever", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if ttl > 0 && ttl < time.Second {
					ttl = time.Hour
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a ttl below the backend's unit still ends"},
		{"0 is for ever", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if ttl <= 0 {
					ttl = time.Hour
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a ttl of 0 or less stores nothing and removes what was there"},
		{"0 is ignored", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if ttl <= 0 {
					return nil
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a ttl of 0 or less stores nothing and removes what was there"},
		{"0 is an error", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if ttl <= 0 {
					return errors.New("invalid expire time")
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a ttl of 0 or less stores nothing and removes what was there"},
		{"more than 30 days is a date", func() bent {
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if ttl > 30*24*time.Hour {
					ttl = 0
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "a long ttl is not an error and not the past"},
		{"the first lifetime stays", func() bent {
			first := map[string]time.Duration{}
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if _, ok := first[key]; !ok {
					first[key] = ttl
				}
				return b.Set(bg, key, v, first[key])
			}}
		}, "Set replaces the ttl, too"},
		{"the slice itself is kept", func() bent {
			kept := map[string][]byte{}
			return bent{
				set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
					kept[key] = v
					return b.Set(bg, key, v, ttl)
				},
				get: func(b store.Backend, key string) ([]byte, error) { return kept[key], nil },
			}
		}, "the backend keeps its own copy"},
		{"one buffer for all answers", func() bent {
			buffer := make([]byte, 0, 2_000_000)
			return bent{get: func(b store.Backend, key string) ([]byte, error) {
				v, err := b.Get(bg, key)
				return append(buffer[:0], v...), err
			}}
		}, "what Get returned stays as it is"},
		{"a hundred keys are enough", func() bent {
			n := 0
			return bent{set: func(b store.Backend, key string, v []byte, ttl time.Duration) error {
				if n++; n > 100 {
					return nil
				}
				return b.Set(bg, key, v, ttl)
			}}
		}, "many keys are kept at once"},
		{"answers cross", func() bent {
			return bent{get: func(b store.Backend, key string) ([]byte, error) { return b.Get(bg, "key-0") }}
		}, "concurrent calls do not mix values"},
		{"given up is not found", func() bent {
			return bent{Backend: givingUp{newMapBackend(nil)}}
		}, "a call whose context is done fails, with the reason, and does nothing"},
		{"nameless", func() bent {
			return bent{health: func() (store.Health, error) { return store.Health{}, nil }}
		}, "Health names the backend"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			mustBreak(t, backendRules, tt.rule, func() store.Backend {
				b := tt.bent()
				if b.Backend == nil {
					b.Backend = newMapBackend(t)
				}
				return b
			})
		})
	}
}

// givingUp takes the end of a context for a miss.
type givingUp struct{ store.Backend }

func (g givingUp) Get(ctx context.Context, key string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, store.ErrNotFound
	}
	return g.Backend.Get(ctx, key)
}

// mapStore is a Store that does the least, to be bent.
type mapStore struct {
	entries *sync.Map
	loseTag bool // keeps no tags
	anyKey  bool // takes entries of other keys
	cutKeys bool
	noEnd   bool // knows no lifetimes, except that 0 or less is none
	zero    bool // takes 0 for ever
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
	for _, tt := range []struct {
		fault string
		store mapStore
		rule  string
	}{
		{"a field is lost", mapStore{loseTag: true}, "an entry comes back whole"},
		{"long keys are cut", mapStore{cutKeys: true}, "keys of any length and content work, and keys that differ are different"},
		{"any key will do", mapStore{anyKey: true}, "no entry is stored under a key that is not its own"},
		{"nothing ends", mapStore{noEnd: true}, "an entry is there until its ttl ends, and then no longer"},
		{"an old lifetime goes on", mapStore{}, "Set takes the place of what was there, lifetime included"},
		{"0 is for ever", mapStore{zero: true}, "a ttl of 0 or less stores nothing and removes what was there"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			mustBreak(t, storeRules, tt.rule, func() store.Store {
				s := tt.store
				s.entries = new(sync.Map)
				return s
			})
		})
	}
	for _, tt := range []struct {
		fault  string
		broken Fault
		rule   string
	}{
		{"refused", Refuse(errors.New("connection refused")), "a key that was never set is ErrNotFound"},
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
		t.Run(tt.fault, func(t *testing.T) {
			mustBreak(t, storeRules, tt.rule, func() store.Store {
				return Faulty(store.New(newMapBackend(t), store.Options{}), tt.broken)
			})
		})
	}
}

// bentJournal is a Journal with some methods bent out of shape.
type bentJournal struct {
	store.Journal
	append func(j store.Journal, what []store.Mark) (uint64, error)
	since  func(j store.Journal, number uint64) ([]store.Numbered, uint64, error)
	watch  func(ctx context.Context, j store.Journal, from uint64) iter.Seq2[store.Numbered, error]
}

func (b bentJournal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	if b.append != nil {
		return b.append(b.Journal, what)
	}
	return b.Journal.Append(ctx, what...)
}

func (b bentJournal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	if b.since != nil {
		return b.since(b.Journal, number)
	}
	return b.Journal.Since(ctx, number)
}

func (b bentJournal) Watch(ctx context.Context, from uint64) iter.Seq2[store.Numbered, error] {
	if b.watch != nil {
		return b.watch(ctx, b.Journal, from)
	}
	return b.Journal.Watch(ctx, from)
}

func TestJournalRulesFindFaults(t *testing.T) {
	bg := context.Background()
	for _, tt := range []struct {
		fault string
		bent  bentJournal
		rule  string
	}{
		{"not new", bentJournal{since: func(j store.Journal, n uint64) ([]store.Numbered, uint64, error) {
			_, head, err := j.Since(bg, n)
			return []store.Numbered{{Mark: store.Mark{Name: "x"}, Number: 1}}, head, err
		}}, "a new journal has no marks"},
		{"one number for all", bentJournal{append: func(j store.Journal, what []store.Mark) (uint64, error) {
			n, err := j.Append(bg, what...)
			return n - uint64(max(len(what)-1, 0)), err
		}}, "each mark has a number of its own, greater than all before"},
		{"softness is lost", bentJournal{append: func(j store.Journal, what []store.Mark) (uint64, error) {
			hard := append([]store.Mark(nil), what...)
			for i := range hard {
				hard[i].Soft = false
			}
			return j.Append(bg, hard...)
		}}, "each mark has a number of its own, greater than all before"},
		{"asking counts", bentJournal{append: func(j store.Journal, what []store.Mark) (uint64, error) {
			if len(what) == 0 {
				what = []store.Mark{{Name: "nothing"}}
			}
			return j.Append(bg, what...)
		}}, "Append of nothing returns the head and changes nothing"},
		{"Since includes the number", bentJournal{since: func(j store.Journal, n uint64) ([]store.Numbered, uint64, error) {
			return j.Since(bg, max(n, 1)-1)
		}}, "Since returns exactly the marks after a number"},
		{"an empty name is everything", bentJournal{append: func(j store.Journal, what []store.Mark) (uint64, error) {
			what = append([]store.Mark(nil), what...)
			for i := range what {
				if what[i].Name == "" {
					what[i] = store.Mark{Kind: store.Everything}
				}
			}
			return j.Append(bg, what...)
		}}, "a mark that names nothing is refused"},
		{"names end at NUL", bentJournal{append: func(j store.Journal, what []store.Mark) (uint64, error) {
			what = append([]store.Mark(nil), what...)
			for i := range what {
				what[i].Name, _, _ = strings.Cut(what[i].Name, "\x00")
			}
			return j.Append(bg, what...)
		}}, "names of any content come back as they are"},
		{"one of many is lost", bentJournal{append: func(j store.Journal, what []store.Mark) (uint64, error) {
			if len(what) > 0 && what[0].Name == "3/33" {
				return j.Append(bg)
			}
			return j.Append(bg, what...)
		}}, "concurrent appends get different numbers, and none is lost"},
		{"only what comes is watched", bentJournal{watch: func(ctx context.Context, j store.Journal, from uint64) iter.Seq2[store.Numbered, error] {
			head, _ := j.Append(ctx)
			return j.Watch(ctx, head)
		}}, "Watch yields what was, then what comes, each once and in order"},
		{"only what was is watched", bentJournal{watch: func(ctx context.Context, j store.Journal, from uint64) iter.Seq2[store.Numbered, error] {
			return func(yield func(store.Numbered, error) bool) {
				marks, _, _ := j.Since(ctx, from)
				for _, m := range marks {
					if !yield(m, nil) {
						return
					}
				}
				<-ctx.Done()
			}
		}}, "Watch yields what was, then what comes, each once and in order"},
		{"the watch is endless", bentJournal{watch: func(_ context.Context, j store.Journal, from uint64) iter.Seq2[store.Numbered, error] {
			return func(func(store.Numbered, error) bool) { time.Sleep(24 * time.Hour) }
		}}, "Watch ends when its context does, whether it has begun to wait or not"},
		{"numbers come low", bentJournal{since: func(j store.Journal, n uint64) ([]store.Numbered, uint64, error) {
			marks, head, err := j.Since(bg, n)
			for i := range marks {
				marks[i].Number = 0
			}
			return marks, head, err
		}}, "a replica fed by the journal covers what was invalidated, and nothing else"},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			mustBreak(t, journalRules, tt.rule, func() store.Journal {
				j := tt.bent
				j.Journal = store.NewMemoryJournal()
				return j
			})
		})
	}
}

// mustBreak fails unless the rule named finds fault with the subject.
func mustBreak[T any](t *testing.T, rules []rule[T], name string, newSubject func() T) {
	t.Helper()
	for _, r := range rules {
		if r.name != name {
			continue
		}
		var err error
		synctest.Test(t, func(t *testing.T) {
			err = r.check(t.Context(), newSubject(), options([]Options{{Keys: 200}}))
			time.Sleep(48 * time.Hour) // for whatever it has left running
		})
		if err == nil {
			t.Errorf("passes the rule %q", name)
		}
		return
	}
	t.Errorf("there is no rule %q", name)
}

package storetest

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

func TestFlushRulesFindFaults(t *testing.T) {
	const (
		exact = "Flush removes what begins with the prefix, says how much, and removes " +
			"nothing else"
		nothing  = "Flush of a prefix that nothing begins with removes nothing, without an error"
		after    = "what is set after a Flush is kept, and the next Flush removes it"
		empty    = "Flush of an empty prefix is an error and removes nothing"
		pattern  = "a prefix is no pattern"
		many     = "Flush removes thousands"
		others   = "Flush leaves leases and journals alone"
		ofStores = "a Store's entries are flushed by its prefix, and no other Store's"
	)
	bg := context.Background()
	var faults abilityFaults[store.Flusher]
	faults.rules = flushRules
	bend := func(name, rule string, flush func(*fullBackend, string) (int64, error)) {
		faults.bend(name, rule, func() bentFull { return bentFull{flush: flush} })
	}
	bend("_ is any character", exact, flushBy(like))
	bend(". is any character", exact, flushBy(func(f *fullBackend, prefix string, yield func(string,
		error) bool) {
		like(f, strings.ReplaceAll(prefix, ".", "_"), yield)
	}))
	bend("case does not matter", exact, flushBy(matching(func(key, prefix string) bool {
		return strings.HasPrefix(strings.ToLower(key), strings.ToLower(prefix))
	})))
	bend("anywhere in the key", exact, flushBy(matching(strings.Contains)))
	bend("the prefix itself stays", exact, flushBy(matching(func(key, prefix string) bool {
		return key != prefix && strings.HasPrefix(key, prefix)
	})))
	bend("removes, and says 0", exact, func(f *fullBackend, prefix string) (int64, error) {
		_, err := f.Flush(bg, prefix)
		return 0, err
	})
	bend("nothing to do is an error", nothing, func(f *fullBackend, prefix string) (int64, error) {
		n, err := f.Flush(bg, prefix)
		if n == 0 {
			err = errors.New("nothing found")
		}
		return n, err
	})
	faults.bend("flushed for good", after, func() bentFull {
		flushed := ""
		return bentFull{
			flush: func(f *fullBackend, prefix string) (int64, error) {
				flushed = prefix
				return f.Flush(bg, prefix)
			},
			get: func(f *fullBackend, key string) ([]byte, error) {
				if flushed != "" && strings.HasPrefix(key, flushed) {
					return nil, store.ErrNotFound
				}
				return f.Get(bg, key)
			},
		}
	})
	bend("no prefix is every prefix", empty, flushBy(matching(strings.HasPrefix)))
	bend("no prefix is nothing to do", empty, func(f *fullBackend, prefix string) (int64, error) {
		if prefix == "" {
			return 0, nil
		}
		return f.Flush(bg, prefix)
	})
	bend("a glob", pattern, flushBy(matching(func(key, prefix string) bool {
		ok, _ := path.Match(prefix+"*", key)
		return ok
	})))
	bend("a LIKE", pattern, flushBy(matching(func(key, prefix string) bool {
		return strings.HasPrefix(key, strings.TrimSuffix(prefix, "%"))
	})))
	bend("a thousand at most", many, func(f *fullBackend, prefix string) (removed int64,
		err error) {
		for key := range f.List(bg, prefix) {
			if f.Delete(bg, key); removed == 1000 {
				break
			}
			removed++
		}
		return removed, nil
	})
	bend("leases go, too", others, func(f *fullBackend, prefix string) (int64, error) {
		clear(f.leases)
		return f.Flush(bg, prefix)
	})
	bend("journals go, too", others, func(f *fullBackend, prefix string) (int64, error) {
		clear(f.journals)
		return f.Flush(bg, prefix)
	})
	bend("the whole server", ofStores, func(f *fullBackend, _ string) (int64, error) {
		n := int64(len(f.values))
		clear(f.values)
		return n / 2, nil
	})
	faults.run(t)
}

func TestListRulesFindFaults(t *testing.T) {
	const (
		exact = "List yields the keys that begin with the prefix, each once, and no other"
		gone  = "what was removed or has ended is not listed, nor is a prefix that nothing " +
			"begins with an error"
		many     = "List yields thousands"
		again    = "a loop over List may end early, and the list be walked again"
		deleting = "what is listed may be read and deleted at once"
		others   = "leases and journals are not listed"
		ofStores = "a Store's entries are listed under its prefix"
	)
	bg := context.Background()
	var faults abilityFaults[store.Lister]
	faults.rules = listRules
	bend := func(name, rule string, list func(*fullBackend, string, func(string, error) bool)) {
		faults.bend(name, rule, func() bentFull { return bentFull{list: list} })
	}
	bend("_ is any character", exact, like)
	bend("no key in the prefix's place", exact, matching(func(key, prefix string) bool {
		return key != prefix && strings.HasPrefix(key, prefix)
	}))
	bend("what has ended is listed", gone, func(f *fullBackend, prefix string, yield func(string,
		error) bool) {
		for key := range f.values {
			if strings.HasPrefix(key, prefix) && !yield(key, nil) {
				return
			}
		}
	})
	bend("nothing is an error", gone, func(f *fullBackend, prefix string, yield func(string,
		error) bool) {
		n := 0
		for key, err := range f.List(bg, prefix) {
			if n++; !yield(key, err) {
				return
			}
		}
		if n == 0 {
			yield("", errors.New("no keys"))
		}
	})
	bend("one of a thousand comes twice", many, func(f *fullBackend, prefix string,
		yield func(string, error) bool) {
		n := 0
		for key, err := range f.List(bg, prefix) {
			if n++; !yield(key, err) || n == 1000 && !yield(key, err) {
				return
			}
		}
	})
	faults.bend("it can be walked once", again, func() bentFull {
		walked := false
		return bentFull{list: func(f *fullBackend, prefix string, yield func(string, error) bool) {
			for key, err := range f.List(bg, prefix) {
				if walked || !yield(key, err) {
					walked = true
					return
				}
			}
		}}
	})
	faults.bend("connections are not given back", again, func() bentFull {
		free := 10
		return bentFull{list: func(f *fullBackend, prefix string, yield func(string, error) bool) {
			if free == 0 {
				yield("", errors.New("too many connections"))
				return
			}
			free--
			for key, err := range f.List(bg, prefix) {
				if !yield(key, err) {
					return
				}
			}
			free++
		}}
	})
	bend("by place, as of now", deleting, func(f *fullBackend, prefix string, yield func(string,
		error) bool) {
		for i := 0; ; i++ {
			var keys []string
			for key := range f.List(bg, prefix) {
				keys = append(keys, key)
			}
			if slices.Sort(keys); i >= len(keys) || !yield(keys[i], nil) {
				return
			}
		}
	})
	bend("leases are listed", others, func(f *fullBackend, prefix string, yield func(string,
		error) bool) {
		for name := range f.leases {
			if strings.HasPrefix(name, prefix) && !yield(name, nil) {
				return
			}
		}
		for key, err := range f.List(bg, prefix) {
			if !yield(key, err) {
				return
			}
		}
	})
	bend("the prefix is cut off", ofStores, func(f *fullBackend, prefix string, yield func(string,
		error) bool) {
		for key, err := range f.List(bg, prefix) {
			if !yield(strings.TrimPrefix(key, prefix), err) {
				return
			}
		}
	})
	faults.run(t)
}

// matching lists the keys that some notion of a prefix matches.
func matching(
	match func(key, prefix string) bool,
) func(*fullBackend, string, func(string, error) bool) {
	return func(f *fullBackend, prefix string, yield func(string, error) bool) {
		var keys []string
		f.mapBackend.mu.Lock()
		for key, v := range f.values {
			if match(key, prefix) && time.Now().Before(v.expires) {
				keys = append(keys, key)
			}
		}
		f.mapBackend.mu.Unlock()
		for _, key := range keys {
			if !yield(key, nil) {
				return
			}
		}
	}
}

package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

var storeRules = []rule[store.Store]{{
	name: "a key that was never set is ErrNotFound",
	why:  "any other error counts as a broken store; a nil error would be a hit",
	check: func(ctx context.Context, s store.Store, _ Options) error {
		return noEntry(ctx, s, "unknown")
	},
}, {
	name: "an entry comes back whole",
	why:  "every field decides something: for whom, for how long, against which invalidations",
	check: func(ctx context.Context, s store.Store, _ Options) error {
		for _, e := range []*store.Entry{
			fullEntry("page"),
			{Key: "nothing but a key"},
			{Key: "nothing, but not nil", Header: http.Header{}, Body: []byte{},
				Vary: http.Header{}, Tags: []string{}},
			{Key: "index", Variants: [][]string{{"accept-encoding", "accept-language"}, {}}},
			{Key: "partial", Status: 206, Body: []byte("abcde"), Total: 20,
				Spans: []store.Span{{First: 0, End: 2}, {First: 10, End: 13}}},
		} {
			if err := setEntry(ctx, s, e); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "keys of any length and content work, and keys that differ are different",
	why: "a key holds what clients send; two requests that meet in one entry read each other's " +
		"page",
	check: func(ctx context.Context, s store.Store, _ Options) error {
		long := strings.Repeat("GET https://a.example/", 500)
		keys := []string{
			"GET https://a.example/", "GET https://a.example/?", "GET https://A.example/",
			"GET https://a.example//", "get https://a.example/",
			"", " ", "a b", "a\x00b", "a\x00c", "a", "a\r\nDELETE all\r\n", "\x7f\xff\xfe", "ключ",
			"a/../b", "a%2Fb", "a*", "a?b", "{a}", "'; --",
			long + "1", long + "2", "1" + long,
		}
		for _, key := range keys {
			if err := s.Set(ctx, key, fullEntry(key), time.Hour); err != nil {
				return fmt.Errorf("Set(%.100q): %w", key, err)
			}
		}
		for _, key := range keys {
			if err := findEntry(ctx, s, fullEntry(key)); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "no entry is stored under a key that is not its own",
	why:  "the key text in the entry is the last guard against serving one page for another",
	check: func(ctx context.Context, s store.Store, _ Options) error {
		err := s.Set(ctx, "key", fullEntry("another"), time.Hour)
		if err == nil {
			err = errors.New("Set of an entry with another Key reported success")
		} else {
			err = nil
		}
		return errors.Join(err, noEntry(ctx, s, "key"), noEntry(ctx, s, "another"))
	},
}, {
	name: "Delete removes; a key that is not there is no error",
	why:  "a purge that reports success must have purged, and purging twice is not a failure",
	check: func(ctx context.Context, s store.Store, _ Options) error {
		if err := errors.Join(setEntry(ctx, s, fullEntry("key")),
			setEntry(ctx, s, fullEntry("other"))); err != nil {
			return err
		}
		for range 2 {
			if err := s.Delete(ctx, "key"); err != nil {
				return fmt.Errorf("Delete: %w", err)
			}
			if err := noEntry(ctx, s, "key"); err != nil {
				return err
			}
		}
		return findEntry(ctx, s, fullEntry("other"))
	},
}, {
	name: "Set takes the place of what was there, lifetime included",
	why: "a refreshed page must not end when the old one would have, nor an uncacheable one " +
		"live on",
	check: func(ctx context.Context, s store.Store, o Options) error {
		fresh := fullEntry("longer")
		fresh.Body = []byte("fresh")
		err := errors.Join(
			s.Set(ctx, "longer", fullEntry("longer"), o.TTL), s.Set(ctx, "longer", fresh,
				time.Hour),
			s.Set(ctx, "shorter", fullEntry("shorter"), time.Hour), s.Set(ctx, "shorter",
				fullEntry("shorter"), o.TTL))
		if err != nil {
			return err
		}
		time.Sleep(o.TTL + o.Margin)
		return errors.Join(findEntry(ctx, s, fresh), noEntry(ctx, s, "shorter"))
	},
}, {
	name: "an entry is there until its ttl ends, and then no longer",
	why: "what never ends fills memory and disks; what ends early is a cache that does not work " +
		"and does not say so",
	check: func(ctx context.Context, s store.Store, o Options) error {
		start := time.Now()
		if err := errors.Join(
			s.Set(ctx, "long", fullEntry("long"), 4*o.TTL),
			s.Set(ctx, "short", fullEntry("short"), o.TTL),
			s.Set(ctx, "tiny", fullEntry("tiny"), 1),
		); err != nil {
			return err
		}
		time.Sleep(o.TTL)
		// a machine may stall
		if err := findEntry(ctx, s, fullEntry("long")); err != nil && time.Since(start) < 3*o.TTL {
			return fmt.Errorf("%v after a Set for %v: %w", o.TTL, 4*o.TTL, err)
		}
		time.Sleep(o.Margin)
		return errors.Join(noEntry(ctx, s, "short"), noEntry(ctx, s, "tiny"))
	},
}, {
	name: "a ttl of 0 or less stores nothing and removes what was there",
	why:  "engines read 0 as for ever; here it means: of no use any more",
	check: func(ctx context.Context, s store.Store, _ Options) error {
		for _, ttl := range []time.Duration{0, -1, -1 << 63} {
			if err := setEntry(ctx, s, fullEntry("key")); err != nil {
				return err
			}
			for range 2 { // the second time nothing is there
				if err := s.Set(ctx, "key", fullEntry("key"), ttl); err != nil {
					return fmt.Errorf("Set for %v: %w", ttl, err)
				}
				if err := noEntry(ctx, s, "key"); err != nil {
					return fmt.Errorf("after a Set for %v: %w", ttl, err)
				}
			}
		}
		return nil
	},
}, {
	name: "a long ttl is not an error and not the past",
	why:  "Memcached takes more than 30 days for a date in 1970, and sums overflow",
	check: func(ctx context.Context, s store.Store, _ Options) error {
		for _, ttl := range []time.Duration{31 * 24 * time.Hour, 400 * 24 * time.Hour, 1<<63 - 1} {
			if err := s.Set(ctx, "key", fullEntry("key"), ttl); err != nil {
				return fmt.Errorf("Set for %v: %w", ttl, err)
			}
			if err := findEntry(ctx, s, fullEntry("key")); err != nil {
				return fmt.Errorf("after a Set for %v: %w", ttl, err)
			}
		}
		return nil
	},
}, {
	name: "many entries are kept at once",
	why:  "a site has more than a handful of pages",
	check: func(ctx context.Context, s store.Store, o Options) error {
		for i := range o.Keys {
			key := fmt.Sprint("key ", i)
			if err := s.Set(ctx, key, fullEntry(key), time.Hour); err != nil {
				return fmt.Errorf("Set(%q): %w", key, err)
			}
		}
		for i := range o.Keys {
			if err := findEntry(ctx, s, fullEntry(fmt.Sprint("key ", i))); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "concurrent calls do not mix entries",
	why: "every request is a goroutine; an entry made of two is one user's page with another's " +
		"header",
	check: concurrentStore,
}, {
	name: "an error is never \"not there\"",
	why: "a call that was given up says nothing about the key; a guard must see it as a " +
		"failure, not as a miss",
	check: func(ctx context.Context, s store.Store, _ Options) error {
		if err := setEntry(ctx, s, fullEntry("key")); err != nil {
			return err
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if e, err := s.Get(gone, "key"); errors.Is(err, store.ErrNotFound) || err == nil &&
			e == nil {
			return fmt.Errorf("Get with a cancelled context: %v, %v; want the entry, or an error "+
				"that is not ErrNotFound", e, err)
		}
		return nil
	},
}}

func concurrentStore(ctx context.Context, s store.Store, o Options) error {
	const workers, keys = 8, 5
	var all sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		all.Go(func() {
			for i := range o.Rounds {
				key := fmt.Sprint("key ", (w+i)%keys)
				e := fullEntry(key)
				e.Number = uint64(1 + (w*o.Rounds+i)%500)
				e.Body = bytes.Repeat([]byte("x"), int(e.Number))
				if errs[w] = s.Set(ctx, key, e, time.Hour); errs[w] != nil {
					return
				}
				got, err := s.Get(ctx, key)
				switch {
				case errors.Is(err, store.ErrNotFound):
				case err != nil:
					errs[w] = err
					return
				case got.Key != key || len(got.Body) != int(got.Number):
					errs[w] = fmt.Errorf("Get(%q): an entry of %q with fill %d and a body of %d "+
						"bytes; nobody has set that", key, got.Key, got.Number, len(got.Body))
					return
				}
				if i%7 == 0 {
					if errs[w] = s.Delete(ctx, key); errs[w] != nil {
						return
					}
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// fullEntry returns an entry with every field set that a complete response can have.
func fullEntry(key string) *store.Entry {
	at := time.Date(2026, 11, 6, 8, 49, 37, 123456789, time.UTC)
	return &store.Entry{
		Key: key, URI: "GET https://a.example/x",
		Status: 200,
		Header: http.Header{"Content-Type": {"text/plain"}, "Link": {"</a>", "</b>"},
			"X-Empty": {""}, "X-Bytes": {"\xff"}},
		Trailer:   http.Header{"Server-Timing": {"db;dur=5"}},
		Body:      []byte("body of " + key),
		Vary:      http.Header{"Accept-Encoding": {"gzip"}},
		Tags:      []string{"a", "b c"},
		Number:    1<<63 + 1,
		Requested: at, Received: at.Add(time.Second),
		Age: 1, Fresh: time.Minute, StaleWhileRevalidate: 2 * time.Minute,
		StaleIfError: 3 * time.Minute, Retention: 4 * time.Minute,
		MustRevalidate: true, Anonymous: true, Announced: true, MadeETag: true, MadeModified: true,
	}
}

func setEntry(ctx context.Context, s store.Store, e *store.Entry) error {
	if err := s.Set(ctx, e.Key, e, time.Hour); err != nil {
		return fmt.Errorf("Set(%.100q): %w", e.Key, err)
	}
	return findEntry(ctx, s, e)
}

// findEntry fails unless the store has that entry, equal in every field.
func findEntry(ctx context.Context, s store.Store, want *store.Entry) error {
	got, err := s.Get(ctx, want.Key)
	if err != nil {
		return fmt.Errorf("Get(%.100q): %w", want.Key, err)
	}
	if field := differs(got, want); field != "" {
		return fmt.Errorf("Get(%.100q) has another %s:\n%+v, want\n%+v", want.Key, field, got, want)
	}
	return nil
}

// differs returns the name of a field in which two entries differ, or "" if they are equal. Times
// are equal when they are the same moment. Nil and empty are equal, except that an entry with
// Variants is an index.
func differs(a, b *store.Entry) string {
	one, other := reflect.ValueOf(*a), reflect.ValueOf(*b)
	for i := range one.NumField() {
		field := one.Type().Field(i)
		if field.IsExported() && !equal(one.Field(i), other.Field(i)) {
			return field.Name
		}
	}
	if (a.Variants == nil) != (b.Variants == nil) {
		return "Variants"
	}
	return ""
}

func equal(a, b reflect.Value) bool {
	if at, ok := a.Interface().(time.Time); ok {
		return at.Equal(b.Interface().(time.Time))
	}
	if (a.Kind() == reflect.Slice || a.Kind() == reflect.Map) && a.Len() == 0 {
		return b.Len() == 0
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func noEntry(ctx context.Context, s store.Store, key string) error {
	if e, err := s.Get(ctx, key); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("Get(%.100q) = %+v, %v; want ErrNotFound", key, e, err)
	}
	return nil
}

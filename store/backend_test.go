package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"
)

// keeper is a Backend that shows what it was given.
type keeper struct {
	values map[string][]byte
	fail   error
}

func (k *keeper) Get(_ context.Context, key string) ([]byte, error) {
	if v, ok := k.values[key]; ok && k.fail == nil {
		return v, nil
	}
	if k.fail != nil {
		return nil, k.fail
	}
	return nil, ErrNotFound
}

func (k *keeper) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	k.values[key] = value
	return k.fail
}

func (k *keeper) Delete(_ context.Context, key string) (bool, error) {
	_, existed := k.values[key]
	delete(k.values, key)
	return existed, k.fail
}

func (k *keeper) Exists(_ context.Context, key string) (bool, error) {
	_, ok := k.values[key]
	return ok, k.fail
}

func (k *keeper) Health(context.Context) (Health, error) {
	return Health{Backend: "keeper"}, k.fail
}

func TestBackendKeysFitEveryBackend(t *testing.T) {
	allowed := regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,200}$`)
	prefixes := []string{"", "blog:", strings.Repeat("p", maxPrefix)}
	seen := map[string]string{}
	for _, prefix := range prefixes {
		for _, key := range []string{"", "a", "A", "a\x00", "GET https://a.example/?q=ключ\r\n",
			strings.Repeat("k", 1<<20)} {
			b := &keeper{values: map[string][]byte{}}
			s := New(b, Options{Prefix: prefix})
			if err := s.Set(t.Context(), key, &Entry{Key: key}, time.Hour); err != nil {
				t.Fatal(err)
			}
			for k := range maps.Keys(b.values) {
				if !allowed.MatchString(k) || !strings.HasPrefix(k, prefix) ||
					k != (Options{Prefix: prefix}).BackendKey(key) {
					t.Errorf("key %.40q with prefix %.10q is kept under %q", key, prefix, k)
				}
				if other, ok := seen[k]; ok {
					t.Errorf("%.40q and %.40q share %q", key, other, k)
				}
				seen[k] = key
			}
		}
	}
	if len(seen) != 18 {
		t.Errorf("%d keys for 18", len(seen))
	}
}

// The key text is what tells two entries apart that meet in one place.
func TestGetComparesTheKey(t *testing.T) {
	b := &keeper{values: map[string][]byte{}}
	var heard []string
	s := New(b, Options{OnCorrupt: func(key string, err error) {
		heard = append(heard, fmt.Sprint(key, ": ", err))
	}})
	b.values[Options{Prefix: ""}.BackendKey("mine")] = encodeOne(nil, &Entry{Key: "somebody else's",
		Body: []byte("secret")})
	if e, err := s.Get(t.Context(), "mine"); !errors.Is(err, ErrNotFound) || e != nil {
		t.Errorf("Get = %+v, %v; want ErrNotFound", e, err)
	}
	if len(heard) != 1 || !strings.Contains(heard[0], "mine: ") || strings.Contains(heard[0],
		"somebody") {
		t.Errorf("OnCorrupt heard %q, want the key once, and nothing of the other entry", heard)
	}
}

func TestUnusableValuesAreMisses(t *testing.T) {
	good := encodeOne(nil, &Entry{Key: "k"})
	old := append([]byte(nil), good...)
	old[len(codecMagic)]++
	for story, value := range map[string][]byte{
		"nil": nil, "empty": {}, "something else": []byte("<html>"), "cut": good[:len(good)-1],
		"another version": old,
	} {
		b := &keeper{values: map[string][]byte{Options{Prefix: ""}.BackendKey("k"): value}}
		heard := 0
		s := New(b, Options{OnCorrupt: func(key string, err error) {
			heard++
			if key != "k" || !errors.Is(err, errCorrupt) {
				t.Errorf("%s: OnCorrupt(%q, %v)", story, key, err)
			}
		}})
		for _, s := range []Store{s, New(b, Options{})} { // nobody has to listen
			if _, err := s.Get(t.Context(), "k"); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", story, err)
			}
		}
		if heard != 1 {
			t.Errorf("%s: OnCorrupt heard %d times", story, heard)
		}
	}
}

func TestABrokenBackendIsNotAMiss(t *testing.T) {
	down := errors.New("connection refused")
	s := New(&keeper{values: map[string][]byte{}, fail: down},
		Options{OnCorrupt: func(string, error) { t.Error("OnCorrupt heard of it") }})
	_, get := s.Get(t.Context(), "k")
	set := s.Set(t.Context(), "k", &Entry{Key: "k"}, time.Hour)
	for call, err := range map[string]error{"Get": get, "Set": set, "Delete": s.Delete(t.Context(),
		"k"), "Set for 0": s.Set(t.Context(), "k", &Entry{Key: "k"}, 0)} {
		if !errors.Is(err, down) || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want %v", call, err, down)
		}
	}
}

func TestPrefixes(t *testing.T) {
	for prefix, want := range map[string]string{
		"":                                  "",
		"blog:":                             "",
		"A-b_c.9:":                          "",
		"my app:":                           `contains ' '`,
		"é":                                 "contains",
		"a\x00":                             "contains",
		strings.Repeat("p", maxPrefix):      "",
		strings.Repeat("p", maxPrefix+1):    "at most 136",
		strings.Repeat("p", 1<<20) + "\xff": "at most 136",
	} {
		err := Options{Prefix: prefix}.Validate()
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) ||
			len(err.Error()) > 300) {
			t.Errorf("Validate of prefix %.20q: = %v, want %q", prefix, err, want)
		}
		panicked := func() (p any) {
			defer func() { p = recover() }()
			New(&keeper{}, Options{Prefix: prefix})
			return nil
		}()
		if (panicked != nil) != (want != "") {
			t.Errorf("New with prefix %.20q: panic %v", prefix, panicked)
		}
	}
}

type wrapper struct{ inner any }

func (w wrapper) Unwrap() any { return w.inner }

type flusher interface{ Flush() string }

type flushing struct{ name string }

func (f flushing) Flush() string { return f.name }

func TestAs(t *testing.T) {
	b := &keeper{}
	for _, tt := range []struct {
		story string
		s     any
		want  string
	}{
		{"itself", flushing{"it"}, "it"},
		{"wrapped", wrapper{flushing{"it"}}, "it"},
		{"wrapped twice", wrapper{wrapper{flushing{"it"}}}, "it"},
		{"the outermost wins", struct {
			flushing
			wrapper
		}{flushing{"outer"}, wrapper{flushing{"inner"}}}, "outer"},
		{"a nil inside", wrapper{nil}, ""},
		{"nil", nil, ""},
		{"a backend that cannot", New(b, Options{}), ""},
	} {
		f, ok := As[flusher](tt.s)
		if ok != (tt.want != "") || ok && f.Flush() != tt.want {
			t.Errorf("%s: %v, %t; want %q", tt.story, f, ok, tt.want)
		}
	}
	if got, ok := As[*keeper](wrapper{New(b, Options{})}); !ok || got != b {
		t.Error("the Backend is not found behind New")
	}
}

package drivers_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/drivers"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/open"
)

// notInTheCommand is the advice for a driver that the freshet command does not have.
const notInTheCommand = "; the freshet command is built without it: in its place, call " +
	"store.Migrate, store.Probe or store.Flush in a program of your own, with open.Backend"

// This binary imports package open and no driver: what a program says that forgot the import.
func TestADriverThatIsNotImported(t *testing.T) {
	for rawURL, want := range map[string]string{
		"redis://u:secret@h":          `open: no driver for redis:// is imported: add import _ "github.com/freshet-go/freshet/store/redisstore"`,
		"rediss://u:secret@h":         `open: no driver for rediss:// is imported: add import _ "github.com/freshet-go/freshet/store/redisstore"`,
		"redis+sentinel://h?master=m": `open: no driver for redis+sentinel:// is imported: add import _ "github.com/freshet-go/freshet/store/redisstore"`,
		"REDIS+cluster://u:secret@h":  `open: no driver for redis+cluster:// is imported: add import _ "github.com/freshet-go/freshet/store/redisstore"`,
		"postgres://u:secret@h/db":    `open: no driver for postgres:// is imported: add import _ "github.com/freshet-go/freshet/store/pgstore"`,
		"postgresql://u:secret@h/db":  `open: no driver for postgresql:// is imported: add import _ "github.com/freshet-go/freshet/store/pgstore"`,
		"https+store://u:secret@h":    `open: no driver for https+store:// is imported: add import _ "github.com/freshet-go/freshet/store/httpstore"`,
		"dynamodb://r/t?x=secret1": `open: no driver for dynamodb:// is imported: add import _ ` +
			`"github.com/freshet-go/freshet/store/dynamostore"` + notInTheCommand,
		"cachekit://secret@h":         `open: no driver for cachekit:// is imported: add import _ "github.com/freshet-go/freshet/store/cachekitstore"`,
		"memcached://h?token=secret1": `open: no driver for memcached:// is imported: add import _ "github.com/freshet-go/freshet/store/memcachestore"`,
	} {
		_, err := open.URL(t.Context(), rawURL, open.Options{StartAnyway: true})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v; want %s", rawURL, err, want)
		}
	}
	_, err := open.URL(t.Context(), "mongodb://u:secret@h", open.Options{})
	want := `open: no driver for "mongodb://" is imported: allowed are `
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(),
		"secret") ||
		!strings.Contains(err.Error(), "file://") || !strings.Contains(err.Error(),
		"memory://; with their drivers "+
			"imported, also redis://, postgres://, memcached://, http+store://, cachekit://, dynamodb://") {
		t.Errorf("mongodb://: %v; want %s…", err, want)
	}

	loader := settings.Loader{Keys: open.Keys()}
	for kind, want := range map[string]string{
		"redis":                  `no driver of that kind is imported: add import _ "github.com/freshet-go/freshet/store/redisstore"`,
		"kinto.core.cache.redis": `no driver of that kind is imported: add import _ "github.com/freshet-go/freshet/store/redisstore"`,
		"dynamodb": `no driver of that kind is imported: add import _ ` +
			`"github.com/freshet-go/freshet/store/dynamostore"` + notInTheCommand,
		"kinto.core.cache.nosuch": "memory; with their drivers imported, also redis, postgresql, " +
			"memcached, http, cachekit, dynamodb",
	} {
		environ := []string{"FRESHET_CACHE_BACKEND=" + kind}
		set, err := loader.Load("", environ)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = open.FromSettings(set, environ); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("cache_backend=%s: %v; want %s", kind, err, want)
		}
	}
}

// unwell is a backend of another's, with five methods, one of which fails.
type unwell struct {
	store.Backend
	closed *bool
}

var errUnwell = errors.New("the drawer is stuck")

func (u unwell) Health(context.Context) (store.Health, error) { return store.Health{}, errUnwell }
func (u unwell) Close() error                                 { *u.closed = true; return nil }

// A driver of somebody else's gets its own options and no others, and its server is asked at the
// start.
func TestADriverOfYourOwn(t *testing.T) {
	var got string
	closed := false
	drivers.Register(drivers.Driver{
		Kind: "cupboard", Schemes: []string{"cupboard", "cupboards"},
		Open: func(rawURL string) (store.Backend, error) {
			if got = rawURL; strings.Contains(rawURL, "shelf=none") {
				return nil, errors.New("cupboard: no shelf")
			}
			b := memstore.NewBackend(1 << 20)
			t.Cleanup(func() { b.Close() })
			return unwell{b, &closed}, nil
		},
	})
	_, err := open.URL(t.Context(), "cupboards://h/?shelf=3&prefix=a:&near=0", open.Options{})
	if !errors.Is(err, errUnwell) || !closed {
		t.Errorf("URL: %v, closed: %t; want the error of Health, and a closed backend", err, closed)
	}
	if err != nil && !strings.HasSuffix(err.Error(), ": the drawer is stuck: the store must answer at "+
		"the start, unless its URL has ?start=anyway, or a setting says cache_start = anyway") {
		t.Errorf("URL: %v; want the error to say how to start all the same", err)
	}
	if want := "cupboards://h/?shelf=3"; got != want {
		t.Errorf("the driver gets %q; want %q", got, want)
	}
	closed = false
	s, err := open.URL(t.Context(), "cupboard://h/?start=anyway", open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || !closed || s.Kind != "cupboard" {
		t.Errorf("Close: %v, closed: %t, kind %q", err, closed, s.Kind)
	}
	_, err = open.URL(t.Context(), "cupboard://u:secret@h/?shelf=none", open.Options{})
	if err == nil || err.Error() != "open: cupboard://u:***@h/?shelf=none: cupboard: no shelf" {
		t.Errorf("URL: %v", err)
	}

	set, err := settings.Loader{Keys: open.Keys()}.Load("", []string{
		"FRESHET_CACHE_BACKEND=cupboard", "FRESHET_CACHE_URL=cupboard://h",
		"FRESHET_CACHE_NEAR_SIZE_BYTES=1024",
	})
	if err != nil {
		t.Fatal(err)
	}
	choice, err := open.FromSettings(set, nil)
	if err != nil || choice.URL != "cupboard://h?near=1024" {
		t.Errorf("FromSettings: %+v, %v", choice, err)
	}
}

// A driver may forget what the contract asks: that no error shows a password, and that there is a
// backend if there is no error.
func TestADriverThatForgets(t *testing.T) {
	drivers.Register(drivers.Driver{
		Kind: "sieve", Schemes: []string{"sieve"},
		Open: func(rawURL string) (store.Backend, error) {
			if _, err := url.Parse(rawURL); err != nil {
				return nil, err // with the whole URL
			}
			return nil, nil
		},
	})
	for rawURL, want := range map[string]string{
		"sieve://u:secret@h/%zz?mesh=3": `open: sieve://u:***@h/%zz?mesh=3: parse "sieve://u:***@h/%zz?mesh=3": invalid URL escape "%zz"`,
		"sieve://u:secret@h/?near=0":    `open: sieve://u:***@h/?near=0: the driver "sieve" returned neither a backend nor an error`,
	} {
		_, err := open.URL(t.Context(), rawURL, open.Options{})
		if err == nil || err.Error() != want {
			t.Errorf("URL: %v; want %s", err, want)
		}
		if _, _, _, err = open.Backend(rawURL, open.Options{}); err == nil || err.Error() != want {
			t.Errorf("Backend: %v; want %s", err, want)
		}
		var wrong *url.Error
		if strings.Contains(rawURL, "%zz") && !errors.As(err, &wrong) {
			t.Errorf("%v does not wrap the driver's error", err)
		}
	}
}

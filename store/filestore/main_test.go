package filestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/storetest"
)

// A test that needs another process runs this binary again, with the name of a role in the
// environment.
const roleVariable = "FRESHET_FILESTORE_TEST_ROLE"

var roles = map[string]func(folder string) error{}

func TestMain(m *testing.M) {
	if name, folder, ok := strings.Cut(os.Getenv(roleVariable), "="); ok {
		if err := roles[name](folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// healthy returns a Backend that is well, or the error of New or Health.
func healthy(ctx context.Context, c Config) (*Backend, error) {
	b, err := New(c)
	if err != nil {
		return nil, err
	}
	if _, err := b.Health(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// open opens a Backend that ends with the test.
func open(t testing.TB, c Config) *Backend {
	t.Helper()
	b, err := healthy(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBackend(t *testing.T) {
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		return open(t, Config{Path: t.TempDir(), MaxValue: 2 << 20})
	}, storetest.Options{AllAbilities: true, Oversize: 2<<20 + 1, Keys: 3000})
}

func TestJournal(t *testing.T) {
	storetest.RunJournal(t, func(t *testing.T) store.Journal {
		return open(t, Config{Path: t.TempDir()}).Journal("test:")
	})
}

// set, get and has fail the test when the backend is broken.
func set(t testing.TB, b *Backend, key string, value []byte) {
	t.Helper()
	if err := b.Set(t.Context(), key, value, time.Hour); err != nil {
		t.Fatal(err)
	}
}

func has(t testing.TB, b *Backend, key string) bool {
	t.Helper()
	found, err := b.Exists(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantValue(t testing.TB, b *Backend, key string, want []byte) {
	t.Helper()
	if got, err := b.Get(t.Context(), key); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("Get(%.40q) = %.80q (%d bytes), %v; want %.80q (%d bytes)", key, got, len(got),
			err, want, len(want))
	}
}

func wantMiss(t testing.TB, b *Backend, key string) {
	t.Helper()
	if got, err := b.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("Get(%.40q) = %.80q (%d bytes), %v; want ErrNotFound", key, got, len(got), err)
	}
}

// wantKind checks that an error is a store.Error of a kind that shows the operation and no more of
// the key than it may.
func wantKind(t testing.TB, err error, kind store.ErrorKind) {
	t.Helper()
	var e *store.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Backend != "filestore" || e.Op == "" {
		t.Fatalf("error %v; want a *store.Error of filestore's, kind %v", err, kind)
	}
}

// filesIn returns the paths of all files below a folder, without the ledger.
func filesIn(t testing.TB, folder string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // somebody has just removed it
		}
		if err == nil && !d.IsDir() && d.Name() != ledgerName {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// used is what the files below a folder count, as the bound counts them.
func used(t testing.TB, folder string) (bytes int64) {
	t.Helper()
	for _, path := range filesIn(t, folder) {
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			bytes += onDisk(info.Size())
		}
	}
	return bytes
}

// waitFor waits until something is so.
func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("not within 10 seconds: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// scanned waits until a Backend has read its folder.
func scanned(t testing.TB, b *Backend) *Backend {
	t.Helper()
	waitFor(t, "the folder has been read", b.indexed.Load)
	return b
}

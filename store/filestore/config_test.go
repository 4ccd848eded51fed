package filestore

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	for _, tt := range []struct{ given, want Config }{
		{Config{Path: "/a"}, Config{Path: "/a", MaxBytes: 1 << 30, MaxValue: 100 << 20}},
		{Config{Path: "/a//b/"}, Config{Path: "/a/b", MaxBytes: 1 << 30, MaxValue: 100 << 20}},
		{Config{Path: "/a", MaxBytes: 10 << 20}, Config{Path: "/a", MaxBytes: 10 << 20,
			MaxValue: 5 << 20}},
		{Config{Path: "/a", MaxBytes: 1 << 20, MaxValue: 1}, Config{Path: "/a", MaxBytes: 1 << 20,
			MaxValue: 1}},
		{Config{Path: "/a", MaxBytes: 1 << 20, MaxValue: 512 << 10}, Config{Path: "/a",
			MaxBytes: 1 << 20, MaxValue: 512 << 10}},
	} {
		if got, err := tt.given.check(); err != nil || got != tt.want {
			t.Errorf("%+v: %+v, %v; want %+v", tt.given, got, err, tt.want)
		}
	}
}

// A wrong folder is one clear sentence at the start.
func TestHealthSaysWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(folder, "linked")
	if err := os.Mkdir(linked, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(folder, filepath.Join(linked, "7f")); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		ctx    context.Context
		config Config
		want   string
	}{
		{t.Context(), Config{Path: file}, "that is a file; want a folder"},
		{t.Context(), Config{Path: file + "/below"}, "the folder is missing and cannot be made: " +
			"mkdir " + file + ": not a directory"},
		{t.Context(), Config{Path: "/proc/1/nothing"}, "the folder is missing and cannot be made"},
		{t.Context(), Config{Path: "/proc"}, "the folder cannot be used (is it writable for user"},
		{t.Context(), Config{Path: linked}, "7f is a file or a symbolic link"},
		{t.Context(), Config{Path: "cache"}, `path "cache" is not absolute`},
		{t.Context(), Config{}, "the path of the folder is missing"},
		{ended, Config{Path: folder}, "context canceled"},
	} {
		b, err := healthy(tt.ctx, tt.config)
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), "filestore: ") ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("New(%+v), Health: %v; want filestore: …%s", tt.config, err, tt.want)
		}
	}
}

func TestHealthMakesTheFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	b := scanned(t, open(t, Config{Path: folder}))
	set(t, b, "key", []byte("value"))
	b.ledger.sync(time.Second)
	for _, path := range append(filesIn(t, folder), folder, filepath.Dir(folder),
		b.folderOf("key").path, folder+"/"+ledgerName) {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v; want %v", path, info.Mode().Perm(), want)
		}
	}
}

func TestTheFolderItselfMayBeALink(t *testing.T) {
	folder := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	set(t, open(t, Config{Path: link}), "key", []byte("value"))
	wantValue(t, open(t, Config{Path: folder}), "key", []byte("value"))
}

// A Backend that started before its folder could be used works once the folder can be.
func TestNewWorksOnceTheFolderDoes(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "cache")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{Path: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if _, err := b.Get(t.Context(), "key"); err == nil || err.Error() == "" ||
		strings.Contains(err.Error(), "not found") {
		t.Errorf("Get with a file where the folder should be: %v; want an error, and not a miss",
			err)
	}
	if _, err := b.Health(t.Context()); err == nil {
		t.Error("Health with a file where the folder should be: no error")
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	set(t, b, "key", []byte("value"))
	wantValue(t, b, "key", []byte("value"))
}

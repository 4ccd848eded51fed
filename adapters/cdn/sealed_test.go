package cdn_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/filestore"
	"github.com/freshet-go/freshet/store/sealedstore"
)

// What is owed in a sealed store is sent by the next process, and shows no URL and no tag in its
// files; in one that is not sealed, as a control, it does.
func TestOwedInSealedFiles(t *testing.T) {
	key, err := sealedstore.ParseKey(strings.Repeat("0123456789abcdef", 4))
	if err != nil {
		t.Fatal(err)
	}
	for story, sealed := range map[string]bool{"control": false, "sealed": true} {
		t.Run(story, func(t *testing.T) {
			folder := t.TempDir()
			files := func() (b store.Backend, end func() error) {
				inner, err := filestore.New(filestore.Config{Path: folder, MaxBytes: 1 << 20})
				if err != nil {
					t.Fatal(err)
				}
				if b = inner; sealed {
					b, err = sealedstore.New(b, sealedstore.Options{Keys: sealedstore.Keys{Key: key}})
				}
				if err != nil {
					t.Fatal(err)
				}
				return b, inner.Close
			}
			before, end := files()
			first := open(t, cdn.Options{Targets: []cdn.Target{&fakeTarget{name: "edge", fails: down}},
				Store: before})
			purge(t, first, cdn.Purge{Tags: []string{"S3CR3T-tag"},
				URLs: []string{"http://a.example/S3CR3T"}})
			now, cancel := context.WithCancel(t.Context())
			cancel()
			if err := first.Close(now); err == nil {
				t.Error("Close says nothing of what is owed")
			}
			end()
			for _, text := range []string{"S3CR3T", "freshet-cdn"} {
				if found := lies(t, folder, text); found == sealed {
					t.Errorf("%q is found in the files: %t", text, found)
				}
			}

			after, end := files()
			defer end()
			taken := make(chan cdn.Purge, 1)
			edge := &fakeTarget{name: "edge", fails: func(p cdn.Purge) error { taken <- p; return nil }}
			second := open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: after})
			if got := show(<-taken); got != "S3CR3T-tag http://a.example/S3CR3T" {
				t.Errorf("the next process has sent %q", got)
			}
			if err := second.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// lies reports whether a file of the folder, or its name, has the text.
func lies(t *testing.T, folder, text string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		found = found || strings.Contains(name, text) || bytes.Contains(content, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

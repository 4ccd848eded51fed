package cdn_test

import (
	"context"
	"testing"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/store/filestore"
)

// What is owed survives in files, as in every store that a driver of ours keeps.
func TestOwedInFiles(t *testing.T) {
	folder := t.TempDir()
	files := func() *filestore.Backend {
		b, err := filestore.New(filestore.Config{Path: folder, MaxBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	before := files()
	first := open(t, cdn.Options{Targets: []cdn.Target{&fakeTarget{name: "edge", fails: down}}, Store: before})
	purge(t, first, cdn.Purge{Tags: []string{"a b"}, URLs: []string{"http://a.example/"}})
	now, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.Close(now); err == nil {
		t.Error("Close says nothing of what is owed")
	}
	before.Close()

	after := files()
	defer after.Close()
	taken := make(chan cdn.Purge, 1)
	edge := &fakeTarget{name: "edge", fails: func(p cdn.Purge) error { taken <- p; return nil }}
	second := open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: after})
	if got := show(<-taken); got != "a b http://a.example/" {
		t.Errorf("the next process has sent %q", got)
	}
	owed := func() (keys []string) {
		for key := range after.List(t.Context(), "freshet-cdn:owed.") {
			keys = append(keys, key)
		}
		return keys
	}
	// A Close in the middle of taking over leaves the first process's record for the next one.
	for end := time.Now().Add(30 * time.Second); len(owed()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the store keeps %q", owed())
		}
	}
	if err := second.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

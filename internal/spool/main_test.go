package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/store"
)

// A test that needs another process runs this binary again, with the name of a role in the
// environment.
const roleVariable = "FRESHET_SPOOL_TEST_ROLE"

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

func tag(name string) store.Mark { return store.Mark{Kind: store.MarkTag, Name: name} }

// open opens a spool that ends with the test.
func open(t *testing.T, folder string) *Spool {
	t.Helper()
	return openFor(t, folder, "")
}

// openFor opens a spool for the marks of a journal.
func openFor(t *testing.T, folder, journal string) *Spool {
	t.Helper()
	s, err := Open(folder, journal)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newFolder(t *testing.T) string { return filepath.Join(t.TempDir(), "spool") }

func add(t *testing.T, s *Spool, marks ...store.Mark) {
	t.Helper()
	if err := s.Add(marks); err != nil {
		t.Fatal(err)
	}
}

// adopts checks which marks a spool takes over, in any order.
func adopts(t *testing.T, s *Spool, want ...store.Mark) {
	t.Helper()
	got, err := s.Adopt()
	if err != nil {
		t.Error(err)
	}
	sorted := func(marks []store.Mark) []string {
		var texts []string
		for _, m := range marks {
			texts = append(texts, fmt.Sprintf("%v %.20q soft %t", m.Kind, m.Name, m.Soft))
		}
		slices.Sort(texts)
		return texts
	}
	if !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("took over %v, want %v", sorted(got), sorted(want))
	}
}

// idle waits until nothing works on the files any more.
func idle(s *Spool) {
	s.mu.Lock()
	working := s.working
	s.mu.Unlock()
	if working != nil {
		<-working
	}
}

// files returns the names of the files in a folder.
func files(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, filepath.Join(folder, e.Name()))
	}
	return names
}

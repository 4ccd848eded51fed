package spool

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a process of a later version has left counts as an invalidation of everything, and stays for
// those who can read it. Each process says so once.
func TestAFileOfALaterVersion(t *testing.T) {
	folder := newFolder(t)
	first := openFor(t, folder, "redis://a/0")
	later := append([]byte("FRSP\x02\x00\x00\x00"), "of a form that is not known here"...)
	path := filepath.Join(folder, prefix+"later"+suffix)
	if err := os.WriteFile(path, later, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Spool{first, openFor(t, folder, "redis://b/0"), open(t, folder)} {
		marks, err := s.Adopt()
		if len(marks) != 1 || marks[0] != everything || err == nil ||
			!strings.Contains(err.Error(), path+" has invalidations that a process of a later version") {
			t.Errorf("took over %v: %v", marks, err)
		}
		add(t, s, tag("a"))
		adopts(t, s) // and says nothing more
		s.Clear()
		idle(s)
		if got, err := os.ReadFile(path); !bytes.Equal(got, later) {
			t.Fatalf("the file has %q, %v", got, err)
		}
		s.Close()
	}
}

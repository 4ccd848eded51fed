package sealedstore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/filestore"
)

var update = flag.Bool("update", false, "write the golden files that are missing")

// golden returns what a file has. With -update it writes that first, but never over one that is
// there: each has a random salt.
func golden(t *testing.T, name string, sealed func() []byte) []byte {
	t.Helper()
	name = filepath.Join("testdata", "v1", name+".golden")
	if _, err := os.Stat(name); *update && errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(name, sealed(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v (go test ./store/sealedstore -update writes it)", err)
	}
	return b
}

// What one version has sealed every later one opens, and finds under the same name. The bytes must
// stay, or take a new version: see CONTRIBUTING.md.
func TestTheFormatStays(t *testing.T) {
	const space, key, prefix = "blog:", "blog:0123456789abcdef", "blog:"
	r := testRing(t, "k")
	for what, is := range map[string][2]string{
		"the key's ID":          {r.shownID(), "631d59eedccaa943"},
		"the name of a value":   {r.locate(nameOfValue, key).name(), "GYHatjG7BPDB-cre9JePkJBdKAidsX0v"},
		"the name of a lease":   {r.locate(nameOfLease, key).name(), "8u_atfzth_5Qarg-NUGXKk0esMl8TDKj"},
		"other keys' namespace": {otherSpace, "freshet-sealed:"},
	} {
		if is[0] != is[1] {
			t.Errorf("%s is %s, want %s: processes of other versions look for it", what, is[0], is[1])
		}
	}
	for story, value := range map[string]string{
		"empty": "", "short": "<h1>Hello</h1>\n", "in-two-parts": strings.Repeat("0123456789", 1000),
	} {
		sealed := golden(t, story, func() []byte {
			return r.seal(space, key, r.locate(nameOfValue, key), []byte(value))
		})
		o, err := openedBy(r, space, sealed)
		if err != nil || string(o.key) != key || string(o.value) != value {
			t.Errorf("%s: opened as %d bytes under %q, %v", story, len(o.value), o.key, err)
		}
	}
	sealed := golden(t, "mark", func() []byte {
		return []byte(r.sealMark(prefix, byte(store.MarkTag)|softFlag, "pages"))
	})
	h, err := parse(sealed, markHead)
	if err != nil {
		t.Fatal(err)
	}
	flags, name, err := r.openMark(h, prefix, sealed)
	if flags != byte(store.MarkTag)|softFlag || name != "pages" || err != nil {
		t.Errorf("a mark is opened as %x %q, %v", flags, name, err)
	}
	if head := hex.EncodeToString(sealed[:atSalt]); head != "6673687301631d59eedccaa943" {
		t.Errorf("a mark begins with %s", head)
	}
	for kind, number := range map[store.MarkKind]byte{store.MarkKey: 0, store.MarkTag: 1, store.MarkPrefix: 2,
		store.MarkEverything: 3, store.MarkBarrier: 4, store.MarkNotice: 5} {
		if byte(kind) != number {
			t.Errorf("%v is sealed as %d, want %d", kind, kind, number)
		}
	}
}

// What a later version has sealed is a miss and stays, and is counted; a mark covers everything.
func TestWhatALaterVersionHasSealed(t *testing.T) {
	inner, err := filestore.New(filestore.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	master, err := NewKey([]byte("k" + strings.Repeat("0123456789", 3) + "x"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(inner, Options{Keys: Keys{Key: master}, Prefixes: []string{"blog:"}})
	if err != nil {
		t.Fatal(err)
	}
	const key = "blog:0123456789abcdef"
	name := "blog:" + b.rings[0].locate(nameOfValue, key).name()
	later := []byte(magic + "\x02 of a form that is not known here")
	if err := inner.Set(t.Context(), name, later, time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get: %q, %v", got, err)
	}
	sweeper, _ := store.As[store.ValueSweeper](b)
	if _, err := sweeper.SweepValues(t.Context(), "blog:", 10, func([]byte, int64) bool { return true },
		nil); err != nil {
		t.Error(err)
	}
	if got, err := inner.Get(t.Context(), name); !bytes.Equal(got, later) {
		t.Errorf("the value is %q, %v", got, err)
	}

	j := &journal{b: b, inner: memjournal.New(), prefix: "blog:"}
	n, err := j.inner.Append(t.Context(), store.Mark{Kind: store.MarkBarrier},
		store.Mark{Kind: store.MarkEverything, Soft: true, Name: string(later)})
	if err != nil {
		t.Fatal(err)
	}
	marks, head, err := j.Since(t.Context(), n-1)
	if err != nil || head != n || len(marks) != 1 || marks[0].Mark != everything {
		t.Errorf("Since: %+v, %d, %v", marks, head, err)
	}
	if f := b.Faults(); f != (Faults{OtherVersion: 2}) {
		t.Errorf("counted %+v", f)
	}
}

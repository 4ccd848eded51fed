package open

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestFiles(t *testing.T) {
	for options, near := range map[string]bool{"": true, "?near=1": true, "?near=0": false} {
		s, err := URL(t.Context(), "file://"+t.TempDir()+options, Options{Prefix: "blog:"})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := store.As[tier.Near](s); ok != near || s.Kind != "file" || s.Prefix != "blog:" {
			t.Errorf("%q: a part is near: %t, want %t; kind %q, prefix %q", options, ok, near, s.Kind, s.Prefix)
		}
		if _, err := s.Health(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for rawURL, wrong := range map[string]string{"file://": "path", "file:///proc": "cannot be used", "file:///x?size=1": "size"} {
		s, err := URL(t.Context(), rawURL, Options{})
		if s != nil {
			s.Close()
		}
		says(t, err, []string{"open: " + rawURL + ": ", wrong})
	}
}

func TestABackendAlone(t *testing.T) {
	b, prefix, closeIt, err := Backend("file://"+t.TempDir(), Options{})
	if err != nil || prefix != DefaultPrefix {
		t.Fatalf("prefix %q, %v", prefix, err)
	}
	if _, err := store.Probe(t.Context(), b, prefix); err != nil {
		t.Error(err)
	}
	if err := closeIt(); err != nil {
		t.Error(err)
	}
	for rawURL, wrong := range map[string]string{"memory://": "memory of one process", "file://": "path", "nosuch://": "no driver"} {
		_, _, _, err := Backend(rawURL, Options{})
		says(t, err, []string{"open: ", wrong})
	}
}

// mute is a backend whose journal takes nothing.
type mute struct{ *memstore.Backend }

func (m mute) Journal(string) store.Journal { return refusing{m.Backend.Journal("")} }

type refusing struct{ store.Journal }

var errRefused = errors.New("refused")

func (refusing) Append(context.Context, ...store.Mark) (uint64, error) { return 0, errRefused }

// A flush marks everything in the journal, so that other processes drop their copies; a failure of that is an error.
func TestFlushTellsOthers(t *testing.T) {
	b := memstore.NewBackend(0)
	defer b.Close()
	fill := func() {
		for _, key := range []string{"blog:1", "blog:2", "shop:1"} {
			if err := b.Set(t.Context(), key, nil, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	j := b.Journal("blog:")
	before, err := j.Append(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fill()
	if n, err := Flush(t.Context(), b, "blog:"); n != 2 || err != nil {
		t.Errorf("removed %d, %v; want 2", n, err)
	}
	marks, _, err := j.Since(t.Context(), before)
	if want := (store.Mark{Kind: store.MarkEverything}); len(marks) != 1 || marks[0].Mark != want || err != nil {
		t.Errorf("others hear %v, %v; want Everything", marks, err)
	}
	if n, err := Flush(t.Context(), b, ""); n != 0 || !errors.Is(err, store.ErrFlushEverything) {
		t.Errorf("without a prefix: %d, %v", n, err)
	}
	if marks, _, _ := j.Since(t.Context(), before); len(marks) != 1 {
		t.Errorf("others hear %v of a flush that was refused", marks)
	}
	fill()
	if n, err := Flush(t.Context(), mute{b}, "blog:"); n != 2 || !errors.Is(err, errRefused) {
		t.Errorf("others are not told: %d, %v; want 2, and why", n, err)
	}
}

package open

import (
	"testing"

	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
)

func TestFiles(t *testing.T) {
	for options, near := range map[string]bool{"": true, "?near=1": true, "?near=0": false} {
		s, err := URL(t.Context(), "file://"+t.TempDir()+options, Options{Prefix: "blog:"})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := store.As[tier.Near](s); ok != near || s.Kind != "file" || s.Prefix != "blog:" {
			t.Errorf("%q: a part is near: %t, want %t; kind %q, prefix %q", options, ok, near,
				s.Kind, s.Prefix)
		}
		if _, err := s.Health(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for rawURL, wrong := range map[string]string{"file://": "path",
		"file:///proc": "cannot be used", "file:///x?size=1": "size"} {
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
	for rawURL, wrong := range map[string]string{"memory://": "memory of one process",
		"file://": "path", "nosuch://": "no driver"} {
		_, _, _, err := Backend(rawURL, Options{})
		says(t, err, []string{"open: ", wrong})
	}
}

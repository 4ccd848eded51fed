package open

import (
	"context"
	"maps"
	"testing"

	"github.com/freshet-go/freshet/internal/tier"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/tracestore"
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

// What wraps the backend gets every call of the store's, and the backend itself is closed.
func TestTheBackendIsWrapped(t *testing.T) {
	calls := map[tracestore.Op]int{}
	s, err := URL(t.Context(), "file://"+t.TempDir(), Options{Near: -1,
		Wrap: func(b store.Backend) store.Backend {
			return tracestore.Backend(b, func(ctx context.Context, op tracestore.Op) (
				context.Context, func(error)) {
				calls[op]++
				return ctx, nil
			})
		}})
	if err != nil {
		t.Fatal(err)
	}
	s.Get(t.Context(), "page")
	want := map[tracestore.Op]int{tracestore.Health: 1, tracestore.Get: 1}
	if !maps.Equal(calls, want) {
		t.Errorf("calls: %v, want %v", calls, want)
	}
	if s.Journal() == nil {
		t.Error("the journal behind the wrapper is not found")
	}
	if m, ok := store.As[store.Membership](s.Journal()); !ok {
		t.Error("the list of members behind all wrappers is not found")
	} else if err := m.Renew(t.Context(), store.Member{ID: "a"}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Backend.Exists(t.Context(), "page"); err == nil {
		t.Error("a backend that was wrapped is not closed")
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

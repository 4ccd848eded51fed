package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
)

// everything is a backend with every ability, which notes what it was asked.
type everything struct {
	*keeper
	asked *[]string
}

func (e everything) note(format string, args ...any) {
	*e.asked = append(*e.asked, fmt.Sprintf(format, args...))
}

func (e everything) Flush(_ context.Context, prefix string) (int64, error) {
	e.note("flush %s", prefix)
	return 7, nil
}

func (e everything) Migrate(_ context.Context, dryRun bool) ([]string, error) {
	e.note("migrate %t", dryRun)
	return []string{"a table"}, nil
}

func (e everything) Journal(prefix string) Journal { return noting{asked: e.asked, prefix: prefix} }

// noting is a journal that notes what is appended.
type noting struct {
	Journal
	asked  *[]string
	prefix string
	err    error
}

func (n noting) Append(_ context.Context, what ...Mark) (uint64, error) {
	*n.asked = append(*n.asked, fmt.Sprintf("append %s %v", n.prefix, what))
	return 1, n.err
}

func TestAbilitiesAreFoundBehindWrappers(t *testing.T) {
	for story, wrap := range map[string]func(Backend) Backend{
		"itself":  func(b Backend) Backend { return b },
		"wrapped": func(b Backend) Backend { return wrapped{wrapped{b}} },
	} {
		var asked []string
		b, ctx := wrap(everything{newKeeper(), &asked}), t.Context()
		if n, err := Flush(ctx, b, "p:"); n != 7 || err != nil {
			t.Errorf("%s: Flush %d, %v", story, n, err)
		}
		if steps, err := Migrate(ctx, b, true); len(steps) != 1 || err != nil {
			t.Errorf("%s: Migrate %q, %v", story, steps, err)
		}
		want := []string{"flush p:", "append p: [{everything  false}]", "migrate true"}
		if !slices.Equal(asked, want) {
			t.Errorf("%s: asked %q, want %q", story, asked, want)
		}
	}
}

// What is missing is no sickness: no breaker opens for it.
func TestAbilitiesThatAreMissing(t *testing.T) {
	b, ctx := newKeeper(), t.Context()
	b.values["p:k"] = []byte("v")
	_, err := Flush(ctx, b, "p:")
	if !errors.Is(err, errors.ErrUnsupported) || KindOf(err) != KindPermanent ||
		!strings.Contains(err.Error(), "store: flush: ") || strings.Contains(err.Error(), "keeper") ||
		!strings.Contains(err.Error(), `no list of its keys, and so cannot remove those of the prefix "p:"`) {
		t.Errorf("Flush: %v, want a permanent ErrUnsupported in words, and no type of Go", err)
	}
	if steps, err := Migrate(ctx, b, false); len(steps) != 0 || err != nil {
		t.Errorf("Migrate of what needs nothing: %q, %v", steps, err)
	}
	if len(b.values) != 1 {
		t.Error("something was removed")
	}
}

// A flush that the other processes do not hear of is an error.
func TestFlushThatNobodyHearsOf(t *testing.T) {
	var asked []string
	b := mute{everything{newKeeper(), &asked}, errors.New("connection reset")}
	if n, err := Flush(t.Context(), b, "p:"); n != 7 || !errors.Is(err, b.err) ||
		!strings.Contains(err.Error(), "store: flush: removed 7, but could not tell") {
		t.Errorf("Flush: %d, %v", n, err)
	}
}

// mute has a journal that fails.
type mute struct {
	everything
	err error
}

func (m mute) Journal(prefix string) Journal {
	return noting{asked: m.asked, prefix: prefix, err: m.err}
}

// failing lists, and then fails.
type failing struct {
	able
	err error
}

func (f failing) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for key := range f.able.List(ctx, prefix) {
			if !yield(key, nil) {
				return
			}
			break
		}
		yield("", f.err)
	}
}

func TestFlushKeyByKey(t *testing.T) {
	b, ctx := able{keeper: newKeeper()}, t.Context()
	fill := func() {
		for _, key := range []string{"p:1", "p:2", "p:3", "other"} {
			b.values[key] = nil
		}
	}
	fill()
	if n, err := Flush(ctx, b, "p:"); n != 3 || err != nil || len(b.values) != 1 {
		t.Errorf("%d, %v; left %q", n, err, slices.Collect(maps.Keys(b.values)))
	}
	fill()
	if n, err := Flush(ctx, b, ""); n != 0 || KindOf(err) != KindPermanent || len(b.values) != 4 {
		t.Errorf("without a prefix: %d, %v; %d left", n, err, len(b.values))
	}
	lost := errors.New("connection reset")
	if n, err := Flush(ctx, failing{b, lost}, "p:"); n != 1 || !errors.Is(err, lost) ||
		len(b.values) != 3 {
		t.Errorf("when the list breaks off: %d, %v; %d left", n, err, len(b.values))
	}
	b.fail = lost
	if n, err := Flush(ctx, b, "p:"); n != 0 || !errors.Is(err, lost) {
		t.Errorf("when nothing can be deleted: %d, %v", n, err)
	}
}

package cdn_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/middleware"
)

// short is a target that takes tags of at most n bytes, and no purge of everything.
func short(name string, n int) *fakeTarget {
	return &fakeTarget{name: name, check: func(p cdn.Purge) error {
		if p.All {
			return fmt.Errorf("cdn: %s: it cannot purge everything", name)
		}
		for _, tag := range p.Tags {
			if len(tag) > n {
				return fmt.Errorf("cdn: %s: the tag %.9q… is too long", name, tag)
			}
		}
		return nil
	}}
}

// One name that cannot be, or that one target cannot take, holds up no other name, and none at the
// other targets; the error names it.
func TestRefusedNameByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge, other := short("edge", 9), &fakeTarget{name: "other"}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge, other}, Delay: -1,
			Hosts: map[string][]string{"www.example.com": nil}})
		long := strings.Repeat("x", 20)
		for _, step := range []struct {
			p                  cdn.Purge
			edge, other, error string
		}{
			{tags("tea", long, "mug"), "tea mug", "tea " + long + " mug", `cdn: edge: the tag "xxxxxxxxx"…`},
			{tags("tea", "", strings.Repeat("y", 1025)), "tea", "tea", "cdn: a tag without a name"},
			{tags(long), "", long, "cdn: edge: the tag"},
			{cdn.Purge{All: true}, "", "ALL", "cdn: edge: it cannot"},
			{cdn.Purge{URLs: []string{"https://evil.example/", "https://www.example.com/", "/x"}},
				"https://www.example.com/", "https://www.example.com/",
				`is none of Options.Hosts: "evil.example" is not among www.example.com: name a URL of ` +
					`one of these, or map the host there to the origin that clients ask; cdn: "/x"`},
		} {
			ticket, err := b.Purge(t.Context(), step.p)
			if ticket == 0 || !strings.Contains(fmt.Sprint(err), step.error) {
				t.Errorf("%.40v: ticket %d, error %v; want one with %s", step.p, ticket, err, step.error)
			}
			if err := b.Wait(t.Context(), ticket); err != nil {
				t.Error(err)
			}
			if edge.has() != step.edge || other.has() != step.other {
				t.Errorf("taken %.40q and %.40q, want %.40q and %.40q", edge.has(), other.has(), step.edge,
					step.other)
			}
			edge.taken, other.taken = nil, nil
		}
		var many cdn.Purge
		for i := range 500 {
			many.Tags = append(many.Tags, fmt.Sprint(long, i))
		}
		if _, err := b.Purge(t.Context(), many); len(err.Error()) > 1000 ||
			!strings.Contains(err.Error(), "; and 492 more") {
			t.Errorf("an error of 500 names has %d bytes: %.1000v", len(err.Error()), err)
		}
	})
}

// What the Cache tells with names that are refused goes out without these: foreign hosts without a
// word, as long as there is another; names that a target cannot take with a line a minute, and an
// error for who waits.
func TestOnInvalidateNameByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		edge, other := short("edge", 9), &fakeTarget{name: "other"}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge, other}, Delay: -1,
			Hosts: map[string][]string{"www.example.com": nil},
			Log:   slog.New(slog.NewTextHandler(&log, nil))})
		const inside, public = "http://origin.internal:8080/posts/1", "https://www.example.com/posts/1"
		wait := b.OnInvalidate(t.Context(), middleware.Invalidation{URLs: []string{inside, public}})
		if err := wait(t.Context()); err != nil || edge.has() != public || log.Len() > 0 {
			t.Errorf("taken %q, error %v, log %q; want the public URL and no word", edge.has(), err, &log)
		}
		lines := func() int { return strings.Count(log.String(), "\n") }
		long := strings.Repeat("x", 20)
		for n := 1; n < 3; n++ {
			for range 50 {
				wait = b.OnInvalidate(t.Context(), middleware.Invalidation{URLs: []string{inside}})
				if err := wait(t.Context()); !errors.Is(err, cdn.ErrForeignHost) {
					t.Errorf("nothing is left, and the error is %v", err)
				}
				wait = b.OnInvalidate(t.Context(), middleware.Invalidation{Tags: []string{"tea", long}})
				if err := wait(t.Context()); !strings.Contains(fmt.Sprint(err), "edge: the tag") {
					t.Errorf("edge has not taken a tag, and the error is %v", err)
				}
			}
			if lines() != 2*n {
				t.Errorf("after 50 of each in minute %d the log has\n%s", n, &log)
			}
			time.Sleep(time.Minute)
		}
		if !strings.Contains(edge.has(), "tea") || strings.Contains(edge.has(), long) ||
			!strings.Contains(other.has(), "tea "+long) {
			t.Errorf("taken %.80q and %.80q", edge.has(), other.has())
		}
	})
}

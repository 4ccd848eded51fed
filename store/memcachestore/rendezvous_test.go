package memcachestore

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/freshet-go/freshet/store"
)

func TestAddingAServerMovesFewKeys(t *testing.T) {
	const keys = 20_000
	var names []string
	for n := 1; n <= 10; n++ {
		names = append(names, fmt.Sprintf("cache-%d.example:11211", n))
		before, after := newServers(names[:n]), newServers(append(names[:n:n], "new.example:11211"))
		moved, on := 0, map[string]int{}
		for i := range keys {
			key := store.Options{Prefix: "blog:"}.BackendKey(fmt.Sprint("GET https://a.example/",
				i))
			was, is := before.home(key).String(), after.home(key).String()
			on[is]++
			if was != is {
				moved++
				if is != "new.example:11211" {
					t.Fatalf("%d servers and a new one: %s moved from %s to %s", n, key, was, is)
				}
			}
		}
		fair := keys / (n + 1)
		if moved < fair*9/10 || moved > fair*11/10 {
			t.Errorf("%d servers and a new one: %d keys of %d moved, want about %d", n, moved, keys,
				fair)
		}
		for s, n := range on {
			if n < fair*9/10 || n > fair*11/10 {
				t.Errorf("%s has %d keys, want about %d", s, n, fair)
			}
		}
	}
}

// A process of another version, or that names the servers in another order, must look where we put.
func TestTheChoiceOfAServerNeverChanges(t *testing.T) {
	names := []string{"a.example:11211", "b.example:11211", "c.example:11212"}
	reversed := []string{names[2], names[1], names[0]}
	got := ""
	for i := range 40 {
		key := fmt.Sprint("key-", i)
		s := newServers(names).home(key).String()
		got += s[:1]
		want(t, "with the servers in another order", newServers(reversed).home(key).String(), s)
	}
	want(t, "servers of forty keys", got, "caccacaccabacccaaccacacbcbaaabbbbaccbccb")
}

func TestEachServerUntilAnError(t *testing.T) {
	s := newServers([]string{"a:1", "b:1", "c:1"})
	for stopAt, asked := range map[string]string{"": "a:1 b:1 c:1 ", "b:1": "a:1 b:1 "} {
		refused, got := errors.New("refused"), ""
		err := s.Each(func(a net.Addr) error {
			got += a.String() + " "
			if a.String() == stopAt {
				return refused
			}
			return nil
		})
		if got != asked || (err == refused) != (stopAt != "") {
			t.Errorf("stopped at %q: asked %q, %v; want %q", stopAt, got, err, asked)
		}
	}
}

// Where a server is left out, its keys spread over the others, and the others' keys stay.
func TestAServerThatIsLeftOut(t *testing.T) {
	s := newServers([]string{"a:1", "b:1", "c:1"})
	out := s.all[1]
	for range outAfter {
		out.health.fails(false)
	}
	on := map[string]int{}
	for i := range 3000 {
		key := fmt.Sprint("key-", i)
		home, now := s.home(key), s.place(key)
		if home != out {
			want(t, key, now, home)
			continue
		}
		on[now.String()]++
	}
	if on["a:1"] < 400 || on["c:1"] < 400 || len(on) != 2 {
		t.Errorf("keys of the one that is left out: %v", on)
	}
	for _, all := range s.all {
		all.health.fails(true)
	}
	want(t, "of none", s.place("key-1"), s.home("key-1"))
	out.health.answers()
	want(t, "of the one that is back", s.place("key-1"), out)
}

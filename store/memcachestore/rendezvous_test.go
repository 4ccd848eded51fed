package memcachestore

import (
	"errors"
	"fmt"
	"net"
	"strings"
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
			was, is := before.pick(key).String(), after.pick(key).String()
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
		s := newServers(names).pick(key).String()
		got += s[:1]
		want(t, "with the servers in another order", newServers(reversed).pick(key).String(), s)
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

func TestAJournalLiesOnOneServer(t *testing.T) {
	s := newServers([]string{"a:1", "b:1", "c:1"})
	used := map[string]bool{}
	for i := range 30 {
		j := &journal{prefix: fmt.Sprint("blog", i, ":")}
		on := s.pick(j.key("head"))
		used[on.String()] = true
		for n := range 20 {
			want(t, "server of a record", s.pick(j.recordKey(uint64(n))), on)
		}
	}
	want(t, "servers with journals", len(used), 3)
	if strings.Count(together("a~b~c"), "~") != 2 {
		t.Error("other keys are cut, too")
	}
}

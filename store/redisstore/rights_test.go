package redisstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/storetest"
)

// What docs/backends.md says that a user needs, what is of use, and the keys and the channel.
var (
	needed = strings.Fields("+ping +eval +evalsha +get +set +del +type +pttl +pexpire +time +info " +
		"+xadd +xtrim +xlen +xrange +xrevrange +hgetall +hset +hdel")
	useful = strings.Fields("+subscribe +publish +touch +scan +unlink +config|get +wait +select")
	reach  = strings.Fields("~freshet:* ~~lock~freshet:* ~{~journal~freshet:}* &{~journal~freshet:}")
)

// as returns a Backend for a user with these rights.
func as(t *testing.T, s *testserver.Server, rights ...string) *Backend {
	t.Helper()
	words := []any{"ACL", "SETUSER", "app", "reset", "on", ">secret", "-@all"}
	for _, right := range rights {
		words = append(words, right)
	}
	if err := open(t, s.URL).client.Do(t.Context(), words...).Err(); err != nil {
		t.Fatal(err)
	}
	return open(t, strings.Replace(s.URL, "//", "//app:secret@", 1))
}

// A user with what the documentation says can do everything.
func TestTheLeastRights(t *testing.T) {
	s := testserver.Redis(t)
	root := open(t, s.URL)
	all := slices.Concat(needed, useful)
	b := as(t, s, append(all, "~*", "&*")...)
	storetest.RunBackend(t, func(t *testing.T) store.Backend { flushed(t, root); return b }, abilities)
	storetest.RunJournal(t, func(t *testing.T) store.Journal { return newJournal(b) })
}

// With the keys of one prefix and without what is only of use, invalidations reach others within a
// second, and failovers are noticed.
func TestTheLeastKeys(t *testing.T) {
	s := testserver.Redis(t)
	b := as(t, s, append(needed, reach...)...)
	if _, err := b.Health(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := store.Probe(t.Context(), b, "freshet:"); err != nil {
		t.Error(err)
	}
	lease, held, err := b.TryLock(t.Context(), "freshet:page", time.Minute)
	if !held || err != nil {
		t.Fatalf("a lease: %t, %v", held, err)
	}
	if held, err = lease.Unlock(t.Context()); !held || err != nil {
		t.Errorf("its end: %t, %v", held, err)
	}
	j := b.Journal("freshet:")
	before := appendMarks(t, j, tag(1))
	renew(t, j.(*journal), "a")
	if all, err := j.(*journal).Members(t.Context()); len(all) != 1 || err != nil {
		t.Errorf("members: %v, %v", all, err)
	}
	for n, err := range j.Watch(t.Context(), before-1) {
		if err != nil || n.Number != before {
			t.Errorf("the journal has %+v, %v", n, err)
		}
		break
	}
	_, err = b.Journal("other:").Append(t.Context(), store.Mark{Kind: store.MarkTag, Name: "a"})
	wantError(t, err, store.KindAuthentication)
	_, err = b.Get(t.Context(), "other:page")
	wantError(t, err, store.KindAuthentication)
}

// A Cluster's client asks for the nodes as well.
func TestTheLeastRightsInACluster(t *testing.T) {
	nodes := testserver.RedisCluster(t)
	for _, node := range nodes {
		as(t, node, slices.Concat(needed, reach, []string{"+cluster|slots", "+cluster|info", "+command"})...)
	}
	b := open(t, strings.Replace(clusterURL(nodes), "//", "//app:secret@", 1))
	if _, err := store.Probe(t.Context(), b, "freshet:"); err != nil {
		t.Error(err)
	}
	appendMarks(t, b.Journal("freshet:"), tag(1))
}

// Each command that a user lacks is an error at the start, which names it. So is one that the
// server has renamed. Without INFO there is no journal: who takes over for a server would go
// unnoticed.
func TestEachRightIsAskedFor(t *testing.T) {
	s := testserver.Redis(t)
	for _, right := range needed {
		rest := slices.DeleteFunc(slices.Clone(needed), func(r string) bool { return r == right })
		b := as(t, s, append(rest, reach...)...)
		_, err := b.Health(t.Context())
		wantError(t, err, store.KindAuthentication)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), right[1:]) {
			t.Errorf("without %s: %v", right, err)
		}
		if right != "+info" {
			continue
		}
		t.Log(err)
		_, err = b.Journal("freshet:").Append(t.Context(), store.Mark{Kind: store.MarkTag, Name: "a"})
		wantError(t, err, store.KindAuthentication)
		_, _, err = b.Journal("freshet:").Since(t.Context(), 0)
		wantError(t, err, store.KindAuthentication)
	}
	_, err := open(t, testserver.Redis(t, "--rename-command", "XTRIM", "").URL).Health(t.Context())
	if wantError(t, err, store.KindAuthentication); !strings.Contains(fmt.Sprint(err), "XTRIM") {
		t.Error(err)
	}
	if left, err := open(t, s.URL).client.DBSize(t.Context()).Result(); left != 0 || err != nil {
		t.Errorf("asking has left %d keys, %v", left, err)
	}
}

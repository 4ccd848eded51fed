package memcachestore

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/keys"
)

// Not flush_all: others use the server, too.
func TestFlushLeavesWhatIsNotOurs(t *testing.T) {
	s := testserver.Memcached(t)
	b := open(t, patient, s.Addr)
	raw := memcache.NewFromSelector(b.servers)
	defer raw.Close()
	theirs := []string{
		"theirs", "a", "a/b", "a:/b", "a:~b", "a:~0123456789abcdef~x", "a:x~0123456789abcdef~1~2",
		"a:%41", "A:b", "ab:c",
		"~lock~a:b", "~journal~a:~head", "~health~a:", "a:" + strings.Repeat("k", 199), "ключ",
	}
	for _, key := range theirs {
		if err := raw.Set(&memcache.Item{Key: key, Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1500 { // more than are deleted at once
		mustSet(t, b, fmt.Sprint("a:", i), "v", time.Hour)
	}
	if n, err := b.Flush(t.Context(), "a:"); n != 1500 || err != nil {
		t.Errorf("Flush: %d, %v", n, err)
	}
	for _, key := range theirs {
		if _, err := raw.Get(key); err != nil {
			t.Errorf("%q after Flush: %v", key, err)
		}
	}
	want(t, "items left", items(t, b), len(theirs))
}

// What was on a server before another was added is flushed, too, but is neither listed nor counted:
// no Get looks for it there.
func TestWhatWasLeftBehindByAChangeOfServers(t *testing.T) {
	one, two := testserver.Memcached(t), testserver.Memcached(t)
	before := open(t, patient, one.Addr)
	for i := range 100 {
		mustSet(t, before, fmt.Sprint("a:", i), "v", time.Hour)
	}
	b := open(t, patient, one.Addr, two.Addr)
	listed, stay := 0, 0
	for i := range 100 {
		if b.servers.pick(fmt.Sprint("a:", i)).String() == one.Addr {
			stay++
		}
	}
	for key, err := range b.List(t.Context(), "a:") {
		if err != nil || get(t, b, key) != "v" {
			t.Fatalf("List yielded %q, %v; Get says %s", key, err, get(t, b, key))
		}
		listed++
	}
	want(t, "listed", listed, stay)
	n, err := b.Flush(t.Context(), "a:")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "flushed", n, int64(stay))
	want(t, "items left", items(t, b), 0)
}

func TestManyListAtOnce(t *testing.T) {
	b := open(t, patient, testserver.Memcached(t).Addr)
	for i := range 500 {
		mustSet(t, b, fmt.Sprint("a:", i), "v", time.Hour)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			n := 0
			for _, err := range b.List(t.Context(), "a:") {
				if err != nil {
					t.Error(err)
				}
				n++
			}
			want(t, "listed", n, 500)
		})
	}
	all.Wait()
}

// answering is a server of the test's own, with that many items: each question for its list gets
// the next answer, the last one for ever.
func answering(t *testing.T, items int, answers ...string) (address string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { l.Close(); serving.Wait() })
	var asked atomic.Int64
	serve := func(conn net.Conn) {
		defer conn.Close()
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			answer := fmt.Sprintf("STAT curr_items %d\r\nEND\r\n", items)
			if lines.Text() != "stats" {
				answer = answers[min(int(asked.Add(1)), len(answers))-1]
			}
			conn.Write([]byte(answer))
		}
	}
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serve(conn) })
		}
	})
	return l.Addr().String()
}

// A server that is always busy, as one is whose list nobody fetches, is an error in the end.
func TestAServerThatIsBusy(t *testing.T) {
	b := unasked(t, patient, answering(t, 1, "BUSY currently processing crawler request\r\n"))
	_, err := b.Flush(t.Context(), "a:")
	wantKind(t, "Flush", err, store.KindTransient, "lists its keys for somebody else")
}

// A server lists a value only when it has done with those who read it.
func TestWhatWasJustReadIsListed(t *testing.T) {
	b := open(t, patient, testserver.Memcached(t).Addr)
	for i := range 300 {
		key := fmt.Sprint("read:", i, ":")
		mustSet(t, b, key, "v", time.Hour)
		want(t, "Get", get(t, b, key), "v")
		n := 0
		for range b.List(t.Context(), key) {
			n++
		}
		if n != 1 {
			t.Fatalf("List %d yielded %d keys, want the one that was just read", i, n)
		}
		if n, err := b.Flush(t.Context(), key); n != 1 || err != nil {
			t.Fatalf("Flush %d: %d, %v", i, n, err)
		}
	}
}

func TestSettlingOfConnectionsThatAreDead(t *testing.T) {
	s := testserver.Memcached(t)
	b := open(t, patient, s.Addr)
	mustSet(t, b, "a:1", "v", time.Hour)
	s.Kill()
	s.Start()
	for range 2 {
		if n, err := b.Flush(t.Context(), "a:"); n != 0 || err != nil {
			t.Errorf("Flush after a restart: %d, %v", n, err)
		}
	}
	mustSet(t, b, "a:1", "v", time.Hour)
	want(t, "Get", get(t, b, "a:1"), "v")
}

// Items in use are passed over: a list that lacks some is not the last. Other programs' keys are
// not ours.
func TestAKeyThatTheServerPassesOver(t *testing.T) {
	const one = "key=a%3A1 exp=-1 la=1\nkey=%zz exp=1\nkey=a%3A2 exp=x\n"
	for _, tt := range []struct {
		items   int
		answers []string
		want    string
	}{
		{4, []string{"END\r\n", one + "END\r\n", "key=a%3A3 exp=-1\n" + one + "END\r\n"},
			"[a:1 a:3]"},
		// its count has one that has ended
		{5, []string{"END\r\n", "END\r\n", one + "END\r\n"}, "[a:1]"},
		// the first is whole
		{3, []string{one + "END\r\n", "key=a%3A3 exp=-1\n" + one + "END\r\n"}, "[a:1]"},
		// there is nothing
		{0, []string{"END\r\n", one + "END\r\n"}, "[]"},
		// each once
		{9, []string{one + "END\r\n", one + "END\r\n", one + one + "END\r\n"}, "[a:1]"},
	} {
		b := unasked(t, patient, answering(t, tt.items, tt.answers...))
		var keys []string
		for key, err := range b.List(t.Context(), "a:") {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
		want(t, "listed", fmt.Sprint(keys), tt.want)
	}
}

func TestAServerThatDoesNotList(t *testing.T) {
	b := open(t, patient, testserver.Memcached(t, "-X").Addr)
	_, err := b.Flush(t.Context(), "a:")
	wantKind(t, "Flush", err, store.KindPermanent, "lru_crawler metadump", "not allowed")
	for _, err := range b.List(t.Context(), "a:") {
		wantKind(t, "List", err, store.KindPermanent, "lru_crawler metadump")
	}
}

func FuzzParseDumped(f *testing.F) {
	f.Add("key=a%3Ab exp=1700000000 la=1 cas=2 fetch=no cls=1 size=63")
	f.Add("key=a~0123456789abcdef~1 exp=-1")
	f.Fuzz(func(t *testing.T, line string) {
		k, ok := parseDumped(line)
		if ok && (k.key == "" || len(k.key) > keys.MaxLen+maxDerived ||
			!keys.Plain(strings.ReplaceAll(k.key, "~", "-"))) {
			t.Errorf("%q gives the key %q", line, k.key)
		}
	})
}

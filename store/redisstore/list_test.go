package redisstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

func TestFlushLeavesWhatIsNotUnderThePrefix(t *testing.T) {
	for name, url := range map[string]string{
		"alone": testserver.Redis(t).URL, "cluster": clusterURL(testserver.RedisCluster(t)),
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, url)
			var inside []string
			for i := range 3000 {
				inside = append(inside, fmt.Sprint("blog:", i))
			}
			inside = append(inside, "blog:", "blog:.", "blog:a-b_c.d:e")
			for _, key := range inside {
				if err := b.Set(t.Context(), key, []byte("v"), time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			others := []string{"blog", "blog.", "Blog:1", "xblog:1", "blogs:1", "a"}
			for _, key := range others {
				if err := b.Set(t.Context(), key, []byte("v"), time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			foreign := []string{"blog:*", "blog:a b", "blog:~", "blog:\x00", "b?og:1", "~blog:1",
				"{blog:}1"}
			for _, key := range foreign { // another program's: no key of ours has these bytes
				if err := b.client.Set(t.Context(), key, "v", 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			held, ok, err := b.TryLock(t.Context(), "blog:1", time.Hour)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			number, err := b.Journal("blog:").Append(t.Context(),
				store.Mark{Kind: store.MarkEverything})
			if err != nil {
				t.Fatal(err)
			}

			listed := map[string]bool{}
			for key, err := range b.List(t.Context(), "blog:") {
				if err != nil || listed[key] || !slices.Contains(inside, key) {
					t.Fatalf("List: %q, %v, listed before: %t", key, err, listed[key])
				}
				listed[key] = true
			}
			if len(listed) != len(inside) {
				t.Errorf("%d keys listed, want %d", len(listed), len(inside))
			}
			for range b.List(t.Context(), "blog:") {
				break // must do
			}
			for _, prefix := range []string{"*", "blog:*", "b?og:", "~lock~", "{~journal~",
				"[b]log:", "blog:\\"} {
				if n, err := b.Flush(t.Context(), prefix); n != 0 || err != nil {
					t.Errorf("Flush(%q): %d, %v; no key of ours begins so", prefix, n, err)
				}
			}
			if n, err := b.Flush(t.Context(), ""); n != 0 || err == nil {
				t.Errorf("Flush of nothing: %d, %v", n, err)
			}
			if n, err := b.Flush(t.Context(), "blog:"); n != int64(len(inside)) || err != nil {
				t.Errorf("Flush: %d, %v; want %d", n, err, len(inside))
			}

			for _, key := range inside {
				if found, err := b.Exists(t.Context(), key); found || err != nil {
					t.Fatalf("%s: %t, %v after Flush", key, found, err)
				}
			}
			for _, key := range append(others, foreign...) {
				if n, err := b.client.Exists(t.Context(), key).Result(); n != 1 || err != nil {
					t.Errorf("Flush took %q: %v", key, err)
				}
			}
			if head, err := b.Journal("blog:").Append(t.Context()); head != number || err != nil {
				t.Errorf("Flush took the journal: head %d, %v; want %d", head, err, number)
			}
			if held, err := held.Unlock(t.Context()); !held || err != nil {
				t.Errorf("Flush took the lease: %t, %v", held, err)
			}
		})
	}
}

func TestLease(t *testing.T) {
	url := testserver.SharedRedis(t).URL
	a, b := open(t, url), open(t, url)
	first, ok, err := a.TryLock(t.Context(), "fill", 50*time.Millisecond)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, ok, err := b.TryLock(t.Context(), "fill", time.Hour); ok || err != nil {
		t.Errorf("a second holder: %t, %v", ok, err)
	}
	time.Sleep(100 * time.Millisecond)
	second, ok, err := b.TryLock(t.Context(), "fill", time.Hour)
	if err != nil || !ok {
		t.Fatalf("after the lease has ended: %t, %v", ok, err)
	}
	if held, err := first.Unlock(t.Context()); held || err != nil {
		t.Errorf("Unlock of a lease that has ended: %t, %v", held, err)
	}
	if _, ok, err := a.TryLock(t.Context(), "fill", time.Hour); ok || err != nil {
		t.Errorf("the first holder released the second's: %t, %v", ok, err)
	}
	for _, want := range []bool{true, false} {
		if held, err := second.Unlock(t.Context()); held != want || err != nil {
			t.Errorf("Unlock: %t, %v; want %t", held, err, want)
		}
	}
	_, _, err = a.TryLock(t.Context(), "fill", 0)
	wantError(t, err, store.KindPermanent)
}

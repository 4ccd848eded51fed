package sealedstore_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/sealedstore"
)

// overheard is a backend in memory that writes down every text and byte it is given.
type overheard struct {
	*memstore.Backend
	text strings.Builder
}

func (o *overheard) note(what ...any) { fmt.Fprintln(&o.text, what...) }

func (o *overheard) Get(ctx context.Context, key string) ([]byte, error) {
	o.note("get", key)
	return o.Backend.Get(ctx, key)
}

func (o *overheard) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	o.note("set", key, string(value))
	return o.Backend.Set(ctx, key, value, ttl)
}

func (o *overheard) Delete(ctx context.Context, key string) (bool, error) {
	o.note("delete", key)
	return o.Backend.Delete(ctx, key)
}

func (o *overheard) Exists(ctx context.Context, key string) (bool, error) {
	o.note("exists", key)
	return o.Backend.Exists(ctx, key)
}

func (o *overheard) TTL(ctx context.Context, key string) (time.Duration, error) {
	o.note("ttl", key)
	return o.Backend.TTL(ctx, key)
}

func (o *overheard) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	o.note("expire", key)
	return o.Backend.Expire(ctx, key, ttl)
}

func (o *overheard) Flush(ctx context.Context, prefix string) (int64, error) {
	o.note("flush", prefix)
	return o.Backend.Flush(ctx, prefix)
}

func (o *overheard) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	o.note("list", prefix)
	return o.Backend.List(ctx, prefix)
}

func (o *overheard) TryLock(ctx context.Context, name string, ttl time.Duration) (store.Lease, bool,
	error) {
	o.note("lock", name)
	return o.Backend.TryLock(ctx, name, ttl)
}

func (o *overheard) Journal(prefix string) store.Journal {
	o.note("journal", prefix)
	return overheardJournal{o.Backend.Journal(prefix), o}
}

type overheardJournal struct {
	store.Journal
	o *overheard
}

func (j overheardJournal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	for _, m := range what {
		j.o.note("mark", m.Kind, m.Soft, m.Name)
	}
	return j.Journal.Append(ctx, what...)
}

// secret is in everything that must not be seen. Hashes of it must not, either: that a page was
// read could be found out by trying its URL.
const secret = "S3CR3T"

// use has a store over b keep, read and invalidate a secret page, and a component like the outbox
// of adapters/cdn use b beside it.
func use(t testing.TB, b store.Backend) {
	t.Helper()
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s := store.New(b, store.Options{Prefix: "blog:"})
	e := &store.Entry{Key: "GET https://a.example/" + secret, URI: "https://a.example/" + secret,
		Header: map[string][]string{"X-" + secret: {secret}}, Body: []byte(strings.Repeat(secret, 3)),
		Tags: []string{secret}}
	check(s.Set(ctx, e.Key, e, time.Hour))
	got, err := s.Get(ctx, e.Key)
	check(err)
	if string(got.Body) != string(e.Body) {
		t.Fatalf("read %q", got.Body)
	}
	j := s.(store.Journaled).Journal()
	for _, m := range []store.Mark{{Kind: store.MarkKey, Name: e.URI}, {Kind: store.MarkTag,
		Name: secret, Soft: true}, {Kind: store.MarkPrefix, Name: "https://a.example/" + secret},
		{Kind: store.MarkEverything, Name: secret}, {Kind: store.MarkBarrier, Name: secret},
		{Kind: store.MarkNotice, Name: secret}} {
		_, err := j.Append(ctx, m)
		check(err)
	}
	outbox := "freshet-cdn:owed." + secret
	check(b.Set(ctx, outbox, []byte("https://a.example/"+secret), time.Hour))
	_, err = b.Exists(ctx, outbox)
	check(err)
	ttler, _ := store.As[store.TTLer](b)
	_, err = ttler.TTL(ctx, outbox)
	check(err)
	expirer, _ := store.As[store.Expirer](b)
	_, err = expirer.Expire(ctx, outbox, time.Minute)
	check(err)
	locker, _ := store.As[store.Locker](b)
	_, _, err = locker.TryLock(ctx, "adopt."+secret, time.Minute)
	check(err)
	for key, err := range list(t, b).List(ctx, outbox) {
		check(err)
		if key != outbox {
			t.Fatalf("listed %q", key)
		}
	}
	_, err = b.Delete(ctx, outbox)
	check(err)
	flusher, _ := store.As[store.Flusher](b)
	_, err = flusher.Flush(ctx, outbox)
	check(err)
}

// No call to the backend below shows a byte of a page, a URL, a header, a tag or a record, nor the
// digest by which a Store calls a page. Without sealing, all of it is there.
func TestTheBackendBelowHearsNoSecret(t *testing.T) {
	digest := store.Options{}.BackendKey("GET https://a.example/" + secret)
	for story, sealed := range map[string]bool{"control: plain": false, "sealed": true} {
		t.Run(story, func(t *testing.T) {
			o := &overheard{Backend: inMemory(t)}
			b := store.Backend(o)
			if sealed {
				b = seal(t, o, sealedstore.Options{Prefixes: []string{"blog:"}})
			}
			use(t, b)
			text := o.text.String()
			for what, hidden := range map[string]string{"a secret": secret, "a digest": digest,
				"an entry": "fsht", "a kind of mark": "mark tag", "the outbox": "freshet-cdn"} {
				if found := strings.Contains(text, hidden); found == sealed {
					t.Errorf("%s is seen: %t; the calls:\n%q", what, found, text)
				}
			}
			for _, op := range []string{"get", "set", "delete", "ttl", "expire", "flush", "list",
				"lock", "journal", "mark"} {
				if !strings.Contains("\n"+text, "\n"+op+" ") && !(sealed && op == "flush") {
					t.Errorf("no %s was overheard", op)
				}
			}
		})
	}
}

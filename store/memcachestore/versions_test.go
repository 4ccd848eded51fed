package memcachestore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/seat"
)

// golden compares bytes with those that every version so far has written and reads.
func golden(t *testing.T, what string, got []byte, wanted string) (b []byte) {
	t.Helper()
	wanted = strings.ReplaceAll(wanted, " ", "")
	if hex.EncodeToString(got) != wanted {
		t.Errorf("%s is written as\n%x, want\n%s: servers have these bytes, so that a change takes a "+
			"new version", what, got, wanted)
	}
	b, err := hex.DecodeString(wanted)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes of each kind of item, written and read. They must stay, or take a new version: see
// CONTRIBUTING.md.
func TestTheFormatsStay(t *testing.T) {
	now := time.UnixMilli(0x19a0b0c0d0e).UTC()
	end := golden(t, "an end", appendEnd(nil, time.Second, now), "0000019a0b0c10f6")
	if got, ok := endOf(&memcache.Item{Flags: wholeValue, Value: append(end, "value"...)}); !ok ||
		got != now.UnixMilli()+1000 {
		t.Errorf("a value's end is read as %d, %t", got, ok)
	}

	p := parts{key: "blog:0123", generation: 0x1122334455667788, length: 3000, size: 1400,
		sum: 0x0badcafe}
	item := golden(t, "a manifest", p.item(time.Second, now).Value,
		"0000019a0b0c10f6 1122334455667788 0000000000000bb8 00000578 0badcafe")
	if got, ok := partsOf(&memcache.Item{Key: p.key, Flags: manifest, Value: item}); !ok || got != p {
		t.Errorf("a manifest is read as %+v, %t", got, ok)
	}

	marks := []store.Mark{{Kind: store.MarkTag, Name: "pages", Soft: true}, {Kind: store.MarkEverything}}
	record := golden(t, "a record", appendRecord(nil, marks), "02 00 02 54 05 7061676573 65 00")
	if got, ok := parseRecord(record); !ok || !reflect.DeepEqual(got, marks) {
		t.Errorf("a record is read as %+v, %t", got, ok)
	}
	golden(t, "what is forgotten", forgottenRecord(), "02 01 00")
	golden(t, "the first record", beginningRecord(), "02 01 01")
	golden(t, "where the journal is", seat.Append(nil, seat.Seat{Number: 0x645a3b1c2d3e5,
		Server: "10.0.0.1:11211"}), "01 000645a3b1c2d3e5 31302e302e302e313a3131323131")

	digests := []digest{digestOf("a1")}
	list := golden(t, "a list", appendList(nil, digests), "01 f55ff16f66f43360266b95db6f8fec01")
	if got, ok := parseList(list); !ok || !reflect.DeepEqual(got, digests) {
		t.Errorf("a list is read as %x, %t", got, ok)
	}

	m := store.Member{ID: "a1", Name: "web-1", Applied: 0x645a3b1c2d3e5}
	member := golden(t, "a member", appendMember(nil, m, now),
		"01 0000019a0b0c0d0e 000645a3b1c2d3e5 02 6131 7765622d31")
	if got, ok := parseMember(member, now); !ok || got != m {
		t.Errorf("a member is read as %+v, %t", got, ok)
	}
}

// Where items lie, and by which flags they are told apart, is a part of the formats.
func TestTheNamesStay(t *testing.T) {
	j := &journal{prefix: "blog:"}
	p := parts{key: "blog:0123", generation: 0x22334455667788}
	b := unasked(t, Config{}, "a:1", "b:1", "c:1")
	at := &journal{prefix: "blog:", seat: seat.Seat{Number: 314, Server: "a:1"}}
	for what, is := range map[string][2]string{
		"the number":           {j.key("head"), "~journal~blog:~head"},
		"a record":             {j.recordKey(17), "~journal~blog:~17"},
		"the list":             {j.listKey(), "~journal~blog:~members"},
		"the seat":             {newCopies(b, "blog:").key, "~journal~blog:~seat"},
		"the number at a seat": {at.key("head"), "~journal~blog:~8q~head"},
		"a record at a seat":   {at.recordKey(317), "~journal~blog:~8q~317"},
		"the list at a seat":   {at.listKey(), "~journal~blog:~8q~members"},
		"a member at a seat":   {at.memberKey(digest{0xab}), "~journal~blog:~8q~mqwAAAAAAAAAAAAAAAAAAAA"},
		"a member":             {j.memberKey(digest{0xab}), "~journal~blog:~mab000000000000000000000000000000"},
		"a part":               {p.name(3), "blog:0123~0022334455667788~3"},
		"a lease":              {leaseKeys + "blog:0123", "~lock~blog:0123"},
		"the flags": {fmt.Sprintf("%x %x %x %x %x %x %x", wholeValue, manifest, part, leaseToken,
			memberListItem, memberItem, seatItem),
			"46720001 46720002 46720003 46720004 46720005 46720006 46720007"},
	} {
		if is[0] != is[1] {
			t.Errorf("%s: %s, want %s: processes of other versions look there", what, is[0], is[1])
		}
	}
}

// stays checks that the server has the item as it was planted.
func stays(t *testing.T, raw *memcache.Client, after string, item memcache.Item) {
	t.Helper()
	got, err := raw.Get(item.Key)
	if err != nil || got.Flags != item.Flags || !bytes.Equal(got.Value, item.Value) {
		t.Errorf("after %s the item is %+v, %v; want it as a later version has written it", after, got,
			err)
	}
}

// A value of a kind that is not known here is no value, and stays.
func TestAValueOfALaterVersionIsAMissAndStays(t *testing.T) {
	b := open(t, patient, testserver.SharedMemcached(t).Addr)
	raw := memcache.NewFromSelector(b.servers)
	defer raw.Close()
	s := store.New(b, store.Options{Prefix: fmt.Sprintf("later-%d:", prefixes.Add(1))})
	const page = "GET http://a.example/"
	options := store.Options{Prefix: fmt.Sprintf("later-%d:", prefixes.Load())}
	for _, flags := range []uint32{0x46720008, manifest} {
		item := memcache.Item{Key: options.BackendKey(page), Flags: flags, Value: []byte("of a later version")}
		if err := raw.Set(&item); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if e, err := s.Get(t.Context(), page); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("flags %x: %+v, %v; want a miss", flags, e, err)
			}
		}
		stays(t, raw, "Get", item)
	}
}

// A record that is not known here counts as a mark that covers everything: once, and the journal
// goes on. It stays for those who know it.
func TestRecordsOfALaterVersion(t *testing.T) {
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	begin := mustAppend(t, j, key("a"))
	h, err := j.head(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	later := map[string][]byte{
		"a kind that is not known": {2, 0, 2, 't', 1, 'x', 'q', 1, 'y'},
		"another version":          {3, 'a', 'n', 'y'},
		"a flag":                   {2, 4, 2, 't', 1, 'x', 't', 1, 'y'},
	}
	after := begin
	for story, value := range later {
		number, err := raw.Increment(j.key("head"), 2)
		if err != nil {
			t.Fatal(err)
		}
		item := memcache.Item{Key: j.recordKey(number), Flags: h.generation, Value: value}
		if err := raw.Add(&item); err != nil {
			t.Fatal(err)
		}
		last := mustAppend(t, j, key("b"))
		if last != number+1 {
			t.Errorf("%s: the next number is %d, want %d: the journal began anew", story, last, number+1)
		}
		b := store.Numbered{Mark: key("b"), Number: last}
		other := j.backend.Journal(j.prefix)
		wantSince(t, other, after, last, everything(number), b)
		wantSince(t, j, number, last, b)
		stays(t, raw, "Since", item)
		after = last
	}
}

// A member of a later version is one, of which nobody here knows what it has applied: a wait for
// all does not pass it by, and nobody is kept from renewing.
func TestAMemberOfALaterVersion(t *testing.T) {
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	renew(t, j, "a", "b")
	item := memcache.Item{Key: j.memberKey(digestOf("b")), Flags: memberItem, Value: []byte{2, 'x'}}
	if err := raw.Set(&item); err != nil {
		t.Fatal(err)
	}
	all, err := j.Members(t.Context())
	if err != nil || len(all) != 2 || all[1].Name != "(of a later version)" || all[1].Applied != 0 ||
		all[1].Validate() != nil {
		t.Errorf("members %+v, %v", all, err)
	}
	renew(t, j, "a", "c")
	wantListed(t, j, 3)
	stays(t, raw, "Renew", item)
}

// A list of a later version is left alone: who is not on it renews in vain, and the error says why.
func TestAListOfALaterVersion(t *testing.T) {
	j, raw := journalOn(t, testserver.SharedMemcached(t).Addr)
	renew(t, j, "a")
	item := memcache.Item{Key: j.listKey(), Flags: memberListItem, Value: []byte{2, 'x'}}
	if err := raw.Set(&item); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "Renew", j.Renew(t.Context(), store.Member{ID: "b"}), store.KindPermanent,
		"a later version of Freshet")
	stays(t, raw, "Renew", item)
}

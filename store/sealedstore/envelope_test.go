package sealedstore

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store"
)

func testRing(t testing.TB, letter string) *ring {
	t.Helper()
	k, err := NewKey([]byte(letter + strings.Repeat("0123456789", 3) + "x"))
	if err != nil {
		t.Fatal(err)
	}
	return newRing(k)
}

// openedBy opens a whole entry, without touching it.
func openedBy(r *ring, space string, sealed []byte) (opened, error) {
	b := bytes.Clone(sealed)
	h, err := parse(b, entryHead)
	if err != nil {
		return opened{}, err
	}
	if _, err := (rings{r}).of(h.id); err != nil {
		return opened{}, err
	}
	return r.open(h, space, b, int64(len(b)))
}

// sizes are lengths of values around those at which an entry gets a second part.
func sizes(key string) []int {
	border := firstPart - 1 - len(key)
	return []int{0, 1, 100, most, border - 1, border, border + 1, border + tagLen,
		border + tagLen + 1, 2 * border, 100_000}
}

func TestWhatIsSealedOpens(t *testing.T) {
	r := testRing(t, "a")
	for _, key := range []string{"k", strings.Repeat("k", 200)} {
		for _, n := range sizes(key) {
			value := make([]byte, n)
			rand.Read(value)
			at := r.locate(nameOfValue, key)
			sealed := r.seal("space:", key, at, value)
			if more := int64(len(sealed) - n); more > overhead {
				t.Errorf("a value of %d bytes takes %d more; at most %d are said", n, more, overhead)
			}
			if len(sealed) != cap(sealed) && len(sealed) != cap(sealed)-tagLen {
				t.Errorf("%d bytes: room for %d, of which %d were needed", n, cap(sealed), len(sealed))
			}
			o, err := openedBy(r, "space:", sealed)
			if err != nil || string(o.key) != key || !bytes.Equal(o.value, value) ||
				o.size != int64(n) {
				t.Fatalf("%d bytes: opened %d under %.20q, size %d, %v", n, len(o.value), o.key,
					o.size, err)
			}
			// Of the beginning, as much as a sweep asks for.
			head := bytes.Clone(sealed[:min(len(sealed), entryHead+firstPart+tagLen)])
			h, err := parse(head, entryHead)
			if err != nil {
				t.Fatal(err)
			}
			o, err = r.open(h, "space:", head, int64(len(sealed)))
			if err != nil || string(o.key) != key || o.size != int64(n) ||
				!bytes.HasPrefix(value, o.value) || len(o.value) < min(n, most) {
				t.Fatalf("the beginning of %d bytes: %d of them under %.20q, size %d, %v", n,
					len(o.value), o.key, o.size, err)
			}
		}
	}
}

// A change of any bit, in any byte, and the loss or the addition of any byte keeps an entry from
// being opened.
func TestWhatIsAlteredDoesNotOpen(t *testing.T) {
	r := testRing(t, "a")
	for _, n := range []int{0, 300, firstPart + 100} {
		sealed := r.seal("space:", "key", r.locate(nameOfValue, "key"), make([]byte, n))
		kinds := map[error]int{}
		refuse := func(what string, at int, b []byte) {
			o, err := openedBy(r, "space:", b)
			if err == nil && string(o.key) == "key" && bytes.Equal(o.value, make([]byte, n)) &&
				bytes.Equal(b[atLocator:entryHead], sealed[atLocator:entryHead]) {
				t.Fatalf("%d bytes: %s at %d makes no difference", n, what, at)
			}
			if err == nil {
				t.Fatalf("%d bytes: %s at %d opens", n, what, at)
			}
			for _, kind := range []error{errUnsealed, errVersion, errUnknown, errAltered} {
				if errors.Is(err, kind) {
					kinds[kind]++
				}
			}
		}
		for i := range sealed {
			bent := bytes.Clone(sealed)
			bent[i] ^= 1 << (i % 8)
			refuse("a flipped bit", i, bent)
			refuse("the cut", i, sealed[:i])
		}
		refuse("one more byte", len(sealed), append(bytes.Clone(sealed), 0))
		refuse("it twice", 0, slices.Concat(sealed, sealed))
		refuse("the payload twice", 0, slices.Concat(sealed, sealed[entryHead:]))
		if n > firstPart {
			border := entryHead + firstPart + tagLen
			refuse("the second part for the first", 0, slices.Concat(sealed[:entryHead],
				sealed[border:]))
			refuse("the second part left out", border, sealed[:border])
		}
		if len(kinds) != 4 {
			t.Errorf("%d bytes: the errors were of the kinds %v; want all four", n, kinds)
		}
		if _, err := openedBy(r, "other:", sealed); !errors.Is(err, errAltered) {
			t.Errorf("under another prefix: %v", err)
		}
	}
}

func TestAMarkThatIsAlteredDoesNotOpen(t *testing.T) {
	r := testRing(t, "a")
	j := &journal{b: &Backend{rings: rings{r}}, prefix: "space:"}
	sealed := j.seal(store.Mark{Kind: store.MarkTag, Name: "a tag"})
	for i := range len(sealed.Name) {
		bent := []byte(sealed.Name)
		bent[i] ^= 1 << (i % 8)
		for what, name := range map[string]string{"flipped": string(bent), "cut": sealed.Name[:i]} {
			if m := j.open(store.Numbered{Mark: store.Mark{Kind: sealed.Kind, Soft: sealed.Soft,
				Name: name}, Number: 7}, false); m.Mark != everything || m.Number != 7 {
				t.Fatalf("%s at %d: opened as %+v; want a hard mark of everything", what, i, m)
			}
		}
	}
	if n := j.b.Faults().Sum(); n != uint64(2*len(sealed.Name)) {
		t.Errorf("%d faults of %d", n, 2*len(sealed.Name))
	}
	other := &journal{b: j.b, prefix: "other:"}
	if m := other.open(store.Numbered{Mark: sealed}, false); m.Mark != everything {
		t.Errorf("in another journal: %+v", m)
	}
}

// A mark of a kind that a later version knows covers everything.
func TestAMarkOfALaterKind(t *testing.T) {
	r := testRing(t, "a")
	j := &journal{b: &Backend{rings: rings{r}}}
	for _, flags := range []byte{byte(store.MarkNotice) + 1, 77, byte(store.MarkTag)} {
		name := ""
		if flags > byte(store.MarkNotice) {
			name = "x"
		}
		m := store.Mark{Kind: store.MarkEverything, Soft: true, Name: r.sealMark("", flags, name)}
		if got := j.open(store.Numbered{Mark: m}, false); got.Mark != everything {
			t.Errorf("flags %d, name %q: %+v", flags, name, got)
		}
	}
	if f := j.b.Faults(); f != (Faults{OtherVersion: 3}) {
		t.Errorf("faults: %+v", f)
	}
}

// The keys of entries are those of crypto/hkdf, which takes three times as long.
func TestKeysOfEntriesAreHKDF(t *testing.T) {
	k, err := NewKey([]byte(strings.Repeat("01234567", 4)))
	if err != nil {
		t.Fatal(err)
	}
	master := k.master()
	prk, err := hkdf.Extract(sha256.New, master[:], []byte("freshet sealedstore 1"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRing(k)
	s := r.take()
	for purpose, of := range map[string]interface {
		Write([]byte) (int, error)
	}{"entries": s.entries, "marks": s.marks} {
		sub, err := hkdf.Expand(sha256.New, prk, purpose, 32)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			salt := make([]byte, i)
			rand.Read(salt)
			want, err := hkdf.Expand(sha256.New, sub, string(salt), 32)
			if err != nil {
				t.Fatal(err)
			}
			hash := s.entries
			if of == s.marks {
				hash = s.marks
			}
			if got := s.expand(hash, salt); !bytes.Equal(got, want) {
				t.Fatalf("%s, a salt of %d bytes: %x, want %x", purpose, i, got, want)
			}
		}
	}
}

// No two entries are sealed with one key, not even two of one key and value.
func TestEachEntryHasASaltOfItsOwn(t *testing.T) {
	r := testRing(t, "a")
	seen := map[string]bool{}
	for i := range 1000 {
		sealed := r.seal("", "key", r.locate(nameOfValue, "key"), []byte("value"))
		mark := r.sealMark("", 0, "name")
		for _, salt := range []string{string(sealed[atSalt:atLocator]), mark[atSalt:atLocator]} {
			if seen[salt] {
				t.Fatalf("salt %x came twice within %d", salt, i)
			}
			seen[salt] = true
		}
	}
}

// What the two namespaces of names have in common is nothing.
func TestNamesTellNothing(t *testing.T) {
	a, b := testRing(t, "a"), testRing(t, "b")
	seen := map[string]string{}
	for _, text := range []string{"", "a", "l", "v", "la", "va", "blog:1", "blog:2"} {
		for kind, at := range map[string]locator{
			"a's value": a.locate(nameOfValue, text), "a's lease": a.locate(nameOfLease, text),
			"b's value": b.locate(nameOfValue, text),
		} {
			name, who := at.name(), fmt.Sprintf("%s %q", kind, text)
			if other := seen[name]; other != "" || len(name) != nameLen ||
				store.CheckKey(name) != nil {
				t.Errorf("%s is called %q, as is %s", who, name, other)
			}
			seen[name] = who
		}
	}
}

// FuzzOpen gives the parser what an attacker may write. Nothing opens but what was sealed.
func FuzzOpen(f *testing.F) {
	r := testRing(f, "a")
	at := r.locate(nameOfValue, "key")
	short, long := r.seal("space:", "key", at, []byte("value")), r.seal("space:", "key", at,
		make([]byte, firstPart+10))
	mark := r.sealMark("space:", byte(store.MarkTag), "tag")
	for _, seed := range [][]byte{nil, []byte("fsht"), []byte(magic), short, long, []byte(mark),
		short[:entryHead], long[:entryHead+firstPart+tagLen]} {
		for _, size := range []int64{int64(len(seed)), 1 << 40, -1} {
			f.Add(bytes.Clone(seed), size) // to open is to overwrite
		}
	}
	f.Fuzz(func(t *testing.T, given []byte, size int64) {
		b := bytes.Clone(given)
		if h, err := parse(b, entryHead); err == nil {
			// A driver says of what size a value is, and an attacker may have the driver lie.
			o, err := r.open(h, "space:", b, max(size, int64(len(b))))
			if err == nil && (string(o.key) != "key" || !bytes.HasPrefix([]byte("value"), o.value) &&
				!bytes.HasPrefix(make([]byte, firstPart+10), o.value)) {
				t.Errorf("opened %q under %q, which were not sealed", o.value, o.key)
			}
		}
		j := &journal{b: &Backend{rings: rings{r}}, prefix: "space:"}
		m := j.open(store.Numbered{Mark: store.Mark{Kind: store.MarkEverything, Soft: true,
			Name: string(given)}}, false)
		if m.Mark != everything && m.Mark != (store.Mark{Kind: store.MarkTag, Name: "tag"}) {
			t.Errorf("a mark opened that was not sealed: %+v", m)
		}
	})
}

// FuzzSeal seals anything, opens it, and bends one bit.
func FuzzSeal(f *testing.F) {
	f.Add("key", []byte("value"), uint(0))
	f.Add("", make([]byte, firstPart), uint(firstPart))
	r := testRing(f, "a")
	f.Fuzz(func(t *testing.T, key string, value []byte, bit uint) {
		if len(key) > 200 {
			return
		}
		sealed := r.seal("s:", key, r.locate(nameOfValue, key), value)
		o, err := openedBy(r, "s:", sealed)
		if err != nil || string(o.key) != key || !bytes.Equal(o.value, value) {
			t.Fatalf("opened %q under %q, %v; want %q under %q", o.value, o.key, err, value, key)
		}
		at := bit % uint(8*len(sealed))
		sealed[at/8] ^= 1 << (at % 8)
		if _, err := openedBy(r, "s:", sealed); err == nil {
			t.Fatalf("opened with bit %d flipped", at)
		}
	})
}

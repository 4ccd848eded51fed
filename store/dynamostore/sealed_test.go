package dynamostore

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/sealedstore"
	"github.com/freshet-go/freshet/store/storetest"
)

func sealed(tb testing.TB, b store.Backend) store.Backend {
	tb.Helper()
	key, err := sealedstore.NewKey([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		tb.Fatal(err)
	}
	s, err := sealedstore.New(b, sealedstore.Options{Keys: sealedstore.Keys{Key: key},
		OnFault: func(f sealedstore.Fault) { tb.Errorf("a fault: %v", f) }})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// A sealed table keeps the contract of a Store and of a Journal.
func TestSealed(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		return store.New(sealed(t, open(t, shared(t))), store.Options{Prefix: "storetest:"})
	}, storetest.Options{Keys: amount(20, 1000), Rounds: amount(5, 100)})
	storetest.RunJournal(t, func(t *testing.T) store.Journal {
		a, _ := store.As[store.Journaler](sealed(t, open(t, shared(t))))
		return a.Journal("storetest:")
	}, storetest.Options{Rounds: amount(5, 100)})
}

// secretText is in the page, its URL, its header, its tags and its invalidations.
const secretText = "S3CR3Tpage"

// fillSecret has a store over b keep secret pages, one of them in parts, invalidates one, takes a
// lease and joins the journal.
func fillSecret(t *testing.T, b store.Backend) {
	t.Helper()
	ctx := t.Context()
	s := store.New(b, store.Options{Prefix: "freshet:"})
	for _, n := range []int{0, 10, 100_000} {
		uri := fmt.Sprintf("https://a.example/%s/%d", secretText, n)
		e := &store.Entry{Key: "GET " + uri, URI: uri, Tags: []string{secretText},
			Header: map[string][]string{"X-" + secretText: {secretText}},
			Body:   []byte(strings.Repeat(secretText+"\n", n))}
		if err := s.Set(ctx, e.Key, e, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(ctx, e.Key); err != nil || !bytes.Equal(got.Body, e.Body) {
			t.Fatalf("%s: %v", e.Key, err)
		}
	}
	j := s.(store.Journaled).Journal()
	var marks []store.Mark
	for kind := store.MarkKey; kind <= store.MarkNotice; kind++ {
		marks = append(marks, store.Mark{Kind: kind, Name: secretText})
	}
	if _, err := j.Append(ctx, marks...); err != nil {
		t.Fatal(err)
	}
	locker, _ := store.As[store.Locker](b)
	if _, ok, err := locker.TryLock(ctx, "adopt."+secretText, time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
}

// stored is all that a table has, as bytes.
func stored(tb testing.TB, b *Backend) []byte {
	var all bytes.Buffer
	var write func(v types.AttributeValue)
	write = func(v types.AttributeValue) {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			all.WriteString(v.Value + "\n")
		case *types.AttributeValueMemberN:
			all.WriteString(v.Value + "\n")
		case *types.AttributeValueMemberB:
			all.Write(append(v.Value, '\n'))
		case *types.AttributeValueMemberL:
			for _, each := range v.Value {
				write(each)
			}
		default:
			tb.Fatalf("an attribute of the type %T", v)
		}
	}
	for _, i := range allItems(tb, b) {
		for name, v := range i {
			all.WriteString(name + "\n")
			write(v)
		}
	}
	return all.Bytes()
}

// In all items of a sealed table no byte of a page, its URL, its header, its tags or its
// invalidations is found, nor its digest. In the clear, all is.
func TestNothingIsFound(t *testing.T) {
	t.Parallel()
	digest := store.Options{}.BackendKey("GET https://a.example/" + secretText + "/10")
	for name, seal := range map[string]func(testing.TB, store.Backend) store.Backend{
		"control": func(_ testing.TB, b store.Backend) store.Backend { return b }, "sealed": sealed,
	} {
		b := open(t, shared(t))
		fillSecret(t, seal(t, b))
		found := stored(t, b)
		for _, hidden := range []string{secretText, digest} {
			if got := bytes.Contains(found, []byte(hidden)); got == (name == "sealed") {
				t.Errorf("%s: %q is found: %t, in %d bytes", name, hidden, got, len(found))
			}
		}
		for _, there := range []string{"freshet:", partKeys, journalKeys, leaseKeys} {
			if !bytes.Contains(found, []byte(there)) {
				t.Errorf("%s: not even %q is found: was it written?", name, there)
			}
		}
	}
}

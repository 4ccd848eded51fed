package dynamostore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/freshet-go/freshet/store"
)

// great returns a value of so many bytes in which every place can be told from others.
func great(n int, word string) string {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprint(&b, word, i)
	}
	return b.String()[:n]
}

// allItems returns every item of the table, by its partition and sort key.
func allItems(tb testing.TB, b *Backend) map[string]item {
	tb.Helper()
	found := make(map[string]item)
	in := &dynamodb.ScanInput{TableName: &b.config.Table, ConsistentRead: aws.Bool(true)}
	for {
		out, err := b.client.Scan(tb.Context(), in)
		if err != nil {
			tb.Fatal(err)
		}
		for _, i := range out.Items {
			found[textOf(i, attrKey)+" "+textOf(i, attrSort)] = i
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
			return found
		}
	}
}

func partsIn(tb testing.TB, b *Backend) (found []item) {
	tb.Helper()
	for _, i := range allItems(tb, b) {
		if textOf(i, attrSort) == sortPart {
			found = append(found, i)
		}
	}
	return found
}

func putItem(tb testing.TB, b *Backend, i item) {
	tb.Helper()
	_, err := b.client.PutItem(tb.Context(), &dynamodb.PutItemInput{TableName: &b.config.Table, Item: i})
	if err != nil {
		tb.Fatal(err)
	}
}

func deleteItem(tb testing.TB, b *Backend, i item) {
	tb.Helper()
	_, err := b.client.DeleteItem(tb.Context(), &dynamodb.DeleteItemInput{
		TableName: &b.config.Table, Key: item{attrKey: i[attrKey], attrSort: i[attrSort]}})
	if err != nil {
		tb.Fatal(err)
	}
}

// The item is full to the last byte that fits, with the longest key.
func TestAnItemThatIsFull(t *testing.T) {
	t.Parallel()
	b := open(t, shared(t))
	for _, n := range []int{room, room + 1} {
		key, value := strings.Repeat("k", 200), great(n, "full")
		mustSet(t, b, key, value, 1<<62)
		if got := get(t, b, key); got != value {
			t.Errorf("%d bytes come back as %d", n, len(got))
		}
	}
}

// A value whose parts are not all there, or not all its own, is a miss.
func TestBrokenParts(t *testing.T) {
	t.Parallel()
	b := open(t, shared(t))
	value := great(2*room+1000, "v")
	for story, spoil := range map[string]func(part item){
		"a part is gone": func(part item) { deleteItem(t, b, part) },
		"a part is another's": func(part item) {
			was, _ := bytesOf(part, attrValue)
			part[attrValue] = binaries([]byte(great(len(was), "w")))
			putItem(t, b, part)
		},
		"a part is cut": func(part item) {
			was, _ := bytesOf(part, attrValue)
			part[attrValue] = binaries(was[1:])
			putItem(t, b, part)
		},
		"a part has no value": func(part item) {
			delete(part, attrValue)
			putItem(t, b, part)
		},
		"a part is of another program": func(part item) {
			part[attrValue] = text("value")
			putItem(t, b, part)
		},
	} {
		mustSet(t, b, "key", value, time.Hour)
		if got := get(t, b, "key"); got != value {
			t.Fatalf("%s: %.100q before", story, got)
		}
		found := partsIn(t, b)
		if len(found) != 2 {
			t.Fatalf("%s: %d parts besides the first", story, len(found))
		}
		spoil(found[0])
		if got := get(t, b, "key"); got != "not found" {
			t.Errorf("%s: %d bytes, %.50q", story, len(got), got)
		}
		if there, err := b.Exists(t.Context(), "key"); there || err != nil {
			t.Errorf("%s: Exists: %t, %v", story, there, err)
		}
		for _, part := range partsIn(t, b) {
			deleteItem(t, b, part)
		}
	}
}

// A table that the server hands out in several pages is listed and flushed whole.
func TestTableOfSeveralPages(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	const many = 4 // of which no three fit a page of 1 MB
	for i := range many {
		mustSet(t, b, fmt.Sprint("a:", i), great(room, "v"), time.Hour)
	}
	f.set(nil)
	listed := 0
	for _, err := range b.List(t.Context(), "a:") {
		if listed++; err != nil {
			t.Fatal(err)
		}
	}
	if asked := f.operations(); listed != many || len(asked) < 2 {
		t.Errorf("List yields %d of %d keys by %v; want all, by several", listed, many, asked)
	}
	if n, err := b.Flush(t.Context(), "a:"); n != many || err != nil {
		t.Errorf("Flush: %d, %v; want %d", n, err, many)
	}
	if left := allItems(t, b); len(left) > 0 {
		t.Errorf("Flush leaves %d items", len(left))
	}
}

// The first part, or what it says of the others, is not as it was written.
func TestBrokenFirstPart(t *testing.T) {
	t.Parallel()
	b := open(t, shared(t))
	value := great(room+1000, "v")
	for story, spoil := range map[string]func(first item){
		"another sum":      func(i item) { i[attrSum] = number(7) },
		"no sum":           func(i item) { delete(i, attrSum) },
		"another length":   func(i item) { i[attrLength] = number(room + 999) },
		"one part":         func(i item) { i[attrLength] = number(room) },
		"no length at all": func(i item) { i[attrLength] = number(0) },
		"an endless one":   func(i item) { i[attrLength] = number(uint64(1<<64 - 1)) },
		"of another Set":   func(i item) { i[attrOnce] = binaries(random()) },
		"nothing random":   func(i item) { delete(i, attrOnce) },
		"cut":              func(i item) { i[attrValue] = binaries([]byte(value[:100])) },
		"of another value": func(i item) { i[attrValue] = binaries([]byte(great(room, "w"))) },
	} {
		mustSet(t, b, "key", value, time.Hour)
		first := allItems(t, b)["key value"]
		spoil(first)
		putItem(t, b, first)
		if got := get(t, b, "key"); got != "not found" {
			t.Errorf("%s: %d bytes, %.50q", story, len(got), got)
		}
		if _, err := b.Delete(t.Context(), "key"); err != nil {
			t.Errorf("%s: Delete: %v", story, err)
		}
	}
}

// Who reads while the value is replaced gets the one or the other, whole.
func TestReplacedWhileItIsRead(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	other := open(t, Config{Region: region, Table: b.config.Table, Endpoint: f.server,
		Credentials: anybody, Timeout: time.Minute})
	for story, next := range map[string]string{
		"by one in parts": great(room+5000, "new"), "by a short one": "short", "by nothing": "",
	} {
		mustSet(t, b, "key", great(room+4000, "old"), time.Hour)
		want := next
		f.once("BatchGetItem", func(_ string, _ []byte, pass func() answer) (answer, bool) {
			if _, err := other.Delete(t.Context(), "key"); err != nil {
				t.Error(err)
			}
			if next == "" {
				want = "not found"
			} else if err := other.Set(t.Context(), "key", []byte(next), time.Hour); err != nil {
				t.Error(err)
			}
			return pass(), true
		})
		if got := get(t, b, "key"); got != want {
			t.Errorf("%s: %d bytes, %.50q", story, len(got), got)
		}
	}
}

// A Set that fails in the middle leaves the value that was there.
func TestSetThatFailsInTheMiddle(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	old := great(room+4000, "old")
	mustSet(t, b, "key", old, time.Hour)
	for _, operation := range []string{"BatchWriteItem", "PutItem"} {
		f.once(operation, func(string, []byte, func() answer) (answer, bool) {
			return refusal(400, "ThrottlingException"), true
		})
		err := b.Set(t.Context(), "key", []byte(great(room+4000, "new")), time.Hour)
		wantKind(t, operation, err, store.KindTransient, "Throttling")
		if got := get(t, b, "key"); got != old {
			t.Errorf("%s failed: %d bytes, %.50q", operation, len(got), got)
		}
	}
}

// The server does a part of a batch; the rest is asked for again, and not for ever.
func TestUnprocessed(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	value := great(room+4000, "v")
	f.once("BatchWriteItem", func(_ string, body []byte, _ func() answer) (answer, bool) {
		var in struct{ RequestItems json.RawMessage }
		json.Unmarshal(body, &in)
		return answer{status: 200, body: `{"UnprocessedItems": ` + string(in.RequestItems) + `}`}, true
	})
	mustSet(t, b, "key", value, time.Hour)
	nothing := func(op string, body []byte, _ func() answer) (answer, bool) {
		var in struct{ RequestItems json.RawMessage }
		json.Unmarshal(body, &in)
		return answer{status: 200, body: `{"Responses": {}, "UnprocessedKeys": ` +
			string(in.RequestItems) + `}`}, op == "BatchGetItem"
	}
	f.once("BatchGetItem", nothing)
	if got := get(t, b, "key"); got != value {
		t.Errorf("after a batch that was not done: %.100q", got)
	}
	f.set(nothing)
	_, err := b.Get(t.Context(), "key")
	wantKind(t, "Get", err, store.KindTransient, "too much to do")
}

// Parts end with their value, and are there for as long as it is.
func TestLifetimeOfParts(t *testing.T) {
	t.Parallel()
	b := open(t, shared(t))
	mustSet(t, b, "key", great(room+4000, "v"), time.Hour)
	expires := func(i item) int64 { n, _ := numberOf(i, attrExpires); return int64(n) }
	check := func(story string, in time.Duration) {
		t.Helper()
		want := time.Now().Add(in).Unix()
		items := allItems(t, b)
		if len(items) != 2 {
			t.Errorf("%s: %d items", story, len(items))
		}
		head := expires(items["key value"])
		for name, i := range items {
			if at := expires(i); at < head || at < want-60 || at > want+60 {
				t.Errorf("%s: %s expires at %d, the first part at %d; want about %d", story, name, at,
					head, want)
			}
		}
	}
	check("Set for an hour", time.Hour)
	if there, err := b.Expire(t.Context(), "key", 24*time.Hour); !there || err != nil {
		t.Fatalf("Expire: %t, %v", there, err)
	}
	check("Expire for a day", 24*time.Hour)
	if there, err := b.Delete(t.Context(), "key"); !there || err != nil {
		t.Fatalf("Delete: %t, %v", there, err)
	}
	if left := allItems(t, b); len(left) > 0 {
		t.Errorf("Delete leaves %v", left)
	}
	mustSet(t, b, "a:key", great(room+4000, "v"), time.Hour)
	mustSet(t, b, "a:key", "short", time.Hour)
	mustSet(t, b, "b:key", great(room+4000, "w"), time.Hour)
	if n, err := b.Flush(t.Context(), "a:"); n != 1 || err != nil {
		t.Errorf("Flush: %d, %v", n, err)
	}
	if left := allItems(t, b); len(left) != 2 {
		t.Errorf("Flush leaves %d items; want the 2 of b:key", len(left))
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	for _, o := range []Oversize{OversizeRefuse, OversizeSplit} {
		c := shared(t)
		c.Oversize = o
		b := open(t, c)
		b.most = 2
		n := int(b.MaxValue())
		if want := map[Oversize]int{OversizeRefuse: room, OversizeSplit: 2 * room}[o]; n != want {
			t.Errorf("%s: MaxValue is %d; want %d", o, n, want)
		}
		mustSet(t, b, "key", great(n, "v"), time.Hour)
		if got := get(t, b, "key"); len(got) != n {
			t.Errorf("%s: %d bytes come back as %d", o, n, len(got))
		}
		err := b.Set(t.Context(), "key", make([]byte, n+1), time.Hour)
		wantKind(t, string(o), err, store.KindPermanent, "at most", string(o))
		if left := allItems(t, b); len(left) > 0 {
			t.Errorf("%s: %d items are left of the value before", o, len(left))
		}
	}
}

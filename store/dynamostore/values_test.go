package dynamostore

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store"
)

// expired gives an item an end that has passed: DynamoDB deletes it days later.
func expired(tb testing.TB, b *Backend, name string) {
	tb.Helper()
	i := allItems(tb, b)[name]
	if i == nil {
		tb.Fatalf("no item %q", name)
	}
	past := time.Now().Add(-time.Second).UnixMilli()
	i[attrEnd], i[attrExpires] = number(past), number(seconds(past))
	putItem(tb, b, i)
}

// What has expired and is still there is not there, for every call.
func TestExpiredButPresent(t *testing.T) {
	t.Parallel()
	b := open(t, shared(t))
	b.config.Sweep = true
	ctx := t.Context()
	mustSet(t, b, "key", "v", time.Hour)
	expired(t, b, "key value")
	if got := get(t, b, "key"); got != "not found" {
		t.Errorf("Get: %q", got)
	}
	if there, err := b.Exists(ctx, "key"); there || err != nil {
		t.Errorf("Exists: %t, %v", there, err)
	}
	if left, err := b.TTL(ctx, "key"); err != store.ErrNotFound {
		t.Errorf("TTL: %v, %v", left, err)
	}
	if there, err := b.Expire(ctx, "key", time.Hour); there || err != nil {
		t.Errorf("Expire: %t, %v", there, err)
	}
	if got := get(t, b, "key"); got != "not found" {
		t.Errorf("Get after Expire: %q", got)
	}
	for key, err := range b.List(ctx, "") {
		t.Errorf("List yields %q, %v", key, err)
	}
	if n, err := b.SweepValues(ctx, "", 1, func([]byte, int64) bool { return true }, nil); n.Seen > 0 || err != nil {
		t.Errorf("SweepValues: %+v, %v", n, err)
	}
	if n, err := b.Flush(ctx, "k"); n != 0 || err != nil {
		t.Errorf("Flush: %d, %v", n, err)
	}
	if left := allItems(t, b); len(left) > 0 {
		t.Errorf("Flush leaves %v", left)
	}
	mustSet(t, b, "key", "v", time.Hour)
	expired(t, b, "key value")
	if there, err := b.Delete(ctx, "key"); there || err != nil {
		t.Errorf("Delete: %t, %v", there, err)
	}
	mustSet(t, b, "key", "v", time.Hour)
	expired(t, b, "key value")
	mustSet(t, b, "key", "w", time.Hour)
	if got := get(t, b, "key"); got != "w" {
		t.Errorf("Get after Set: %q", got)
	}

	first, ok, err := b.TryLock(ctx, "name", time.Hour)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	expired(t, b, leaseKeys+"name "+sortLease)
	second, ok, err := b.TryLock(ctx, "name", time.Hour)
	if !ok || err != nil {
		t.Fatalf("a lease that has ended: %t, %v", ok, err)
	}
	if held, err := first.Unlock(ctx); held || err != nil {
		t.Errorf("the first holder's Unlock: %t, %v", held, err)
	}
	if held, err := second.Unlock(ctx); !held || err != nil {
		t.Errorf("the second holder's Unlock: %t, %v", held, err)
	}
}

// Items carry the attribute by which DynamoDB deletes them, not before their end.
func TestTimeToLive(t *testing.T) {
	t.Parallel()
	b := open(t, shared(t))
	start := time.Now()
	mustSet(t, b, "key", "v", 1500*time.Millisecond)
	if _, ok, err := b.TryLock(t.Context(), "name", time.Minute); !ok || err != nil {
		t.Fatal(ok, err)
	}
	j := journalOf(b)
	mustAppend(t, j, tag("a"))
	if err := j.Renew(t.Context(), store.Member{ID: "m"}); err != nil {
		t.Fatal(err)
	}
	for name, i := range allItems(t, b) {
		expires, ok := numberOf(i, attrExpires)
		end, ends := numberOf(i, attrEnd)
		switch {
		case strings.HasSuffix(name, sortHead):
			if ok {
				t.Errorf("%s expires", name)
			}
		case !ok || int64(expires) < start.Unix() || ends && expires*1000 < end || ends && expires*1000 > end+1000:
			t.Errorf("%s ends at %d ms, and expires at %d s", name, end, expires)
		}
	}
}

// What another program has put under our key is returned as it is, if it is a value.
func TestItemsOfAnotherProgram(t *testing.T) {
	t.Parallel()
	b := open(t, shared(t))
	for story, c := range map[string]struct {
		value types.AttributeValue
		want  string
	}{
		"bytes": {binaries([]byte("theirs")), "theirs"}, "text": {text("theirs"), "not found"},
		"nothing": {nil, "not found"},
	} {
		i := keyOf("key", sortValue)
		if c.value != nil {
			i[attrValue] = c.value
		}
		i[attrExpires] = &types.AttributeValueMemberN{Value: "-1.5e3"}
		putItem(t, b, i)
		if got := get(t, b, "key"); got != c.want {
			t.Errorf("%s: %q; want %q", story, got, c.want)
		}
		_, err := b.TTL(t.Context(), "key")
		wantKind(t, story, err, store.KindPermanent, "another program's")
		mustSet(t, b, "key", "ours", time.Hour)
		if got := get(t, b, "key"); got != "ours" {
			t.Errorf("%s: %q after Set", story, got)
		}
	}
}

// Reads are consistent, or not, as the Config says; those of journals always are.
func TestConsistentReads(t *testing.T) {
	t.Parallel()
	for _, eventual := range []bool{false, true} {
		c := shared(t)
		c.EventualReads = eventual
		b, f := fronted(t, c)
		consistent := map[string]bool{}
		f.set(func(op string, body []byte, _ func() answer) (answer, bool) {
			if strings.Contains(string(body), `"ConsistentRead":true`) {
				consistent[op] = true
			}
			return answer{}, false
		})
		get(t, b, "key")
		if consistent["GetItem"] == eventual {
			t.Errorf("eventual: %t; the reads of values: %v", eventual, consistent)
		}
		told(t, journalOf(b), 0)
		if !consistent["Query"] {
			t.Errorf("eventual: %t; the reads of journals: %v", eventual, consistent)
		}
	}
}

// The caller's own client is used as it is, and left open.
func TestNewFrom(t *testing.T) {
	t.Parallel()
	c := shared(t)
	open(t, c)
	client := dynamodb.New(dynamodb.Options{Region: region, Credentials: anybody,
		BaseEndpoint: aws.String(c.Endpoint)})
	b, err := NewFrom(client, Config{Table: c.Table})
	if err != nil {
		t.Fatal(err)
	}
	mustSet(t, b, "key", "v", time.Hour)
	if got := get(t, b, "key"); got != "v" {
		t.Error(got)
	}
	name := b.Journal("p:").(store.NamedJournal).JournalName()
	if !strings.Contains(name, "dynamodb://"+region+"/"+c.Table) {
		t.Errorf("the journal is called %q", name)
	}
	b.Close()
	wantKind(t, "Get", second(b.Get(t.Context(), "key")), store.KindPermanent, "closed")
	if _, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &c.Table}); err != nil {
		t.Errorf("the caller's client: %v", err)
	}
	if _, err := NewFrom(client, Config{Table: "?"}); err == nil {
		t.Error("a table that is not allowed is no error")
	}
	http.DefaultClient.CloseIdleConnections()
}

func second[T any](_ T, err error) error { return err }

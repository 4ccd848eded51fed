package dynamostore

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store"
)

// ttlServer does what dynalite does not: it knows times to live. It is a fake of these two
// operations alone.
type ttlServer struct {
	mu        sync.Mutex
	attribute string
	enabled   int
}

func (s *ttlServer) hook(operation string, body []byte, _ func() answer) (answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch operation {
	case "DescribeTimeToLive":
		status := "DISABLED"
		if s.attribute != "" {
			status = "ENABLED"
		}
		return answer{status: 200, body: `{"TimeToLiveDescription": {"TimeToLiveStatus": "` + status +
			`", "AttributeName": "` + s.attribute + `"}}`}, true
	case "UpdateTimeToLive":
		if s.attribute != "" || strings.Contains(string(body), `"AttributeName":""`) {
			return refusal(400, "ValidationException"), true
		}
		s.attribute = attrExpires
		s.enabled++
		return answer{status: 200, body: `{}`}, true
	}
	return answer{}, false
}

func TestMigrateEnablesTimeToLive(t *testing.T) {
	t.Parallel()
	c := shared(t)
	f := before(t, strings.TrimPrefix(c.Endpoint, "http://"))
	s := new(ttlServer)
	f.set(s.hook)
	c.Endpoint = f.url
	b := unasked(t, c)
	steps := []string{"create the table " + c.Table,
		"enable the time to live of the table " + c.Table + ", by the attribute expires"}
	for _, dry := range []bool{true, false, true, false} {
		want := steps
		if s.enabled > 0 {
			want = nil
		}
		got, err := b.Migrate(t.Context(), dry)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Migrate (dry run: %t): %q, %v; want %q", dry, got, err, want)
		}
	}
	if s.enabled != 1 {
		t.Errorf("the time to live was enabled %d times", s.enabled)
	}
	h, err := b.Health(t.Context())
	if err != nil || h.Details["ttl_advice"] != "" || h.Details["status"] != "ACTIVE" {
		t.Errorf("Health: %+v, %v", h, err)
	}
	s.attribute = ""
	h, err = b.Health(t.Context())
	if err != nil || !strings.Contains(h.Details["ttl_advice"], "expires") {
		t.Errorf("Health of a table without time to live: %+v, %v", h, err)
	}
	s.attribute = "ttl"
	_, err = b.Migrate(t.Context(), false)
	wantKind(t, "another attribute", err, store.KindPermanent, `"ttl"`, `"expires"`)
	_, err = b.Health(t.Context())
	wantKind(t, "another attribute", err, store.KindPermanent, `"ttl"`)
}

// Another process does each step between our look and ours.
func TestMigrateBesideAnother(t *testing.T) {
	t.Parallel()
	c := shared(t)
	f := before(t, strings.TrimPrefix(c.Endpoint, "http://"))
	s := new(ttlServer)
	f.set(func(op string, body []byte, pass func() answer) (answer, bool) {
		switch op {
		case "CreateTable":
			pass()
		case "UpdateTimeToLive":
			s.hook(op, body, pass)
		}
		return s.hook(op, body, pass)
	})
	c.Endpoint = f.url
	if steps, err := unasked(t, c).Migrate(t.Context(), false); len(steps) != 2 || err != nil {
		t.Errorf("Migrate: %q, %v", steps, err)
	}
}

// A table of another program, or of another key, is none of ours.
func TestTableOfAnotherKey(t *testing.T) {
	t.Parallel()
	for story, keys := range map[string][]string{
		"no sort key": {"key"}, "another name": {"key", "range"}, "the wrong way round": {"sort", "key"},
	} {
		c := shared(t)
		b := unasked(t, c)
		in := &dynamodb.CreateTableInput{TableName: &c.Table, BillingMode: types.BillingModePayPerRequest}
		for i, name := range keys {
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
				AttributeName: &name, AttributeType: types.ScalarAttributeTypeS})
			in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: aws.String(name),
				KeyType: []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}[i]})
		}
		if _, err := b.client.CreateTable(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		_, err := b.Migrate(t.Context(), true)
		wantKind(t, story, err, store.KindPermanent, c.Table, `"sort"`)
		_, err = b.Health(t.Context())
		if store.KindOf(err) != store.KindPermanent {
			t.Errorf("%s: Health: %v", story, err)
		}
	}
}

// A role that may read and write items need not be allowed to describe the table.
func TestHealthOfARoleThatMayNotDescribe(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	f.set(func(op string, _ []byte, _ func() answer) (answer, bool) {
		return refusal(400, "AccessDeniedException"), strings.HasPrefix(op, "Describe")
	})
	if h, err := b.Health(t.Context()); err != nil || h.Details["table"] != b.config.Table {
		t.Errorf("Health: %+v, %v", h, err)
	}
	f.set(func(op string, _ []byte, _ func() answer) (answer, bool) {
		return refusal(400, "AccessDeniedException"), op == "DescribeTimeToLive"
	})
	if h, err := b.Health(t.Context()); err != nil || h.Details["status"] == "" {
		t.Errorf("Health: %+v, %v", h, err)
	}
}

// A walk over the table waits when the server has too much to do.
func TestFlushOfABusyTable(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	mustSet(t, b, "a:1", "v", 1<<62)
	for _, operation := range []string{"Scan", "BatchWriteItem"} {
		mustSet(t, b, "a:1", "v", 1<<62)
		f.once(operation, func(string, []byte, func() answer) (answer, bool) {
			return refusal(400, "ProvisionedThroughputExceededException"), true
		})
		if n, err := b.Flush(t.Context(), "a:"); n != 1 || err != nil {
			t.Errorf("%s is throttled once: Flush: %d, %v", operation, n, err)
		}
	}
}

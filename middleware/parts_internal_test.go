package middleware

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/store"
)

// Parts that wait take an eighth of the fills' budget at most, and give it back when they are taken;
// others' parts make room for the newest.
func TestPartsThatWaitAreBounded(t *testing.T) {
	const most = 8 << 20
	c := boundedCache(t, most)
	p := &c.parts
	part := func(key string, first, end int64) *store.Entry {
		return &store.Entry{Key: key, Status: http.StatusPartialContent, Total: 100 << 20,
			Header: http.Header{"Etag": {`"1"`}}, Body: make([]byte, end-first),
			Spans: []store.Span{{First: first, End: end}}}
	}
	none := func(*store.Entry) invalidation.Coverage { return invalidation.CoverageNone }
	const stored = 20 << 20
	for i := range 40 {
		key := fmt.Sprint(i)
		if p.add(part(key, 0, stored), part(key, stored, stored+100_000), none) != nil {
			t.Fatalf("part %d does not wait", i)
		}
		if used := c.fills.Budget.Used(); used != p.held || used > most/8 || used < 100_000 {
			t.Fatalf("%d parts: %d bytes are taken of the budget, %d are held", i+1, used, p.held)
		}
		if len(p.m[key]) != 1 {
			t.Fatalf("part %d is not there", i)
		}
	}
	// half of the bound is joined, although it is no eighth of what is stored
	both := p.add(part("39", 0, stored), part("39", stored+100_000, stored+600_000), none)
	if both == nil || len(both.Body) != 600_000 {
		t.Fatalf("what waited and what came: %v", both)
	}
	for key := range p.m {
		p.take(key)
	}
	if used := c.fills.Budget.Used(); used != 0 || p.held != 0 {
		t.Errorf("nothing waits, and %d bytes are taken, %d held", used, p.held)
	}
	c.fills.Budget.Take(most)
	if p.add(part("k", 0, stored), part("k", stored, stored+1), none) != nil || len(p.m) != 0 {
		t.Error("a part waits without memory for it")
	}
	c.fills.Budget.Give(most)
}

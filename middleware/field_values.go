package middleware

import (
	"strconv"
	"time"

	"github.com/freshet-go/freshet/internal/lossy"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// fields remembers the field values that were made last: most responses of a second say what others
// said. The values are shared by all of them, as those of entries are.
type fields struct {
	ages    lossy.Table[int64, []string] // of Age, by seconds
	maxAges lossy.Table[int64, []string] // of Cache-Control, by seconds
	// of Cache-Status, by the ttl of a hit that has no other parameter
	hits     lossy.Table[int64, []string]
	outcomes lossy.Table[policy.Outcome, []string] // of Cache-Status, for all else
}

// fieldsKept is the size of each table: Age and ttl change by one each second.
const fieldsKept = 512

func newFields() fields {
	return fields{
		ages:     lossy.New[int64, []string](fieldsKept),
		maxAges:  lossy.New[int64, []string](fieldsKept),
		hits:     lossy.New[int64, []string](fieldsKept),
		outcomes: lossy.New[policy.Outcome, []string](fieldsKept),
	}
}

// keep puts the value of a field into a table, and returns it.
func keep[K comparable](t *lossy.Table[K, []string], hash int64, key K, text []byte) []string {
	values := []string{string(text)}
	t.Put(uint64(hash), key, values)
	return values
}

// ageField returns the value of Age.
func (c *Cache) ageField(age time.Duration) []string {
	seconds := int64(age / time.Second)
	if values, ok := c.fields.ages.Find(uint64(seconds), seconds); ok {
		return values
	}
	var buf [20]byte
	return keep(&c.fields.ages, seconds, seconds, strconv.AppendInt(buf[:0], seconds, 10))
}

// maxAgeField returns the value of Cache-Control for a lifetime.
func (c *Cache) maxAgeField(lifetime time.Duration) []string {
	seconds := int64(lifetime / time.Second)
	if values, ok := c.fields.maxAges.Find(uint64(seconds), seconds); ok {
		return values
	}
	return keep(&c.fields.maxAges, seconds, seconds, []byte(rules.MaxAge(lifetime)))
}

// statusField returns the value of Cache-Status.
func (c *Cache) statusField(out *policy.Outcome) []string {
	if !out.Hit || !out.HasTTL || out.Detail != "" {
		return c.otherStatusField(out)
	}
	seconds := out.Seconds() // the only parameter of a plain hit
	if values, ok := c.fields.hits.Find(uint64(seconds), seconds); ok {
		return values
	}
	var buf [128]byte
	return keep(&c.fields.hits, seconds, seconds, out.Append(buf[:0], c.options.Name))
}

// otherStatusField is statusField for an outcome that is more than a hit with its ttl.
func (c *Cache) otherStatusField(outcome *policy.Outcome) []string {
	out := outcome.Told()
	hash := out.Seconds() + int64(out.Fwd)*61 + int64(out.FwdStatus)*7
	if values, ok := c.fields.outcomes.Find(uint64(hash), out); ok {
		return values
	}
	var buf [128]byte
	return keep(&c.fields.outcomes, hash, out, out.Append(buf[:0], c.options.Name))
}

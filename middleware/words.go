package middleware

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// words keeps the field values that were made last: most responses of a second say what others said. Its values
// are shared by all of them, as those of entries are.
type words[K comparable] struct {
	kept [512]atomic.Pointer[word[K]]
}

type word[K comparable] struct {
	of     K
	values [1]string
}

// find returns what keep was given last for k, in the slot that the caller has chosen for it, or nil.
func (w *words[K]) find(slot int64, k K) []string {
	if kept := w.kept[uint64(slot)%uint64(len(w.kept))].Load(); kept != nil && kept.of == k {
		return kept.values[:]
	}
	return nil
}

func (w *words[K]) keep(slot int64, k K, text []byte) []string {
	kept := &word[K]{k, [1]string{string(text)}}
	w.kept[uint64(slot)%uint64(len(w.kept))].Store(kept)
	return kept.values[:]
}

// ageField is the value of Age.
func (c *Cache) ageField(age time.Duration) []string {
	seconds := int64(age / time.Second)
	if values := c.ages.find(seconds, seconds); values != nil {
		return values
	}
	var buf [20]byte
	return c.ages.keep(seconds, seconds, strconv.AppendInt(buf[:0], seconds, 10))
}

// maxAgeField is the value of Cache-Control for a lifetime.
func (c *Cache) maxAgeField(lifetime time.Duration) []string {
	seconds := int64(lifetime / time.Second)
	if values := c.maxAges.find(seconds, seconds); values != nil {
		return values
	}
	return c.maxAges.keep(seconds, seconds, []byte(policy.MaxAge(lifetime)))
}

// statusField is the value of Cache-Status.
func (c *Cache) statusField(out *policy.Outcome) []string {
	if !out.Hit || !out.HasTTL || out.Detail != "" {
		return c.otherStatusField(out)
	}
	seconds := out.Seconds() // the only parameter of a plain hit
	if values := c.hits.find(seconds, seconds); values != nil {
		return values
	}
	var buf [128]byte
	return c.hits.keep(seconds, seconds, out.Append(buf[:0], c.Name))
}

// otherStatusField is statusField for what is told of an outcome that is more than a hit with its ttl.
func (c *Cache) otherStatusField(outcome *policy.Outcome) []string {
	out := outcome.Told()
	slot := out.Seconds() + int64(out.Fwd)*61 + int64(out.FwdStatus)*7
	if values := c.outcomes.find(slot, out); values != nil {
		return values
	}
	var buf [128]byte
	return c.outcomes.keep(slot, out, out.Append(buf[:0], c.Name))
}

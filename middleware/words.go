package middleware

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// words keeps field values that have a number of seconds in them: the hits of a second say the same, and most
// of those of a second later as well, of other pages. A table of the last ones is all it takes. Its values are shared by
// all responses, as those of entries are.
type words struct {
	kept [512]atomic.Pointer[word]
}

type word struct {
	seconds int64
	values  [1]string
}

func (w *words) find(seconds int64) []string {
	if k := w.kept[uint64(seconds)%uint64(len(w.kept))].Load(); k != nil && k.seconds == seconds {
		return k.values[:]
	}
	return nil
}

func (w *words) keep(seconds int64, text []byte) []string {
	k := &word{seconds, [1]string{string(text)}}
	w.kept[uint64(seconds)%uint64(len(w.kept))].Store(k)
	return k.values[:]
}

// ageField is the value of Age.
func (c *Cache) ageField(age time.Duration) []string {
	seconds := int64(age / time.Second)
	if values := c.ages.find(seconds); values != nil {
		return values
	}
	var buf [20]byte
	return c.ages.keep(seconds, strconv.AppendInt(buf[:0], seconds, 10))
}

// statusField is the value of Cache-Status.
func (c *Cache) statusField(out policy.Outcome) []string {
	var buf [128]byte
	seconds, plain := out.PlainHit()
	if !plain {
		return []string{string(out.Append(buf[:0], c.Name))}
	}
	if values := c.hits.find(seconds); values != nil {
		return values
	}
	return c.hits.keep(seconds, out.Append(buf[:0], c.Name))
}

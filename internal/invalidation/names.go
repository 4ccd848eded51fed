package invalidation

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"github.com/freshet-go/freshet/store"
)

// maxName is the longest name, in bytes, that a mark has in a journal. Clients choose how long the
// URLs are that they change, and a journal of a bounded size forgets its oldest marks when the names
// fill it.
const maxName = 512

// Named returns marks as they are written to a journal: the name of a longer key or tag is its
// digest, by which a Replica knows it as well, and a longer prefix is cut, so that it covers more.
// It leaves the given marks alone.
func Named(marks []store.Mark) []store.Mark {
	long := func(m store.Mark) bool { return len(m.Name) > maxName }
	if !slices.ContainsFunc(marks, long) {
		return marks
	}
	marks = slices.Clone(marks)
	for i := range marks {
		switch m := &marks[i]; m.Kind {
		case store.MarkKey, store.MarkTag:
			m.Name = canonical(m.Name)
		case store.MarkPrefix:
			m.Name = m.Name[:min(len(m.Name), maxName)]
		}
	}
	return marks
}

// canonical returns the name under which marks on a key or a tag are known, whether they were
// written with the name or with its digest: no digest is long.
func canonical(name string) string {
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

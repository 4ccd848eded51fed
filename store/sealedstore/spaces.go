package sealedstore

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/store"
)

// otherSpace is the namespace of the keys that begin with none of Options.Prefixes.
const otherSpace = "freshet-sealed:"

// spacesOf returns the namespaces: the prefixes, the longest first, and the one for other keys.
func spacesOf(prefixes []string) ([]string, error) {
	all := slices.Clone(prefixes)
	for _, prefix := range all {
		if prefix == "" {
			return nil, errors.New("sealedstore: a prefix is empty: leave it out, and keys of any " +
				"kind lie under " + otherSpace)
		}
		if err := (store.Options{Prefix: prefix}).Validate(); err != nil {
			return nil, fmt.Errorf("sealedstore: %w", err)
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		return cmp.Or(len(b)-len(a), cmp.Compare(a, b))
	})
	return append(slices.Compact(all), otherSpace), nil
}

// space returns the namespace of a key: what stays of it in the clear.
func (b *Backend) space(key string) string {
	own := b.spaces[:len(b.spaces)-1]
	for _, space := range own {
		if strings.HasPrefix(key, space) {
			return space
		}
	}
	return otherSpace
}

// reach is a namespace in which keys with a prefix may lie.
type reach struct {
	space string
	whole bool // all that lies in it has the prefix
}

// reaches returns the namespaces in which keys with that prefix may lie.
func (b *Backend) reaches(prefix string) (all []reach) {
	own := b.space(prefix)
	for _, space := range b.spaces {
		switch {
		case space != otherSpace && strings.HasPrefix(space, prefix):
			all = append(all, reach{space, true})
		case space == own:
			all = append(all, reach{space, false})
		}
	}
	return all
}

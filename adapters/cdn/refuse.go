package cdn

import (
	"errors"
	"fmt"
	"strings"
)

// refused is the error of names that were left out of a purge.
type refused []error

// maxTold bounds how many names an error tells of.
const maxTold = 8

func (r refused) Error() string {
	var text strings.Builder
	for i, err := range r {
		if i == maxTold {
			fmt.Fprintf(&text, "; and %d more", len(r)-i)
			break
		}
		if i > 0 {
			text.WriteString("; ")
		}
		text.WriteString(err.Error())
	}
	return text.String()
}

// Unwrap returns the error of each name.
func (r refused) Unwrap() []error { return r }

// err returns r, or nil where nothing was refused.
func (r refused) err() error {
	if len(r) == 0 {
		return nil
	}
	return r
}

// part parts the errors that are of a kind from all others.
func (r refused) part(kind error) (those, others refused) {
	for _, err := range r {
		if errors.Is(err, kind) {
			those = append(those, err)
		} else {
			others = append(others, err)
		}
	}
	return those, others
}

// takes returns what of p the lane's target can take, and an error for each name that it cannot.
func (l *lane) takes(p Purge) (Purge, refused) {
	c, ok := l.target.(Checker)
	if !ok || c.Check(p) == nil {
		return p, nil
	}
	var left refused
	some := Purge{Soft: p.Soft, ByRequest: p.ByRequest}
	pick := func(one Purge, name string, to *[]string) {
		one.Soft, one.ByRequest = p.Soft, p.ByRequest
		if err := c.Check(one); err != nil {
			left = append(left, err)
		} else {
			*to = append(*to, name)
		}
	}
	for _, name := range p.Tags {
		pick(Purge{Tags: []string{name}}, name, &some.Tags)
	}
	for _, name := range p.URLs {
		pick(Purge{URLs: []string{name}}, name, &some.URLs)
	}
	for _, name := range p.Prefixes {
		pick(Purge{Prefixes: []string{name}}, name, &some.Prefixes)
	}
	if p.All {
		if err := c.Check(Purge{All: true, Soft: p.Soft}); err != nil {
			left = append(left, err)
		} else {
			some.All = true
		}
	}
	return some, left
}

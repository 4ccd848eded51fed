package simulate

import (
	"net/http"
	"strconv"
	"strings"
)

// Group is a part of the requests.
type Group struct {
	Name string `json:"name"`
	Counts
}

// maxGroups bounds how many groups there are. What comes later is in one, which has no name of its
// own.
const maxGroups = 4096

// others is the name of the group of those that came too late to have one.
const others = "(others)"

// groups gives names to parts of the requests: by the first segment of the path or, with rules, by
// the rule.
type groups struct {
	places map[string]int32
	names  []string
	rules  *governor // nil: by path
}

func newGroups(byRule *Settings) *groups {
	g := &groups{places: map[string]int32{}}
	if byRule != nil {
		g.rules = newGovernor(byRule)
	}
	return g
}

// of returns the group of a request.
func (g *groups) of(r *http.Request) int32 {
	name := firstSegment(r.URL.Path)
	if g.rules != nil {
		name = g.rules.name(r)
	}
	place, known := g.places[name]
	if known {
		return place
	}
	if len(g.names) >= maxGroups {
		return maxGroups
	}
	place = int32(len(g.names))
	name = strings.Clone(name)
	g.places[name] = place
	g.names = append(g.names, name)
	return place
}

func (g *groups) name(place int) string {
	if place < len(g.names) {
		return g.names[place]
	}
	return others
}

// firstSegment is "/news/" of "/news/today", and "/news" of "/news".
func firstSegment(path string) string {
	if path == "" {
		return "/"
	}
	if end := strings.IndexByte(path[1:], '/'); end >= 0 {
		return path[:end+2]
	}
	return path
}

// Printable is a name as a terminal may have it: what is no text is escaped, and what is long is
// cut.
func Printable(name string, width int) string {
	quoted := strconv.QuoteToGraphic(name)
	text := []rune(strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`))
	if len(text) > width {
		return string(text[:width-1]) + "…"
	}
	return string(text)
}

package middleware

import (
	"slices"
	"strings"

	"github.com/freshet-go/freshet/internal/lossy"
)

// varyLines has what the lines of a Vary become as one, so that a hit takes no memory for it. Those
// of handlers are few.
var varyLines = lossy.New[[2]string, []string](64)

// oneLine returns the lines of a Vary as one, which names each member once: what the app says and
// what the cache adds are two, and session middleware may add a member that is there. A list may
// have several lines (RFC 9110 section 5.3), but nginx 1.22, Debian 12's, reads the last one alone,
// and would give a page to those whom it is not for. Nobody may modify the result.
func oneLine(lines []string) []string {
	if len(lines) != 2 || len(lines[0])+len(lines[1]) > 256 {
		return joinVary(lines)
	}
	key, hash := [2]string(lines), uint64(31*len(lines[0])+len(lines[1]))
	line, ok := varyLines.Find(hash, key)
	if !ok {
		line = joinVary(lines)
		varyLines.Put(hash, key, line)
	}
	return line
}

// joinVary is oneLine's. "*" goes before all others, and stands alone.
func joinVary(lines []string) []string {
	var members []string
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			member = strings.TrimSpace(member)
			if member == "*" {
				return []string{"*"}
			}
			if member != "" && !slices.ContainsFunc(members, func(one string) bool {
				return strings.EqualFold(one, member)
			}) {
				members = append(members, member)
			}
		}
	}
	if members == nil {
		return nil
	}
	return []string{strings.Join(members, ", ")}
}

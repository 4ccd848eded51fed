package front

import (
	stdcontext "context"
	"regexp"
	"slices"
)

func background() stdcontext.Context { return stdcontext.Background() }

func sortInts(a []int) { slices.Sort(a) }

var ofTime = regexp.MustCompile(`(?m)^(Age: |Date: |Expires: |Last-Modified: |Etag: ).*$|ttl=-?\d+|max-age=\d+`)

func timeless(text string) string { return ofTime.ReplaceAllString(text, "$1") }

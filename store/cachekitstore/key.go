package cachekitstore

import (
	"encoding/base64"
	"strings"
)

// escaped begins what a key is called that the service does not take as it is. Its base64 is at
// most 267 bytes long, and the service takes 400.
const escaped = "freshet-b64:"

// nameOf returns what a key is called at the service: the key itself, of whose characters it takes
// all, unless it is one of the reserved ones, has two dots in a row, or looks like one that was
// escaped. No two keys share a name.
func nameOf(key string) string {
	switch {
	case key == "." || key == "health" || key == "ttl" || key == "lock",
		strings.Contains(key, ".."), strings.HasPrefix(key, escaped):
		return escaped + base64.RawURLEncoding.EncodeToString([]byte(key))
	}
	return key
}

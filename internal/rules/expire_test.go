package rules

import (
	"net/http"
	"reflect"
	"testing"
)

func TestExpire(t *testing.T) {
	for _, c := range []struct {
		name   string
		before http.Header
		after  http.Header
	}{
		{"nothing", http.Header{}, fields("Cache-Control", "max-age=0")},
		{"lifetimes", fields("Cache-Control", "public, max-age=60, s-maxage=3600, Immutable"),
			fields("Cache-Control", "max-age=0, public")},
		{"what else is said", fields("Cache-Control", `no-transform, stale-if-error=9, private="a,b"`),
			fields("Cache-Control", `max-age=0, no-transform, stale-if-error=9, private="a,b"`)},
		{"no-store", fields("Cache-Control", "no-store"), fields("Cache-Control", "max-age=0, no-store")},
		{"a quoted string without an end", fields("Cache-Control", `max-age=60, private="a`),
			fields("Cache-Control", "no-store")},
		{"another spelling", http.Header{"cache-control": {"max-age=60"}},
			http.Header{"cache-control": {"max-age=0"}}},
		{"Expires", fields("Expires", "Fri, 01 Jan 2100 00:00:00 GMT", "Etag", `"1"`),
			fields("Cache-Control", "max-age=0", "Etag", `"1"`)},
		{"for CDNs", fields("Cache-Control", "no-cache", "CDN-Cache-Control", "max-age=60",
			"Surrogate-Control", `max-age=60, content="ESI/1.0"`, "X-Accel-Expires", "60",
			"Edge-Control", "cache-maxage=1h"),
			fields("Cache-Control", "max-age=0, no-cache", "CDN-Cache-Control", "max-age=0",
				"Surrogate-Control", `max-age=0, content="ESI/1.0"`, "X-Accel-Expires", "0")},
	} {
		if Expire(c.before); !reflect.DeepEqual(c.before, c.after) {
			t.Errorf("%s: %v, want %v", c.name, c.before, c.after)
		}
	}
}

// The header of a stored response is shared: what it says stays.
func TestExpireChangesNoValues(t *testing.T) {
	lines := []string{"max-age=60", "public"}
	h := http.Header{"Cache-Control": lines}
	Expire(h)
	if lines[0] != "max-age=60" || lines[1] != "public" {
		t.Errorf("the lines are %q now", lines)
	}
}

func TestDropLifetimes(t *testing.T) {
	h := fields("Cache-Control", "public, max-age=60", "CDN-Cache-Control", "max-age=60",
		"Expires", "0", "Surrogate-Control", "max-age=60", "X-Accel-Expires", "60", "Edge-Control", "cache-maxage=1h",
		"Etag", `"1"`, "Last-Modified", "Fri, 01 Jan 1999 00:00:00 GMT", "Vary", "Origin")
	h["Netlify-cdn-cache-control"] = []string{"durable"}
	DropLifetimes(h)
	if want := fields("Vary", "Origin"); !reflect.DeepEqual(h, want) {
		t.Errorf("what is left is %v, want %v", h, want)
	}
}

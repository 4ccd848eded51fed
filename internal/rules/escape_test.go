package rules

import (
	"net/url"
	"strconv"
	"testing"
)

func TestUnhex(t *testing.T) {
	for c := range 256 {
		want, err := strconv.ParseUint(string([]byte{byte(c)}), 16, 8)
		if err != nil {
			want = 255
		}
		if got := unhex(byte(c)); got != byte(want) {
			t.Errorf("%#02x: %d, want %d", c, got, want)
		}
	}
}

// A path that middleware has rewritten says something else than the request line, however that is
// escaped.
func TestUnescapesTo(t *testing.T) {
	for _, c := range []struct {
		escaped, plain string
		want           bool
	}{
		{"/x", "/x", true},
		{"/x", "/y", false},
		{"/x", "/xy", false},
		{"/xy", "/x", false},
		{"", "", true},
		{"/%78%2f%2F", "/x//", true},
		{"%2Fx", "/x", true},
		{"/%F0%9f%8D%af", "/\xf0\x9f\x8d\xaf", true},
		{"/%78", "/y", false},
		{"/%78", "/", false},
		{"/%78", "/xy", false},
		{"/a+b", "/a b", false},
		{"/%", "/%", false},
		{"/%7", "/%7", false},
		{"/%7", "/\a", false},
		{"/%zA", "/\xfa", false},
		{"/%Az", "/\xff", false},
	} {
		if got := unescapesTo(c.escaped, c.plain); got != c.want {
			t.Errorf("%q to %q: %t, want %t", c.escaped, c.plain, got, c.want)
		}
		if plain, err := url.PathUnescape(c.escaped); (err == nil && plain == c.plain) != c.want {
			t.Errorf("net/url reads %q as %q, %v", c.escaped, plain, err)
		}
	}
}

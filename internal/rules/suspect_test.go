package rules

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestSuspect(t *testing.T) {
	many := func(n int) http.Header {
		h := http.Header{}
		for i := range n {
			h.Set(fmt.Sprint("X-", i), "1")
		}
		return h
	}
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		why  string
		h    http.Header
		want bool
	}{
		{"nothing", nil, false},
		{"a browser's", fields("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)", "Accept",
			"text/html,*/*;q=0.8", "Accept-Language", "de-DE,de;q=0.9",
			"Sec-Ch-Ua", `"Chromium";v="142", "Not_A Brand";v="99"`, "Range", "bytes=0-99",
			"Cookie", long(4000)), false},
		{"a value just short enough", fields("X-A", long(4095)), false},
		{"a name of 4 KiB", http.Header{long(4096): {"x"}}, true},
		{"a value of 4 KiB", fields("X-A", long(4096)), true},
		{"several, just short enough together", fields("X-A", long(4000), "X-B", long(4000), "X-C",
			long(182)), false},
		{"several of 8 KiB together", fields("X-A", long(4000), "X-B", long(4000), "X-C",
			long(183)), true},
		{"63 fields", many(63), false},
		{"64 fields", many(64), true},
		{"64 lines of one field", http.Header{"X-A": make([]string, 64)}, true},
		{"a bell", fields("X-A", "a\ab"), true},
		{"a line end", fields("X-A", "a\nb"), true},
		{"a tab", fields("X-A", "a\tb"), true},
		{"a tilde, as in homes' URLs", fields("Referer", "https://a.example/~alice"), false},
		{"DEL", fields("X-A", "a\x7f"), true},
		{"UTF-8", fields("X-A", "grün"), true},
		{"Expect", fields("Expect", "200-ok"), true},
		{"Expect of a body that is not there", fields("Expect", "100-continue"), true},
		{"another method", fields("X-Http-Method", "DELETE"), true},
		{"another method, by a name that we do not know", fields("X-My-Method-Override", "PUT"),
			true},
		{"another target", fields("X-Rewrite-Path", "/x"), true},
		{"a good Range", fields("Range", "bytes=0-4, -5,7-"), false},
		{"no Range", fields("Range", "bytes=cow"), true},
		{"an empty Range", fields("Range", ""), true},
		{"a Range without a line", http.Header{"Range": {}}, false},
		{"an unknown unit", fields("Range", "lines=0-4"), true},
		{"a Range that ends before it begins", fields("Range", "bytes=9-4"), true},
		{"two Ranges", fields("Range", "bytes=0-4", "Range", "bytes=5-9"), true},
		{"16 ranges", fields("Range", "bytes="+strings.Repeat("0-1,", 16)), false},
		{"17 ranges", fields("Range", "bytes="+strings.Repeat("0-1,", 17)), true},
	} {
		if got := Suspect(c.h); got != c.want {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
	}
}

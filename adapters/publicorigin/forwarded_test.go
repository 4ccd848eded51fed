package publicorigin

import (
	"strings"
	"testing"
)

// FuzzForwarded: whatever a client sends, no host and no scheme of its choice is left in Forwarded.
func FuzzForwarded(f *testing.F) {
	for _, text := range []string{"for=1.2.3.4;host=evil", `host="evil"`, `for="a;host=evil`,
		"HOST = evil", `for="x,host=evil"`, `x=";host=evil"`} {
		f.Add(text)
	}
	o := Origin{Host: "public.example", Scheme: "https"}
	f.Fuzz(func(t *testing.T, text string) {
		kept := o.forwarded([]string{text})
		for _, element := range splitOutsideQuotes(kept, ',') {
			for _, pair := range splitOutsideQuotes(element, ';') {
				name, _, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
				if name = strings.ToLower(strings.Trim(name, " \t")); name != "" && name != "for" &&
					name != "by" {
					t.Errorf("%q became %q, which has %q", text, kept, name)
				}
			}
		}
		if again := o.forwarded([]string{kept}); again != kept {
			t.Errorf("%q became %q, and that %q", text, kept, again)
		}
	})
}

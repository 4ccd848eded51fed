package keys

import (
	"regexp"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	longest := strings.Repeat("k", MaxLen)
	for _, tt := range []struct{ text, key, prefix string }{
		{"", "a key of 0 bytes; 1 to 200 are allowed", ""},
		{"a", "", ""},
		{"Blog_1.x:y-z", "", ""},
		{longest, "", ""},
		{longest + "k", "a key of 201 bytes; 1 to 200 are allowed",
			"a prefix of 201 bytes; at most 200 are allowed"},
		{"a b", "a key that contains ' '; letters, digits and the characters _ . : - are allowed",
			"a prefix that contains ' '; letters, digits and the characters _ . : - are allowed"},
		{"a\r\nflush_all",
			`a key that contains '\r'; letters, digits and the characters _ . : - are allowed`,
			`a prefix that contains '\r'; letters, digits and the characters _ . : - are allowed`},
	} {
		if got := text(Check(tt.text)); got != tt.key {
			t.Errorf("Check(%.20q) says %q, want %q", tt.text, got, tt.key)
		}
		if got := text(CheckPrefix(tt.text)); got != tt.prefix {
			t.Errorf("CheckPrefix(%.20q) says %q, want %q", tt.text, got, tt.prefix)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzCheck(f *testing.F) {
	longer := strings.Repeat("k", MaxLen+1)
	for _, s := range []string{"", "a", "blog:0a", "a~b", "a/b", "ключ", "a\x00", longer[1:],
		longer} {
		f.Add(s)
	}
	key := regexp.MustCompile(`\A[A-Za-z0-9_.:-]{1,200}\z`)
	prefix := regexp.MustCompile(`\A[A-Za-z0-9_.:-]{0,200}\z`)
	plain := regexp.MustCompile(`\A[A-Za-z0-9_.:-]*\z`)
	f.Fuzz(func(t *testing.T, s string) {
		if (Check(s) == nil) != key.MatchString(s) {
			t.Errorf("Check(%q): %v", s, Check(s))
		}
		if (CheckPrefix(s) == nil) != prefix.MatchString(s) {
			t.Errorf("CheckPrefix(%q): %v", s, CheckPrefix(s))
		}
		if Valid(s) != key.MatchString(s) || ValidPrefix(s) != prefix.MatchString(s) {
			t.Errorf("Valid(%q): %v, ValidPrefix: %v", s, Valid(s), ValidPrefix(s))
		}
		if Plain(s) != plain.MatchString(s) {
			t.Errorf("Plain(%q): %v", s, Plain(s))
		}
	})
}

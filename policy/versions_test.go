package policy

import "testing"

// The names by which caches in front know tags: a purge by another name purges nothing.
func TestNamesOfTagsStay(t *testing.T) {
	key := []byte("0123456789abcdef")
	for _, tt := range []struct{ what, got, want string }{
		{"a row's tag", HiddenTag(key, "users:ann"), "users:#-t9BQ1MCJmGwLard4FsssA"},
		{"a table's tag", HiddenTag(key, "users:*"), "users:*"},
		{"a tag of no table", HiddenTag(key, "pages"), "pages"},
		{"in Xkey", SentTag("xkey", "a b,c:%é"), "a%20b%2Cc:%25%C3%A9"},
		{"in Surrogate-Key", SentTag("Surrogate-Key", "a b,c:%é"), "a%20b,c:%25%C3%A9"},
		{"in Cache-Tag", SentTag("Cache-Tag", "a b,c:%é"), "a%20b%2Cc:%25%C3%A9"},
		{"in Edge-Cache-Tag", SentTag("Edge-Cache-Tag", "a b,c:%é"), "a%20b%2Cc%3A%25%C3%A9"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s: caches in front keep responses by these names, whose purge a "+
				"change would make do nothing", tt.what, tt.got, tt.want)
		}
	}
}

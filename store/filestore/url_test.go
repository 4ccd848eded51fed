package filestore

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want Config
	}{
		{"file:///var/cache/app", Config{Path: "/var/cache/app"}},
		{"file://localhost/var/cache/app", Config{Path: "/var/cache/app"}},
		{"file:///var/cache/a%20b%23", Config{Path: "/var/cache/a b#"}},
		{"file:///c?max_bytes=1048576", Config{Path: "/c", MaxBytes: 1 << 20}},
		{"file:///c?max_bytes=2048KiB&max_value=1MiB&fsync=true", Config{Path: "/c",
			MaxBytes: 2 << 20, MaxValue: 1 << 20, Fsync: true}},
		{"file:///c?max_bytes=10GiB&fsync=false", Config{Path: "/c", MaxBytes: 10 << 30}},
		{"file:///c?max_bytes=8589934591GiB", Config{Path: "/c", MaxBytes: (1<<33 - 1) << 30}},
		{"file:///c?max_bytes=9223372036854775807", Config{Path: "/c", MaxBytes: 1<<63 - 1}},
	} {
		if got, err := ParseURL(tt.url); err != nil || got != tt.want {
			t.Errorf("ParseURL(%q) = %+v, %v; want %+v", tt.url, got, err, tt.want)
		}
	}
}

func TestWrongURLs(t *testing.T) {
	for url, want := range map[string]string{
		"":                                    `the scheme is "";`,
		"redis:///x":                          `the scheme is "redis"; want file`,
		"file:":                               "the path of the folder is missing",
		"file://":                             "the path of the folder is missing",
		"file:///":                            "the root of the file system",
		"file:///..":                          "the root of the file system",
		"file:cache":                          `path "cache" is not absolute; want three slashes`,
		"file://cache/app":                    `"cache" stands where a host does`,
		"file://10.0.0.1/app":                 `"10.0.0.1" stands where a host does`,
		"file://me:secret@localhost/app":      "no user and no password",
		"file://me:secret@[/app":              "the URL cannot be read",
		"file:///app#x":                       `fragment "x"`,
		"file:///app%00b":                     "is not absolute",
		"file:///app?size=1":                  `unknown option "size": allowed are fsync, max_bytes, max_value`,
		"file:///app?Fsync=true":              `unknown option "Fsync"`,
		"file:///app?fsync=true&fsync=true":   "option fsync is given 2 times",
		"file:///app?fsync=yes":               `option fsync="yes": true or false is allowed`,
		"file:///app?fsync":                   `option fsync="": true or false is allowed`,
		"file:///app?max_bytes=":              `option max_bytes="": a whole number of bytes`,
		"file:///app?max_bytes=0":             "a whole number of bytes above 0",
		"file:///app?max_bytes=-1":            `option max_bytes="-1": a whole`,
		"file:///app?max_bytes=1.5GiB":        `option max_bytes="1.5GiB": a whole`,
		"file:///app?max_bytes=1GB":           `option max_bytes="1GB": a whole`,
		"file:///app?max_bytes=9999999999GiB": `option max_bytes="9999999999GiB": a whole`,
		"file:///app?max_bytes=1048575":       "max_bytes=1048575: 1MiB or more is allowed",
		"file:///app?max_bytes=1MiB&max_value=524289": "max_value=524289: 1 to 524288, half of " +
			"max_bytes, is allowed",
		"file:///app?max_value=1GiB": "max_value=1073741824",
		"file:///app?a=%zz":          "the options are malformed",
	} {
		_, err := ParseURL(url)
		switch {
		case err == nil:
			t.Errorf("ParseURL(%q) without an error", url)
		case !strings.HasPrefix(err.Error(), "filestore: ") || !strings.Contains(err.Error(),
			want) || strings.Contains(err.Error(), "secret"):
			t.Errorf("ParseURL(%q): %v; want filestore: …%s, and no password", url, err, want)
		}
	}
}

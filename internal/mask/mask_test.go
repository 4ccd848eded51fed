package mask

import (
	"strings"
	"testing"
)

func TestURL(t *testing.T) {
	for given, want := range map[string]string{
		"":                                "",
		"memory://":                       "memory://",
		"redis://host:6379/0?pool_size=3": "redis://host:6379/0?pool_size=3",
		"redis://me:secret@host/0":        "redis://me:***@host/0",
		"redis://:secret@a,b":             "redis://:***@a,b",
		"redis://secret@host":             "redis://***@host",
		"https+store://secret@host/a":     "https+store://***@host/a",
		"postgres://me@host/d":            "postgres://me@host/d",
		"redis://host:secret/0":           "redis://host:***/0",
		"redis://me:se/cret@host":         "redis://…",
		"redis:me:secret@host":            "redis:…",
		"redis+sentinel://h?sentinel_password=secret&master=m": "redis+sentinel://h?sentinel_password=***&master=m",
		"postgres://h/d?ssl%70assword=secret":                  "postgres://h/d?ssl%70assword=***",
		"https://h?api_key=secret&access-key=secret&a=b":       "https://h?api_key=***&access-key=***&a=b",
		"https://h?token=secret":                               "https://h?token=***",
		"http://u:secret@a,http://u:secret@b":                  "http://…",
		"cachekit://secret@api.example/a?pool_size=3":          "cachekit://***@api.example/a?pool_size=3",
		"Cachekit://:secret@?token=secret":                     "Cachekit://***@?token=***",
		"cachekit://ck_secret":                                 "cachekit://***",
		"cachekit://ck_secret/a?b=c":                           "cachekit://***/a?b=c",
		"cachekit:ck_secret":                                   "cachekit:…",
		"cachekit://api.example/a_b":                           "cachekit://api.example/a_b",
		"file:///var/cache/a@b":                                "file:///var/cache/a@b",
	} {
		if got := URL(given); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}

func TestValue(t *testing.T) {
	for given, want := range map[string]string{
		"@analytics": "@analytics", "me@a.example": "me@a.example", "u:secret@h": "u:…",
		"redis://u:secret@h": "redis://u:***@h", "1m": "1m",
	} {
		if got := Value(given); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("redis://me:secret@host/0?a=b")
	f.Add("://@:?&=%")
	f.Fuzz(func(t *testing.T, user string) {
		// Whatever else is in it, a password between the first : and an @ is not shown.
		if strings.ContainsAny(user, "/?@:") || strings.Contains(user, "S3CR3T") {
			return
		}
		if got := URL("redis://" + user + ":S3CR3T@host/0"); strings.Contains(got, "S3CR3T") {
			t.Errorf("%q shows the password: %s", user, got)
		}
	})
}

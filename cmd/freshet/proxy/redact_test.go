package proxy

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "",
		"/":                                     "/",
		"/a@b/c":                                "/a@b/c",
		"/a?b=c&d=e":                            "/a?b=c&d=e",
		"/a?author=x&monkey=y&page=2":           "/a?author=x&monkey=y&page=2",
		"/a?token":                              "/a?token",
		"/a?token=":                             "/a?token=***",
		"/a?token=x=y":                          "/a?token=***",
		"/a?token=x&b=c":                        "/a?token=***&b=c",
		"/a?b=c&Access_Token=x":                 "/a?b=c&Access_Token=***",
		"/a?%zztoken=x":                         "/a?%zztoken=***",
		"/a?&&=token&b":                         "/a?&&=token&b",
		"http://u:p@h/a":                        "http://***@h/a",
		"http://u@v@h/a?x@y":                    "http://***@h/a?x@y",
		"http://h/u@v":                          "http://h/u@v",
		"http:\\\\u:p@h":                        "http:\\\\u:p@h",
		"//u:p@h":                               "//***@h",
		"https://a.example/#id_token=x&state=y": "https://a.example/#id_token=***&state=y",
		"/x?next=http://u:p@h/":                 "/x?next=http://***@h/",
		"/?a=1;token=x":                         "/?a=1;token=***",
		"/;jsessionid=x":                        "/;jsessionid=***",
		"/a;v=1/b;PHPSESSID=x?c=d":              "/a;v=1/b;PHPSESSID=***?c=d",
		"/a;b":                                  "/a;b",
		"/?next=/x%3Ftoken%3Dy&z":               "/?next=***&z",
		"/?next=%2Fx%253Btoken%253Dy":           "/?next=***",
		"/?next=/x%3Fa%3Db&c":                   "/?next=/x%3Fa%3Db&c",
	} {
		if got := redact(text); got != want {
			t.Errorf("redact(%q) = %q, want %q", text, got, want)
		}
	}
}

// Whatever the text, a line has its fields, and what stands behind the name of a secret is not in
// it.
func FuzzAccessLine(f *testing.F) {
	for _, seed := range []string{"/", "/a?token=x", "a\nb", `"\`, "http://u:p@h/", "\xff"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, uri, agent string) {
		a := Access{Client: "192.0.2.1", Method: "GET", URI: redact(uri), Proto: "HTTP/1.1",
			UserAgent: agent}
		line := string(a.appendLine(nil, true))
		if strings.Count(line, "\n") != 1 || strings.Count(line, `"`) != 6 ||
			!strings.HasSuffix(line, "\"\n") {
			t.Errorf("%q", line)
		}
		if json := string(a.appendJSON(nil)); strings.Count(json, "\n") != 1 ||
			!strings.HasSuffix(json, "}\n") {
			t.Errorf("%q", json)
		}
		if !strings.ContainsAny(uri, "&;?#") {
			if got := redact("/x?" + "token=" + uri); got != "/x?token=***" {
				t.Errorf("%q", got)
			}
		}
	})
}

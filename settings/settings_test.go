package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// written is a file with these lines.
func written(t testing.TB, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "freshet.ini")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestExpirySettingsOfFileAndEnvironment(t *testing.T) {
	const none = -1 * time.Second
	tests := []struct {
		story     string
		prefixes  []string
		file, env []string
		want      map[string]time.Duration // by "blog/articles" of the resource record
	}{
		{"neither", nil, nil, nil, map[string]time.Duration{"": none}},
		{"a file", nil, []string{"record_cache_expires_seconds = 3600",
			"blog.record_cache_expires_seconds=30"}, nil,
			map[string]time.Duration{"": time.Hour, "blog": 30 * time.Second}},
		{"the environment alone suffices", nil, nil,
			[]string{"FRESHET_BLOG_RECORD_CACHE_EXPIRES_SECONDS=30", "PATH=/bin"},
			map[string]time.Duration{"": none, "blog": 30 * time.Second}},
		{"the environment goes before the file", nil,
			[]string{"record_cache_expires_seconds = 3600"},
			[]string{"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=0"}, map[string]time.Duration{"": 0}},
		{"without our prefix a variable is nobody's business", nil, nil,
			[]string{"RECORD_CACHE_EXPIRES_SECONDS=1", "KINTO_RECORD_CACHE_EXPIRES_SECONDS=2"},
			map[string]time.Duration{"": none}},
		{"of a variable that is there twice the first counts, as for os.Getenv", nil, nil,
			[]string{"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=1",
				"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=2"},
			map[string]time.Duration{"": time.Second}},
		{"our prefix in the file", nil, []string{"freshet.blog.record_cache_expires_seconds = 30"},
			nil,
			map[string]time.Duration{"blog": 30 * time.Second, "freshet/blog": none}},
		{"one prefix only is taken off", nil,
			[]string{"freshet.freshet.record_cache_expires_seconds = 30"}, nil,
			map[string]time.Duration{"freshet": 30 * time.Second, "": none}},
		{"a Kinto's file, with what else it has", []string{"kinto."}, []string{
			"# Created at Mon, 1 Jan 2026", "[server:main]", "use = egg:waitress#main",
			"port = %(http_port)s",
			"[app:main]", "use = egg:kinto",
			"kinto.includes = kinto.plugins.default_bucket", "                 kinto.plugins.admin",
			"kinto.storage_url =",
			"kinto.blog.record_cache_expires_seconds = 30", "[loggers]", "keys = root, kinto",
		}, nil, map[string]time.Duration{"blog": 30 * time.Second, "kinto/blog": none}},
		{"a prefix that was not asked for is a parent", nil,
			[]string{"kinto.record_cache_expires_seconds = 30"}, nil,
			map[string]time.Duration{"kinto": 30 * time.Second, "": none}},
		{"equal values under two prefixes", []string{"kinto."},
			[]string{"kinto.record_cache_expires_seconds = 30",
				"record_cache_expires_seconds = 30"}, nil,
			map[string]time.Duration{"": 30 * time.Second}},
		{"quotes, blanks, comments, colons and the line ends of Windows", nil, []string{
			"\ufeff; ours", "record_cache_expires_seconds : \"60\" ; a minute\r",
			"blog.record_cache_expires_seconds =\t007  \r",
		}, nil, map[string]time.Duration{"": time.Minute, "blog": 7 * time.Second}},
		{"a blank line or a comment ends a value", nil,
			[]string{"other = a", "  ", " record_cache_expires_seconds = 1", "other = a", " # more",
				" record_cache_expires_seconds = 1"}, nil,
			map[string]time.Duration{"": time.Second}},
		{"sections that are ours", nil,
			[]string{"[DEFAULT]", "a.record_cache_expires_seconds=1", "[freshet]",
				"b.record_cache_expires_seconds=2"}, nil,
			map[string]time.Duration{"a": time.Second, "b": 2 * time.Second}},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			file := ""
			if test.file != nil {
				file = written(t, test.file...)
			}
			s, err := Loader{Resources: []string{"record"}, Prefixes: test.prefixes}.Load(file,
				test.env)
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range test.want {
				got, ok := s.Expires().Lookup("record", strings.Split(path, "/"))
				if !ok {
					got = none
				}
				if got != want {
					t.Errorf("under %q: %v, want %v (-1s: no setting)", path, got, want)
				}
			}
		})
	}
}

// Each thing that an operator can get wrong is said with the key, the value, where it stands and
// what is allowed.
func TestRefused(t *testing.T) {
	const seconds = "whole number of seconds from 0 (uncacheable) to 2147483648"
	tests := []struct {
		story     string
		file, env []string
		says      []string
	}{
		{"negative", []string{"", "record_cache_expires_seconds = -5"}, nil,
			[]string{"freshet.ini:2", "record_cache_expires_seconds", `"-5"`, seconds}},
		{"fractional", []string{"record_cache_expires_seconds = 1.5"}, nil,
			[]string{`"1.5"`, seconds}},
		{"not a number", []string{"blog.record_cache_expires_seconds = 1h"}, nil,
			[]string{"blog.record_cache_expires_seconds", `"1h"`, seconds}},
		{"empty", []string{"record_cache_expires_seconds ="}, nil, []string{`""`, seconds}},
		{"null", []string{"record_cache_expires_seconds = null"}, nil, []string{`"null"`, seconds}},
		{"with a plus", []string{"record_cache_expires_seconds = +1"}, nil,
			[]string{`"+1"`, seconds}},
		{"other digits", []string{"record_cache_expires_seconds = ３"}, nil, []string{seconds}},
		{"past the greatest", []string{"record_cache_expires_seconds = 2147483649"}, nil,
			[]string{seconds}},
		{"past 64 bits", []string{"record_cache_expires_seconds = 99999999999999999999"}, nil,
			[]string{seconds}},
		{"a long value is cut", []string{"record_cache_expires_seconds = " + strings.Repeat("x",
			5000)}, nil,
			[]string{"xxx…", seconds}},
		{"wrong in the environment", nil, []string{"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=soon"},
			[]string{"environment variable FRESHET_RECORD_CACHE_EXPIRES_SECONDS", `"soon"`,
				seconds}},
		{"empty in the environment", nil, []string{"FRESHET_RECORD_CACHE_EXPIRES_SECONDS="},
			[]string{`""`, seconds}},
		{"wrong although the environment goes before it",
			[]string{"record_cache_expires_seconds = x"},
			[]string{"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=1"}, []string{"freshet.ini:1", seconds}},
		{"a resource that nobody declared", []string{"blog.recrod_cache_expires_seconds = 1"}, nil,
			[]string{"freshet.ini:1", "recrod", "known are bucket, record"}},
		{"the same in the environment", nil, []string{"FRESHET_BLOG_PAGE_CACHE_EXPIRES_SECONDS=1"},
			[]string{"environment variable FRESHET_BLOG_PAGE_CACHE_EXPIRES_SECONDS",
				"known are bucket, record"}},
		{"no resource", []string{"cache_expires_seconds = 1"}, nil,
			[]string{"freshet.ini:1", "{resource}_cache_expires_seconds", "bucket, record"}},
		{"no resource in the environment", nil, []string{"FRESHET_CACHE_EXPIRES_SECONDS=1"},
			[]string{"FRESHET_CACHE_EXPIRES_SECONDS", "{resource}"}},
		{"a slip in the suffix", []string{"record_cache_expries_second = 1"}, nil,
			[]string{"record_cache_expries_second", "{resource}_cache_expires_seconds"}},
		{"a slip under our prefix", []string{"freshet.record_cahe_expires_seconds = 1"}, nil,
			[]string{"{resource}_cache_expires_seconds"}},
		{"half a suffix", []string{"record_cache_expires = 1"}, nil,
			[]string{"{resource}_cache_expires_seconds"}},
		{"half a suffix in the environment", nil, []string{"FRESHET_BLOG_CACHE_EXPIRE=1"},
			[]string{"FRESHET_BLOG_CACHE_EXPIRE", "{resource}_cache_expires_seconds"}},
		{"hyphens in the suffix", []string{"record-cache-expires-seconds = 1"}, nil,
			[]string{"{resource}_cache_expires_seconds"}},
		{"capitals in the suffix", []string{"RECORD_CACHE_EXPIRES_SECONDS = 1"}, nil,
			[]string{"{resource}_cache_expires_seconds"}},
		{"an unknown key of ours", []string{"freshet.lisen = :80"}, nil,
			[]string{"freshet.ini:1", "freshet.lisen", "did you mean listen?"}},
		{"an unknown key in our section", []string{"[freshet]", "max_bites = 1"}, nil,
			[]string{"freshet.ini:2", "did you mean max-bytes?"}},
		{"a slip in the environment", nil, []string{"FRESHET_LITSEN=:80"},
			[]string{"environment variable FRESHET_LITSEN", "did you mean listen?"}},
		{"... of a secret", nil, []string{"FRESHET_MAX_BYTE=redis://me:secret@h"},
			[]string{"did you mean max-bytes?", "redis://me:***@h"}},
		{"an unknown key that resembles nothing", []string{"freshet.zzz = 1"}, nil,
			[]string{"known are listen, max-bytes"}},
		{"one key twice with different values", []string{"listen = a", "listen = b"}, nil,
			[]string{"freshet.ini:1", `"a"`, "freshet.ini:2", `"b"`, "conflict"}},
		{"one key in two spellings with different values", []string{"max-bytes = 1",
			"freshet.max_bytes = 2"}, nil,
			[]string{"max-bytes", "freshet.max_bytes", "conflict"}},
		{"an expiry twice with different values",
			[]string{"record_cache_expires_seconds = 1", "record_cache_expires_seconds = 2"}, nil,
			[]string{"freshet.ini:1", "freshet.ini:2", "conflict"}},
		{"an expiry under two prefixes with different values",
			[]string{"record_cache_expires_seconds = 1", "kinto.record_cache_expires_seconds = 2"},
			nil,
			[]string{"freshet.ini:1", "freshet.ini:2", "conflict"}},
		{"both spellings with different values",
			[]string{"a.b.record_cache_expires_seconds = 1",
				"a_b_record_cache_expires_seconds = 2"}, nil,
			[]string{"a.b.record", "a_b_record", "conflict"}},
		{"variables that differ by case", nil, []string{"FRESHET_LISTEN=a", "freshet_listen=b"},
			[]string{"FRESHET_LISTEN", "freshet_listen", "conflict"}},
		{"sections taken for parents", []string{"[blog]", "record_cache_expires_seconds = 30"}, nil,
			[]string{"freshet.ini:2", "[blog]", "not read", "[freshet]"}},
		{"our prefix in a section of others", []string{"[server:main]", "freshet.listen = 1"}, nil,
			[]string{"[server:main]", "not read"}},
		{"an indented line is no setting of its own", []string{"other = 1",
			"  record_cache_expires_seconds = 30"}, nil,
			[]string{"freshet.ini:2", "indented", "other"}},
		{"no key", []string{"record_cache_expires_seconds"}, nil, []string{"freshet.ini:1",
			"key = value"}},
		{"an open quote", []string{"listen = `x", "` = 1"}, nil, []string{"freshet.ini:1",
			"quotes"}},
		{"an open bracket", []string{"[freshet", "a = 1"}, nil, []string{"freshet.ini:1",
			"[section]"}},
		{"a byte of 0", []string{"a = 1", "listen = \x00\x00"}, nil, []string{"freshet.ini:2",
			"not written to its end"}},
		{"not UTF-8", []string{"a = 1", "b = \xff"}, nil, []string{"freshet.ini:2", "UTF-8"}},
		{"controls in a key", []string{"a\x07.record_cache_expires_seconds = 1"}, nil,
			[]string{`"a\a.record`, "printable"}},
		{"a line end in a variable's name", nil,
			[]string{"FRESHET_A\nB_RECORD_CACHE_EXPIRES_SECONDS=1"},
			[]string{`A\nB`, "printable"}},
		{"more than a megabyte", []string{strings.Repeat("#", 1<<20), "a = 1"}, nil,
			[]string{"1048576 bytes"}},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			file := ""
			if test.file != nil {
				file = written(t, test.file...)
			}
			l := Loader{Resources: []string{"record", "bucket"}, Keys: []string{"listen",
				"max-bytes"},
				Prefixes: []string{"kinto."}}
			s, err := l.Load(file, test.env)
			if err == nil {
				t.Fatalf("accepted: %v", s)
			}
			for _, want := range test.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
			if strings.Count(err.Error(), "\n") > 0 || len(err.Error()) > 600 {
				t.Errorf("one mistake got more than a line:\n%v", err)
			}
		})
	}
}

func TestLeftAlone(t *testing.T) {
	l := Loader{Resources: []string{"record"}, Keys: []string{"listen"},
		Prefixes: []string{"kinto."}}
	file := written(t, "session.cache_expire = 180", "lisen = x", "kinto.storage_url = postgres://",
		"other.host = y",
		"[php]", "not a key at all", "listen = elsewhere", "  indented = 1")
	// Kubernetes makes variables of this form for a service that is called freshet.
	s, err := l.Load(file,
		[]string{"FRESHET_PORT=tcp://10.0.0.1:80", "FRESHET_SERVICE_HOST=10.0.0.1", "=C:=C:\\",
			"FRESHET_", ""})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Get(s, "listen", "default", Text); got != "default" || err != nil {
		t.Errorf("listen of a section of others was read: %q %v", got, err)
	}
	l.Strict = true
	_, err = l.Load(file, nil)
	for _, want := range []string{"session.cache_expire", "lisen = \"x\" is no setting: did you " +
		"mean listen?",
		"kinto.storage_url", "other.host", "[php]"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("strict, and %s is not refused: %v", want, err)
		}
	}
}

// The section of package routes is no stranger in a file that is ours alone; an expiry setting in
// it is misplaced.
func TestRulesAreLeftAlone(t *testing.T) {
	l := Loader{Resources: []string{"record"}, Keys: []string{"listen"}, Strict: true}
	file := written(t, "listen = :1", "[rules]", "/api/* type text/html = 60s",
		"example.com:8080/listen = pass", "listen = 1")
	if s, err := l.Load(file, nil); err != nil || s.Origin("listen") == "" {
		t.Error(err)
	}
	file = written(t, "[rules]", "record_cache_expires_seconds = 5")
	if _, err := l.Load(file, nil); err == nil || !strings.Contains(err.Error(),
		"stands in the section [rules], which is not read") {
		t.Error(err)
	}
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	var lines []string
	for i := range 50 {
		lines = append(lines, fmt.Sprintf("freshet.wrong%d = 1", i))
	}
	_, err := Load(written(t, lines...), []string{"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=x"},
		"record")
	if err == nil {
		t.Fatal("accepted")
	}
	said := strings.Split(err.Error(), "\n")
	if len(said) != 21 || said[20] != "settings: and 31 more" {
		t.Errorf("51 mistakes in %d lines, the last %q", len(said), said[len(said)-1])
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "missing.ini"), t.TempDir()} {
		if _, err := Load(name, nil, "record"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWarningsSayWhereToLook(t *testing.T) {
	s, err := Load(written(t, "", "blog_articles_record_cache_expires_seconds = 1"), nil, "record")
	if err != nil {
		t.Fatal(err)
	}
	if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0],
		"freshet.ini:2: blog_articles_record") {
		t.Errorf("warnings: %q", w)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("record_cache_expires_seconds = 30", "FRESHET_BLOG_RECORD_CACHE_EXPIRES_SECONDS=1")
	f.Add("[freshet]\nlisten = \"\"\"a\n  b\n", "FRESHET_LISTEN=\x00")
	f.Add("\"\"\"\"\"\"name\"\"\"=value\n`=`\n=\n-=-\n[", "")
	f.Add("\ufeff[\ufeff]\r\na:b=c #d\n \tx", "=")
	f.Add(strings.Repeat("a.", 300)+"record_cache_expires_seconds=0", "")
	f.Fuzz(func(t *testing.T, file, environ string) {
		l := Loader{Resources: []string{"record"}, Keys: []string{"listen"},
			Prefixes: []string{"kinto."}}
		all, err := readText("freshet.ini", file)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "freshet.ini:") || strings.Contains(err.Error(),
				"\n") {
				t.Errorf("the error does not say where, in a line: %q", err)
			}
			return
		}
		s, err := l.settle(slices.Concat(all, l.fromEnviron(strings.Split(environ, "\x01"))))
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "settings: freshet.ini:") &&
					!strings.HasPrefix(line, "settings: environment variable ") &&
					!strings.HasPrefix(line, "settings: and ") {
					t.Errorf("a line that does not say where: %q", line)
				}
			}
			return
		}
		if ttl, _ := s.Expires().Lookup("record", []string{"blog", "articles"}); ttl < 0 || ttl > policy.MaxExpiry ||
			ttl%time.Second != 0 {
			t.Errorf("lifetime %v", ttl)
		}
	})
}

func FuzzSeconds(f *testing.F) {
	for _, seed := range []string{"0", "30", " 7 ", "-1", "+1", "1e3", "0x1", "1_0", "2147483648",
		"2147483649", "", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		ttl, err := Seconds(value)
		if err != nil {
			return
		}
		back := fmt.Sprint(int64(ttl / time.Second))
		if digits := strings.TrimLeft(strings.TrimSpace(value), "0"); digits != back && !(digits == "" && back == "0") {
			t.Errorf("%q is %v", value, ttl)
		}
	})
}

func ExampleLoad() {
	file := filepath.Join(os.TempDir(), "freshet-example.ini")
	defer os.Remove(file)
	if err := os.WriteFile(file,
		[]byte("record_cache_expires_seconds = 3600\nblog.record_cache_expires_seconds = 30\n"),
		0o600); err != nil {
		fmt.Println(err)
		return
	}
	s, err := Load(file, []string{"FRESHET_BLOG_RECORD_CACHE_EXPIRES_SECONDS=60"}, "record")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, bucket := range []string{"news", "blog"} {
		ttl, _ := s.Expires().Lookup("record", []string{bucket})
		fmt.Println(bucket, ttl)
	}
	// Output:
	// news 1h0m0s
	// blog 1m0s
}

// A setting of a store in a program that reads none of them is refused with what reads them.
func TestASettingOfAStoreNamesWhatReadsIt(t *testing.T) {
	file := written(t, "[freshet]", "cache_url = redis://h", "record_cache_expires_seconds = 5")
	for _, keys := range [][]string{nil, {"listen"}} {
		_, err := Loader{Resources: []string{"record"}, Keys: keys}.Load(file, nil)
		if err == nil || !strings.Contains(err.Error(), "freshet.ini:2: cache_url ") ||
			!strings.Contains(err.Error(), "settings.Loader{Keys: open.Keys()}") {
			t.Errorf("with the keys %q: %v", keys, err)
		}
	}
	if _, err := (Loader{Resources: []string{"record"}, Keys: []string{"cache_dir"}}).Load(file,
		nil); err == nil || strings.Contains(err.Error(), "open.Keys()") {
		t.Errorf("where some are read: %v", err)
	}
}

// What is meant for a file of a secret may be the secret itself.
func TestASlipOfASecretsNameHidesItsValue(t *testing.T) {
	l := Loader{Keys: []string{"door-token-file"}}
	_, err := l.Load("", []string{"FRESHET_DOOR_TOKEN_FIL=s3cret"})
	if err == nil || strings.Contains(err.Error(), "s3cret") ||
		!strings.Contains(err.Error(), "did you mean door-token-file?") {
		t.Error(err)
	}
}

package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// inFile and inEnviron are settings written as "name=seconds".
func inFile(lines ...string) []ExpirySetting    { return asWritten(false, "freshet.ini:%d", lines) }
func inEnviron(lines ...string) []ExpirySetting { return asWritten(true, "environment:%d", lines) }

func asWritten(environ bool, origin string, lines []string) []ExpirySetting {
	var settings []ExpirySetting
	for i, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		var seconds int64
		if _, err := fmt.Sscan(value, &seconds); err != nil {
			panic(err)
		}
		settings = append(settings, ExpirySetting{
			Name: name, TTL: time.Duration(seconds) * time.Second, Environ: environ,
			Origin: fmt.Sprintf(origin, i+1),
		})
	}
	return settings
}

func TestExpiresMostSpecificWins(t *testing.T) {
	const none = -1
	type ask struct {
		resource string
		scope    string // a path: "blog/articles"
		want     int    // seconds
	}
	tests := []struct {
		story     string
		resources string
		file, env []string
		asks      []ask
	}{
		{"no settings", "record", nil, nil, []ask{{"record", "", none}, {"record", "blog", none}}},
		{"the three levels of the original's example, with dots", "record",
			[]string{"record=3600", "blog.record=30", "blog.articles.record=600"}, nil,
			[]ask{
				{"record", "", 3600}, {"record", "news", 3600}, {"record", "blog", 30},
				{"record", "blog/drafts", 30},
				{"record", "blog/articles", 600}, {"record", "blog/articles/deeper", 600},
				{"record", "news/articles", 3600},
			}},
		{"a global setting does not hide the specific ones spelled with underscores", "record",
			[]string{"record=3600", "blog_record=30", "blog_articles_record=600"}, nil,
			[]ask{{"record", "blog/articles", 600}, {"record", "blog/drafts", 30},
				{"record", "news", 3600}}},
		{"the environment alone", "record", nil,
			[]string{"RECORD=3600", "BLOG_RECORD=30", "BLOG_ARTICLES_RECORD=600"},
			[]ask{{"record", "blog/articles", 600}, {"record", "blog/drafts", 30},
				{"record", "news", 3600}}},
		{"the environment replaces the same setting, but not a more specific one", "record",
			[]string{"record=3600", "blog.record=30", "blog.articles.record=600"},
			[]string{"RECORD=5", "BLOG_RECORD=6"},
			[]ask{{"record", "", 5}, {"record", "blog", 6}, {"record", "blog/drafts", 6},
				{"record", "blog/articles", 600}}},
		{"0 counts as set", "record", []string{"record=3600", "blog.record=0"}, nil,
			[]ask{{"record", "blog", 0}, {"record", "blog/articles", 0}, {"record", "news", 3600}}},
		{"0 from the environment over a file", "record", []string{"record=3600"},
			[]string{"RECORD=0"},
			[]ask{{"record", "", 0}}},
		{"a resource does not borrow from another", "record bucket", []string{"record=10",
			"blog.bucket=20"}, nil,
			[]ask{{"record", "blog", 10}, {"bucket", "blog", 20}, {"bucket", "", none},
				{"page", "", none}}},
		{"dots mean exactly these parents", "record",
			[]string{"blog.articles.record=600", "blog_articles.record=7"}, nil,
			[]ask{
				{"record", "blog/articles", 600}, {"record", "blog_articles", 7},
				{"record", "blog.articles", none}, {"record", "articles", none},
				{"record", "Blog/articles", none},
			}},
		{"underscores mean whichever parents the request has", "record",
			[]string{"blog_articles_record=600"}, nil,
			[]ask{{"record", "blog/articles", 600}, {"record", "blog_articles", 600},
				{"record", "blog.articles", 600},
				{"record", "blog", none}, {"record", "blog-articles", none},
				{"record", "BLOG/articles", none}}},
		{"the environment knows no case, dots and hyphens", "record", nil,
			[]string{"BLOG_ARTICLES_RECORD=600"},
			[]ask{{"record", "Blog/articles", 600}, {"record", "blog-articles", 600},
				{"record", "blog.articles", 600}}},
		{"the environment's letters from end to end", "record", nil, []string{"AZ_RECORD=600"},
			[]ask{{"record", "az", 600}, {"record", "Az", 600}}},
		{"as many parents as may be", "record", []string{strings.Repeat("a.", MaxParents) +
			"record=600"}, nil,
			[]ask{{"record", strings.Repeat("a/", MaxParents-1) + "a", 600},
				{"record", strings.Repeat("a/", MaxParents) + "a", 600}, {"record", "a/a", none}}},
		{"a name as long as may be", "record",
			[]string{strings.Repeat("a", maxExpiryName-len(".record")) + ".record=600"}, nil,
			[]ask{{"record", strings.Repeat("a", maxExpiryName-len(".record")), 600}}},
		{"a parent that is a host name", "page", []string{"example_com_page=60"}, nil,
			[]ask{{"page", "example.com", 60}, {"page", "www.example.com", none}}},
		{"the longest resource that ends the name is meant", "user blog_user", nil,
			[]string{"BLOG_USER=9", "X_BLOG_USER=8"},
			[]ask{{"blog_user", "", 9}, {"user", "blog", none}, {"blog_user", "x", 8},
				{"user", "x/blog", none}}},
		{"a resource with a hyphen", "blog-post", []string{"a.blog-post=3"},
			[]string{"BLOG_POST=4"},
			[]ask{{"blog-post", "a", 3}, {"blog-post", "", 4}}},
		{"a parent without a name ends the scope", "record",
			[]string{"record=1", "blog.record=2", "blog.articles.record=3", "_articles_record=4"},
			nil,
			[]ask{{"record", "blog/", 2}, {"record", "/articles", 1}, {"record", "blog//articles",
				2}}},
		{"equal values in two spellings", "record", []string{"blog.articles.record=3",
			"blog_articles_record=3"}, nil,
			[]ask{{"record", "blog/articles", 3}}},
		{"the longest lifetime", "record", []string{"record=2147483648"}, nil,
			[]ask{{"record", "", 2147483648}}},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			x, err := NewExpires(strings.Fields(test.resources),
				append(inFile(test.file...), inEnviron(test.env...)...)...)
			if err != nil {
				t.Fatal(err)
			}
			for _, ask := range test.asks {
				var scope []string
				if ask.scope != "" {
					scope = strings.Split(ask.scope, "/")
				}
				got := none
				if ttl, ok := x.Lookup(ask.resource, scope); ok {
					got = int(ttl / time.Second)
				}
				if got != ask.want {
					t.Errorf("%s under %q lives %d s, want %d (-1: no setting)", ask.resource,
						scope, got, ask.want)
				}
			}
		})
	}
}

func TestExpiresRefuses(t *testing.T) {
	tests := []struct {
		story     string
		resources []string
		settings  []ExpirySetting
		says      []string // all of them, so that the reader can mend it
	}{
		{"an unknown resource", []string{"record", "bucket"}, inFile("page=1"),
			[]string{"freshet.ini:1", "page_cache_expires_seconds", `"page"`, "bucket, record"}},
		{"an unknown resource under a parent", []string{"record"}, inFile("blog.page=1"),
			[]string{"freshet.ini:1", "blog.page_cache_expires_seconds", "known are record"}},
		{"an unknown resource in the environment", []string{"record"}, inEnviron("BLOG_PAGE=1"),
			[]string{"environment:1", "BLOG_PAGE", "known are record"}},
		{"no resources at all", nil, inFile("record=1"), []string{"freshet.ini:1", "no resources"}},
		{"a negative lifetime", []string{"record"}, inFile("record=-1"),
			[]string{"freshet.ini:1", "record_cache_expires_seconds", "-1s",
				"from 0 to 2147483648"}},
		{"a fraction of a second", []string{"record"},
			[]ExpirySetting{{Name: "record", TTL: 1500 * time.Millisecond, Origin: "here"}},
			[]string{"here", "1.5s", "whole number"}},
		{"a lifetime past the greatest", []string{"record"}, inFile("record=2147483649"),
			[]string{"from 0 to 2147483648"}},
		{"dots and underscores in one name", []string{"record"}, inFile("blog.articles_record=1"),
			[]string{"blog.articles_record_cache_expires_seconds",
				"write blog.articles.record_cache_expires_seconds"}},
		{"a parent without a name", []string{"record"}, inFile("blog..record=1"),
			[]string{"each with a name"}},
		{"only a dot before the resource", []string{"record"}, inFile(".record=1"),
			[]string{"each with a name"}},
		{"too many parents", []string{"record"}, inFile(strings.Repeat("a.", 17) + "record=1"),
			[]string{"1 to 16 parents"}},
		{"a name that is a byte too long", []string{"record"},
			inFile(strings.Repeat("a", maxExpiryName-len("record")) + ".record=1"),
			[]string{"512 bytes"}},
		{"a name of a kilobyte", []string{"record"}, inFile(strings.Repeat("a", 1024) +
			".record=1"),
			[]string{"512 bytes"}},
		{"both spellings with different values", []string{"record"},
			inFile("blog.articles.record=600", "blog_articles_record=500"),
			[]string{"freshet.ini:1", "blog.articles.record_cache_expires_seconds = 600",
				"freshet.ini:2",
				"blog_articles_record_cache_expires_seconds = 500"}},
		{"the underscore spelling against the parent with an underscore", []string{"record"},
			inFile("blog_articles.record=1", "blog_articles_record=2"),
			[]string{"conflict"}},
		{"one setting twice", []string{"record"}, inFile("record=1", "record=2"),
			[]string{"conflict", "freshet.ini:1", "freshet.ini:2"}},
		{"one dotted setting twice", []string{"record"}, inFile("a.record=1", "a.record=2"),
			[]string{"conflict"}},
		{"two names in the environment that differ by case", []string{"record"},
			inEnviron("A_RECORD=1", "a_record=2"),
			[]string{"conflict"}},
		{"a resource whose name has a dot", []string{"blog.record"}, nil, []string{`"blog.record"`,
			"letters, digits"}},
		{"a resource without a name", []string{""}, nil, []string{`""`}},
		{"two resources that the environment cannot tell apart", []string{"blog-post", "blog_post"},
			nil,
			[]string{"blog-post", "blog_post", "rename"}},
		{"everything that is wrong is said at once", []string{"record"},
			inFile("page=1", "record=-5"),
			[]string{"page", "-5s"}},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			_, err := NewExpires(test.resources, test.settings...)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestExpiresWarnsOfReadings(t *testing.T) {
	tests := []struct {
		story     string
		resources []string
		settings  []ExpirySetting
		want      string // a part of the only warning; empty: none
	}{
		{"dots need no warning", []string{"record"},
			inFile("record=1", "blog.articles.record=2", "blog_articles.record=3"), ""},
		{"one parent has one reading", []string{"record"}, inFile("blog_record=1"), ""},
		{"the environment has no other spelling", []string{"record"},
			inEnviron("BLOG_ARTICLES_RECORD=1"), ""},
		{"one variable for one setting", []string{"record"},
			append(inFile("blog.record=1"), inEnviron("BLOG_RECORD=2")...), ""},
		{"underscores between parents", []string{"record"}, inFile("blog_articles_record=1"),
			"blog_articles_record_cache_expires_seconds applies to each"},
		{"a longer resource", []string{"user", "blog_user"}, inEnviron("BLOG_USER=1"),
			"of the resource blog_user, not of user"},
		{"one variable for two settings", []string{"record"},
			append(inFile("a.b.record=1", "a_b.record=2"), inEnviron("A_B_RECORD=3")...),
			"takes the place of a.b.record, a_b.record alike"},
	}
	for _, test := range tests {
		t.Run(test.story, func(t *testing.T) {
			x, err := NewExpires(test.resources, test.settings...)
			if err != nil {
				t.Fatal(err)
			}
			got := x.Warnings()
			if test.want == "" && len(got) > 0 ||
				test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)) {
				t.Errorf("warnings %q, want %q", got, test.want)
			}
		})
	}
}

func TestExpiresWithoutSettings(t *testing.T) {
	for _, x := range []*Expires{nil, {}} {
		if _, ok := x.Lookup("record", []string{"blog"}); ok || x.Knows("record") ||
			x.Sets("record") ||
			x.Warnings() != nil {
			t.Errorf("%v claims to have settings", x)
		}
	}
}

func TestExpiresKnowsWhatWasDeclared(t *testing.T) {
	x, err := NewExpires([]string{"record"})
	if err != nil {
		t.Fatal(err)
	}
	if !x.Knows("record") || x.Knows("recrod") {
		t.Error("only record was declared")
	}
}

func TestExpiresNamesOfResources(t *testing.T) {
	for _, name := range []string{"a", "z", "A", "Z", "0", "9", "m-_", "azAZ09-_", "0az",
		strings.Repeat("a", maxResource)} {
		if _, err := NewExpires([]string{name}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "-a", "_a", "a.b", "a b", "a/b", "a:b", "a@b", "a[b", "a`b",
		"a{b", "é",
		strings.Repeat("a", maxResource+1)} {
		if _, err := NewExpires([]string{name}); err == nil || !strings.Contains(err.Error(), "up to 64 letters") {
			t.Errorf("%q: %v, want an error that says what is allowed", name, err)
		}
	}
}

// Where no setting names a resource, an advisor may ask for one.
func TestExpiresSets(t *testing.T) {
	for _, c := range []struct {
		story    string
		settings []ExpirySetting
		want     bool
	}{
		{"none", nil, false},
		{"one of another resource", inFile("page=1", "blog.page=2"), false},
		{"one for everything", inFile("record=1"), true},
		{"one that turns it off", inFile("record=0"), true},
		{"one under a parent", inFile("blog.record=1"), true},
		{"one with underscores", inFile("blog_record=1"), true},
		{"one in the environment", inEnviron("RECORD=1"), true},
		{"one in the environment, under a parent", inEnviron("BLOG_RECORD=1"), true},
	} {
		x, err := NewExpires([]string{"record", "page"}, c.settings...)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.Sets("record"); got != c.want {
			t.Errorf("%s: %t, want %t", c.story, got, c.want)
		}
		if got, want := x.Narrows("record"), strings.Contains(c.story, "parent") ||
			strings.Contains(c.story, "underscores"); got != want {
			t.Errorf("%s: narrows is %t, want %t", c.story, got, want)
		}
		if x.Sets("recrod") || x.Narrows("recrod") {
			t.Errorf("%s: and a resource that was not declared", c.story)
		}
	}
}

// A request picks its own parents: neither their number nor their length may cost anything.
func TestExpiresLookupAllocatesNothing(t *testing.T) {
	x, err := NewExpires([]string{"record"},
		append(inFile("record=1", "blog.record=2", "blog_articles_record=3"),
			inEnviron("NEWS_RECORD=4")...)...)
	if err != nil {
		t.Fatal(err)
	}
	scopes := map[string][]string{
		"found":     {"blog", "articles"},
		"long name": {strings.Repeat("x", 1<<20), "articles"},
		"many":      slices.Repeat([]string{"a"}, 1<<16),
	}
	for story, scope := range scopes {
		if n := testing.AllocsPerRun(20, func() { x.Lookup("record", scope) }); n != 0 {
			t.Errorf("%s: %v allocations", story, n)
		}
	}
}

// plainLookup says the rule of Lookup again, slowly: a candidate a level, each compared as text.
func plainLookup(settings []ExpirySetting, resource string, scope []string) (time.Duration, bool) {
	if i := slices.Index(scope, ""); i >= 0 {
		scope = scope[:i]
	}
	scope = scope[:min(len(scope), MaxParents)]
	underscored := strings.NewReplacer(".", "_")
	folded := func(s string) string {
		return strings.ToLower(strings.NewReplacer(".", "_", "-", "_").Replace(s))
	}
	for n := len(scope); n >= 0; n-- {
		parents := scope[:n]
		text := strings.Join(append(slices.Clone(parents), ""), "_") + resource
		for _, s := range settings {
			if s.Environ && folded(s.Name) == folded(text) {
				return s.TTL, true
			}
		}
		for _, s := range settings {
			if !s.Environ && strings.Contains(s.Name, ".") &&
				slices.Equal(strings.Split(s.Name, "."), append(slices.Clone(parents), resource)) {
				return s.TTL, true
			}
		}
		for _, s := range settings {
			if !s.Environ && !strings.Contains(s.Name, ".") && s.Name == underscored.Replace(text) {
				return s.TTL, true
			}
		}
	}
	return 0, false
}

func FuzzExpires(f *testing.F) {
	f.Add("record blog.record blog_articles_record", "BLOG_RECORD", "blog articles")
	f.Add("a.b.record a_b.record", "A_B_RECORD RECORD", "a b")
	f.Add("_record a-b_record ..record", "__RECORD", "a-b")
	f.Add("example_com_record", "", "example.com")
	f.Add(strings.Repeat("a.", 20)+"record", strings.Repeat("A_", 20)+"RECORD", strings.Repeat("a ",
		20))
	f.Fuzz(func(t *testing.T, file, environ, scope string) {
		var settings []ExpirySetting
		for i, names := range []string{file, environ} {
			for _, name := range strings.Fields(names) {
				settings = append(settings,
					ExpirySetting{Name: name, TTL: time.Duration(len(settings)) * time.Second,
						Environ: i == 1, Origin: "here"})
			}
		}
		x, err := NewExpires([]string{"record"}, settings...)
		if err != nil {
			return
		}
		parents := strings.Fields(scope)
		if isASCII := !strings.ContainsFunc(scope+environ, func(c rune) bool { return c > 127 }); !isASCII {
			x.Lookup("record", parents)
			return // the plain rule folds the case of other letters, too
		}
		ttl, ok := x.Lookup("record", parents)
		if want, wanted := plainLookup(settings, "record", parents); ttl != want || ok != wanted {
			t.Errorf("file %q, environment %q, scope %q: %v %v, want %v %v", file, environ, scope,
				ttl, ok, want, wanted)
		}
	})
}

func ExampleExpires_Lookup() {
	x, err := NewExpires([]string{"record"},
		ExpirySetting{Name: "record", TTL: time.Hour, Origin: "freshet.ini:1"},
		ExpirySetting{Name: "blog.record", TTL: 30 * time.Second, Origin: "freshet.ini:2"},
		ExpirySetting{Name: "BLOG_ARTICLES_RECORD", TTL: 0, Environ: true,
			Origin: "FRESHET_BLOG_ARTICLES_RECORD_CACHE_EXPIRES_SECONDS"},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, scope := range [][]string{{"news"}, {"blog", "drafts"}, {"blog", "articles"}} {
		ttl, set := x.Lookup("record", scope)
		fmt.Println(scope, ttl, set)
	}
	// Output:
	// [news] 1h0m0s true
	// [blog drafts] 30s true
	// [blog articles] 0s true
}

func BenchmarkExpiresLookup(b *testing.B) {
	x, err := NewExpires([]string{"record"},
		append(inFile("record=1", "blog.record=2", "blog_articles_record=3"),
			inEnviron("NEWS_RECORD=4")...)...)
	if err != nil {
		b.Fatal(err)
	}
	scope := []string{"blog", "articles"}
	b.ReportAllocs()
	for b.Loop() {
		x.Lookup("record", scope)
	}
}

package fronttest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/nginx"
	"github.com/freshet-go/freshet/adapters/cdn/varnish"
)

func TestNginx(t *testing.T) {
	a := startApp(t)
	f, folder := startNginx(t, a)
	target, err := nginx.New(nginx.Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	a.serve(t, target, forNginx)
	tellStories(t, f)
	t.Run("keeps a page with many tags", func(t *testing.T) {
		if first, second := f.ask(t, "GET", "/rows"), f.ask(t, "GET", "/rows"); second.body != "rows" || !second.kept() {
			t.Errorf("%v, then %v", first, second)
		}
	})
	t.Run("revalidates", func(t *testing.T) {
		first, second := f.ask(t, "GET", "/past"), f.ask(t, "GET", "/past")
		if first.cache != "MISS" || second.cache != "REVALIDATED" || second.body != first.body ||
			len(second.came) != 1 || second.came[0] != (seen{"GET", "/past", `"v1"`, 304, false}) {
			t.Errorf("%v, then %v; want it asked for with its ETag, and 304", first, second)
		}
	})
	purgeByMarks(t, f)
}

func TestVarnish(t *testing.T) {
	a := startApp(t)
	f := startVarnish(t, a)
	target, err := varnish.New(varnish.Options{Address: f.server.URL, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	a.serve(t, target, nil)
	tellStories(t, f)
	purgeByMarks(t, f)
	t.Run("revalidates after a soft purge", func(t *testing.T) { revalidateSoftly(t, f) })
	t.Run("purges by bans", func(t *testing.T) {
		target, err := varnish.New(varnish.Options{Address: f.server.URL, Secret: secret, BanTags: true})
		if err != nil {
			t.Fatal(err)
		}
		keep(t, f, "banned")
		keep(t, f, "not-banned")
		if err := target.Purge(t.Context(), cdn.Purge{Tags: []string{"page:banned"}}); err != nil {
			t.Fatal(err)
		}
		if got := f.ask(t, "GET", "/page/banned"); got.kept() || len(got.came) != 1 { // Freshet has it
			t.Errorf("%v; want the app asked", got)
		}
		isThere(t, f, "not-banned")
	})
	t.Run("purges for nobody else", func(t *testing.T) {
		f.ask(t, "GET", "/page/guarded")
		for _, method := range []string{"PURGE", "BAN"} {
			got := f.ask(t, method, "/page/guarded", "Purge-Key", "guessed", "Freshet-Ban", "obj.status != 0")
			if got.status != 403 || len(got.came) > 0 {
				t.Errorf("%s with a wrong secret: %v", method, got)
			}
		}
		if got := f.ask(t, "GET", "/page/guarded"); !got.kept() {
			t.Errorf("after that: %v", got)
		}
	})
}

// tellStories asks for each page twice, the second time as somebody else where others says so.
func tellStories(t *testing.T, f *front) {
	basic, session := []string{"Authorization", "Basic YQ=="}, []string{"Cookie", "session=abc"}
	welsh, gaelic := []string{"Accept-Language", "cy"}, []string{"Accept-Language", "gd"}
	guessed := []string{"Purge-Key", "guessed"}
	for name, story := range map[string]struct {
		target string
		fields []string // of the first request
		others []string // of the second one
		kept   bool     // the front answers the second request by itself
		alike  bool     // both have the same body
	}{
		"a policy's lifetime":      {"/marked", nil, nil, true, true},
		"a lifetime for CDNs":      {"/cdn", nil, nil, true, true},
		"a handler's lifetime":     {"/own", nil, nil, true, true},
		"a query":                  {"/marked?_limit=10", nil, nil, true, true},
		"another query":            {"/marked?_limit=20", nil, nil, true, true},
		"an empty query":           {"/marked?", nil, nil, true, true},
		"no lifetime":              {"/unmarked", nil, nil, false, false},
		"a policy of none":         {"/off", nil, nil, false, false},
		"private":                  {"/private", nil, nil, false, false},
		"no-store":                 {"/no-store", nil, nil, false, false},
		"no-cache":                 {"/no-cache", nil, nil, false, false},
		"Set-Cookie":               {"/cookie", nil, nil, false, false},
		"a variant":                {"/vary?1", welsh, welsh, true, true},
		"another variant":          {"/vary?2", welsh, gaelic, false, false},
		"Authorization":            {"/marked?3", basic, basic, false, false},
		"Authorization, then not":  {"/marked?4", basic, nil, false, false},
		"not, then Authorization":  {"/marked?5", nil, basic, false, false},
		"not, then Cookie":         {"/marked?6", nil, session, false, false},
		"Cookie, then not":         {"/marked?7", session, nil, false, false},
		"a guessed secret":         {"/marked?8", nil, guessed, true, true},
		"a guessed secret, first":  {"/marked?9", guessed, nil, true, true},
		"a page of no cache":       {"/plain", nil, nil, true, true},
		"its Authorization":        {"/plain?1", basic, nil, false, false},
		"its page to who has some": {"/plain?2", nil, basic, false, false},
		"its Cookie":               {"/plain?3", session, nil, false, false},
		"its page to a session":    {"/plain?4", nil, session, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := f.ask(t, "GET", story.target, story.fields...), f.ask(t, "GET", story.target,
				story.others...)
			if len(first.came) != 1 || first.status != 200 || second.status != 200 {
				t.Errorf("%v, then %v; want 200, and the app asked for the first one", first, second)
			}
			if second.kept() != story.kept || (second.body == first.body) != story.alike {
				t.Errorf("%v, then %v; want it kept %v and alike %v", first, second, story.kept, story.alike)
			}
			if _, query, _ := strings.Cut(story.target, "?"); !strings.Contains(first.body, query) &&
				!strings.Contains(first.body, "always") {
				t.Errorf("%s got %q", story.target, first.body)
			}
		})
	}
	t.Run("fields pass through", func(t *testing.T) { fieldsPass(t, f) })
	t.Run("OPTIONS passes through", func(t *testing.T) { optionsPass(t, f) })
	t.Run("each origin its own CORS", func(t *testing.T) { corsPasses(t, f) })
	t.Run("no origin's host", func(t *testing.T) { hostStays(t, f) })
}

// What the app says of a page a client gets from the front as well, with 304 too.
func fieldsPass(t *testing.T, f *front) {
	first, second := f.ask(t, "GET", "/validators"), f.ask(t, "GET", "/validators")
	if !second.kept() {
		t.Fatalf("%v, then %v; want it kept", first, second)
	}
	for name, want := range map[string]string{"Etag": `"v1"`, "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT",
		"Expires": "Fri, 01 Jan 2100 00:00:00 GMT", "Next-Page": "http://" + public + "/validators?_token=n0nce",
		"Total-Records": "42", "Content-Language": "cy"} {
		for _, got := range []answer{first, second} {
			if got.header.Get(name) != want {
				t.Errorf("%s is %q, want %q (%s)", name, got.header.Get(name), want, got.cache)
			}
		}
	}
	for _, fields := range [][]string{{"If-None-Match", `"v1"`},
		{"If-Modified-Since", "Mon, 02 Nov 2026 10:00:00 GMT"}} {
		got := f.ask(t, "GET", "/validators", fields...)
		if got.status != http.StatusNotModified || !got.kept() || got.header.Get("Etag") != `"v1"` {
			t.Errorf("with %q: %v %v; want the front's own 304", fields, got, got.header)
		}
	}
	if got := f.ask(t, "HEAD", "/validators"); !got.kept() || got.header.Get("Etag") != `"v1"` || got.body != "" {
		t.Errorf("HEAD: %v", got)
	}
}

func optionsPass(t *testing.T, f *front) {
	for range 2 {
		got := f.ask(t, "OPTIONS", "/cors", "Origin", "https://a.example", "Access-Control-Request-Method", "GET")
		if got.status != 204 || len(got.came) != 1 || got.came[0].method != "OPTIONS" ||
			got.header.Get("Access-Control-Allow-Methods") != "GET, OPTIONS" ||
			got.header.Get("Access-Control-Allow-Origin") != "https://a.example" {
			t.Errorf("%v %v; want the app's answer each time", got, got.header)
		}
	}
}

// A page that was kept for who has no Origin, or another one, does not go out with that one's name.
func corsPasses(t *testing.T, f *front) {
	for _, kept := range []bool{false, true} {
		for _, from := range []string{"", "https://a.example", "https://b.example"} {
			var fields []string
			if from != "" {
				fields = []string{"Origin", from}
			}
			got := f.ask(t, "GET", "/cors", fields...)
			if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != from || got.kept() != kept {
				t.Errorf("for %q: %v, allowed is %q; want it kept %v", from, got, allowed, kept)
			}
		}
	}
}

// The app makes links of its host, which is the public one although the front asks for another.
func hostStays(t *testing.T, f *front) {
	for _, poison := range [][]string{nil, {"X-Forwarded-Host", origin}, {"Forwarded", "host=" + origin}} {
		for _, path := range []string{"/links", "/moved"} {
			got := f.ask(t, "GET", path, poison...)
			for _, name := range []string{"Content-Location", "Link", "Next-Page"} {
				if !strings.Contains(got.header.Get(name), "http://"+public+"/") {
					t.Errorf("%s: %s is %q", path, name, got.header.Get(name))
				}
			}
			if want := "http://" + public; path == "/moved" && got.header.Get("Location") != want+"/links" ||
				path == "/links" && got.body != want {
				t.Errorf("%s: %v, Location %q", path, got, got.header.Get("Location"))
			}
		}
	}
}

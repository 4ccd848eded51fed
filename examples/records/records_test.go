package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store/memstore"
)

// site is the API with its settings.
func site(t *testing.T, file string, environ ...string) http.Handler {
	t.Helper()
	set, err := load(file, environ)
	if err != nil {
		t.Fatal(err)
	}
	kept := memstore.New(1 << 20)
	t.Cleanup(func() { kept.Close() })
	return serve(set, kept)
}

func ask(h http.Handler, method, path, body string, field ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body == "" {
		r = httptest.NewRequest(method, path, nil)
	}
	if len(field) == 2 {
		r.Header.Set(field[0], field[1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	hello = "/buckets/blog/collections/articles/records/hello"
	soon  = "/buckets/blog/collections/drafts/records/soon"
	tea   = "/buckets/shop/collections/goods/records/tea"
	goods = "/buckets/shop/collections/goods"
)

// The most specific setting wins, the environment before the file, and what is asked twice is a hit
// unless its setting is 0 or the client says who it is.
func TestSettingsGovernEachResource(t *testing.T) {
	const none = "no-cache, no-store"
	type want struct{ path, control, second string }
	for _, c := range []struct {
		why, file string
		environ   []string
		want      []want
	}{
		{"the file alone", "freshet.ini", nil, []want{
			{hello, "max-age=600", "hit"},
			{soon, none, "fwd=bypass"},
			{tea, "max-age=3600", "hit"},
			{goods, "max-age=60", "hit"},
		}},
		{"the environment before the file", "freshet.ini",
			[]string{"FRESHET_BLOG_ARTICLES_RECORD_CACHE_EXPIRES_SECONDS=5",
				"FRESHET_SHOP_RECORD_CACHE_EXPIRES_SECONDS=0"}, []want{
				{hello, "max-age=5", "hit"},
				{tea, none, "fwd=bypass"},
				{goods, "max-age=60", "hit"},
			}},
		{"the environment alone", "", []string{"FRESHET_BLOG_RECORD_CACHE_EXPIRES_SECONDS=7"},
			[]want{
				{hello, "max-age=7", "hit"},
				{soon, "max-age=7", "hit"},
				{tea, none, "detail="},
				{goods, none, "detail="},
			}},
	} {
		h := site(t, c.file, c.environ...)
		for _, want := range c.want {
			first, second := ask(h, "GET", want.path, ""), ask(h, "GET", want.path, "")
			if got := second.Header().Get("Cache-Control"); first.Code != 200 || got != want.control {
				t.Errorf("%s: %s: status %d, Cache-Control: %s, want %s", c.why, want.path,
					first.Code,
					got, want.control)
			}
			if got := second.Header().Get("Cache-Status"); !strings.Contains(got, want.second) {
				t.Errorf("%s: %s: asked again: %s, want %s", c.why, want.path, got, want.second)
			}
			somebody := ask(h, "GET", want.path, "", "Authorization", "Bearer x")
			if got := somebody.Header().Get("Cache-Control"); got != none ||
				strings.Contains(somebody.Header().Get("Cache-Status"), "hit") {
				t.Errorf("%s: %s with credentials: Cache-Control: %s, %s", c.why, want.path, got,
					somebody.Header().Get("Cache-Status"))
			}
		}
	}
}

// What is written is what is read next, in the record and in the list of its collection.
func TestWritesAreSeenAtOnce(t *testing.T) {
	h := site(t, "freshet.ini")
	for range 2 {
		if got := ask(h, "GET", goods, "").Body.String(); got != "[\"tea\"]\n" {
			t.Fatalf("the collection is %s", got)
		}
		ask(h, "GET", tea, "")
	}
	if w := ask(h, "PUT", tea, `{"price":5}`); w.Code != http.StatusNoContent {
		t.Fatalf("PUT: %d %s", w.Code, w.Body)
	}
	if got := ask(h, "GET", tea, "").Body.String(); got != "{\"price\":5}\n" {
		t.Errorf("the record is %s", got)
	}
	ask(h, "PUT", goods+"/records/coffee", `{"price":9}`)
	if got := ask(h, "GET", goods, "").Body.String(); got != "[\"coffee\",\"tea\"]\n" {
		t.Errorf("after a new record the collection is %s", got)
	}
	ask(h, "DELETE", tea, "")
	if w := ask(h, "GET", tea, ""); w.Code != http.StatusNotFound {
		t.Errorf("the deleted record: %d %s", w.Code, w.Body)
	}
	if w := ask(h, "PUT", tea, "{"); w.Code != http.StatusBadRequest {
		t.Errorf("no JSON: %d", w.Code)
	}
}

// A setting that makes no sense stops the program, and says where it is.
func TestAbsurdSettingsAreRefused(t *testing.T) {
	for value, say := range map[string]string{
		"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=-1":  `FRESHET_RECORD_CACHE_EXPIRES_SECONDS`,
		"FRESHET_RECORD_CACHE_EXPIRES_SECONDS=1.5": `whole number of seconds`,
		"FRESHET_RECRD_CACHE_EXPIRES_SECONDS=1":    `known are collection, record`,
	} {
		if _, err := load("freshet.ini", []string{value}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: got %v", value, err)
		}
	}
}

// A changed file counts without a restart; one that is wrong changes nothing.
func TestSettingsAreLoadedAnew(t *testing.T) {
	text, err := os.ReadFile("freshet.ini")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "freshet.ini")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(string(text))
	set, err := load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	kept := memstore.New(1 << 20)
	defer kept.Close()
	h := serve(set, kept)
	for _, step := range []struct{ old, new, control string }{
		{"", "", "max-age=3600"},
		{"record_cache_expires_seconds     = 3600", "record_cache_expires_seconds = 0",
			"no-cache, no-store"},
		{"record_cache_expires_seconds     = 3600", "record_cache_expires_seconds = -1",
			"no-cache, no-store"},
		{"record_cache_expires_seconds     = 3600", "shop.record_cache_expires_seconds = 7",
			"max-age=7"},
	} {
		write(strings.Replace(string(text), step.old, step.new, 1))
		err := set.Reload()
		if wrong := strings.HasSuffix(step.new, "-1"); (err != nil) != wrong {
			t.Errorf("%s: %v", step.new, err)
		}
		path := tea + "?" + strings.ReplaceAll(step.new, " ", "+")
		if got := ask(h, "GET", path, "").Header().Get("Cache-Control"); got != step.control {
			t.Errorf("%s: Cache-Control: %s, want %s", step.new, got, step.control)
		}
	}
}

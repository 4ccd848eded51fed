package nginx_test

import (
	"crypto/md5"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/nginx"
	"github.com/freshet-go/freshet/policy"
)

const secret = "s3cret-of-purges"

// fakeNginx caches what an app answers, 200 alone, and passes its cache as the package's
// configuration says.
type fakeNginx struct {
	*httptest.Server
	mu     sync.Mutex
	pages  map[string]string // by host, path and Accept-Encoding
	app    func(r *http.Request) (status int, body string)
	asked  int
	retry  string           // Retry-After of the app's answers
	answer http.HandlerFunc // nil: as the configuration says
}

func newFakeNginx(t *testing.T) *fakeNginx {
	f := &fakeNginx{pages: map[string]string{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Server.Close)
	f.app = func(r *http.Request) (int, string) {
		return 200, fmt.Sprint(f.asked, " ", r.Host, r.RequestURI, " ", r.Header.Get("Accept-Encoding"))
	}
	return f
}

func (f *fakeNginx) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answer != nil {
		f.answer(w, r)
		return
	}
	key, status := r.Host+r.RequestURI+r.Header.Get("Accept-Encoding"), "MISS"
	if page, cached := f.pages[key]; cached && r.Header.Get("Purge-Key") != secret {
		w.Header().Set("X-Cache-Status", "HIT")
		w.Write([]byte(page))
		return
	}
	if r.Header.Get("Purge-Key") == secret {
		status = "BYPASS"
	}
	f.asked++
	code, body := f.app(r)
	if code == 200 {
		f.pages[key] = body
	}
	w.Header().Set("X-Cache-Status", status)
	if f.retry != "" {
		w.Header().Set("Retry-After", f.retry)
	}
	w.WriteHeader(code)
	w.Write([]byte(body))
}

func target(t *testing.T, o nginx.Options) *nginx.Target {
	t.Helper()
	n, err := nginx.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRefresh(t *testing.T) {
	f := newFakeNginx(t)
	n := target(t, nginx.Options{Address: f.URL, Secret: secret,
		Variants: []http.Header{{}, {"Accept-Encoding": {"gzip"}}}})
	for _, encoding := range []string{"identity", "gzip"} {
		f.pages["a.example/x?q=1"+encoding], f.pages["a.example/y"+encoding] = "old", "old"
	}
	err := n.Purge(t.Context(), cdn.Purge{URLs: []string{"http://a.example/x?q=1", "https://a.example/x?q=1"}})
	want := "map[a.example/x?q=1gzip:2 a.example/x?q=1 gzip a.example/x?q=1identity:1 a.example/x?q=1 identity " +
		"a.example/ygzip:old a.example/yidentity:old]"
	if got := fmt.Sprint(f.pages); err != nil || got != want || f.asked != 2 {
		t.Errorf("%s, error %v, the app was asked %d times; want %s", got, err, f.asked, want)
	}
}

func TestFailures(t *testing.T) {
	f := newFakeNginx(t)
	status := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, status) }
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		app    int // status of the app's answer
		kind   cdn.Kind
		says   string
	}{
		"the secret is unknown": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Cache-Status", "HIT")
		}, 0, cdn.KindPermanent, "check that Options.Secret"},
		"no configuration": {status(200), 0, cdn.KindPermanent, `X-Cache-Status ""`},
		"forbidden":        {status(403), 0, cdn.KindAuthentication, "without a login"},
		"no app":           {status(502), 0, cdn.KindTemporary, "502"},
		"too many": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(429)
		}, 0, cdn.KindTemporary, "after 7s"},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
		}, 0, cdn.KindTemporary, "cut off"},
		"a page that is gone": {nil, 404, cdn.KindPermanent, "goes on serving the old answer"},
	} {
		f.mu.Lock()
		f.answer, f.pages["a.example/identity"] = test.answer, "old"
		f.app = func(*http.Request) (int, string) { return test.app, "gone" }
		f.mu.Unlock()
		err := target(t, nginx.Options{Address: f.URL, Secret: secret}).Purge(t.Context(),
			cdn.Purge{URLs: []string{"http://a.example/", "http://a.example/2"}})
		e, ok := errors.AsType[*cdn.Error](err)
		if !ok || e.Kind != test.kind || !strings.Contains(err.Error(), test.says) || e.Rest.Len() != 2 ||
			strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.mu.Lock()
	f.answer = nil
	delete(f.pages, "a.example/identity")
	f.app = func(*http.Request) (int, string) { return 404, "gone" }
	f.mu.Unlock()
	err := target(t, nginx.Options{Address: f.URL, Secret: secret}).Purge(t.Context(),
		cdn.Purge{URLs: []string{"http://a.example/"}})
	if err != nil {
		t.Errorf("a page that is gone and that was not cached: %v", err)
	}
}

func TestHangs(t *testing.T) {
	f := newFakeNginx(t)
	release := make(chan struct{})
	defer close(release)
	f.answer = func(http.ResponseWriter, *http.Request) { <-release }
	err := target(t, nginx.Options{Address: f.URL, Secret: secret, Timeout: 10 * time.Millisecond}).Purge(
		t.Context(), cdn.Purge{URLs: []string{"http://a.example/"}})
	if e, ok := errors.AsType[*cdn.Error](err); !ok || e.Kind != cdn.KindTemporary {
		t.Errorf("%v", err)
	}
}

// file writes a file as nginx does: a binary header, the key, the response's header and its body.
func file(t *testing.T, folder, key, variant string, tags ...string) string {
	t.Helper()
	sum := fmt.Sprintf("%x", md5.Sum([]byte(key+variant)))
	name := filepath.Join(folder, sum[31:], sum[29:31], sum)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	head := "\x05\x00\x00\x00" + strings.Repeat("\x00\n", 160) + "\nKEY: " + key + "\nHTTP/1.1 200 OK\r\n"
	for i, tag := range tags {
		if tags[i] = policy.SentTag(nginx.TagField, tag); i == len(tags)-1 {
			head += "XKEY: " + strings.Join(tags, " ") + "\r\n"
		}
	}
	text := head + "Content-Type: text/html\r\n\r\nXkey: body\r\n" + strings.Repeat("x", 70_000)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFiles(t *testing.T) {
	for name, test := range map[string]struct {
		purge cdn.Purge
		left  string
	}{
		"a URL, with its variants": {cdn.Purge{URLs: []string{"http://a.example/x"}}, "xy q s b"},
		"a query":                  {cdn.Purge{URLs: []string{"http://a.example/x?q=1"}}, "x xv xy s b"},
		"a prefix":                 {cdn.Purge{Prefixes: []string{"http://a.example/x"}}, "s b"},
		"a host":                   {cdn.Purge{Prefixes: []string{"http://a.example"}}, "s b"},
		"a tag":                    {cdn.Purge{Tags: []string{"one"}}, "xv xy q b"},
		"an odd tag":               {cdn.Purge{Tags: []string{"t wo,"}}, "x xv q s b"},
		"a tag in a body":          {cdn.Purge{Tags: []string{"body"}}, "x xv xy q s b"},
		"everything":               {cdn.Purge{All: true}, ""},
	} {
		folder := t.TempDir()
		names := map[string]string{
			"x":  file(t, folder, "GEThttpa.example/x", "", "one"),
			"xv": file(t, folder, "GEThttpa.example/x", "gzip"),
			"xy": file(t, folder, "GEThttpa.example/xy", "", "t wo,"),
			"q":  file(t, folder, "HEADhttpa.example/x?q=1", "", "on"),
			"s":  file(t, folder, "GEThttpsa.example/x", "", "two", "one"),
			"b":  file(t, folder, "GEThttpb.example/x", ""),
		}
		outside := filepath.Join(t.TempDir(), strings.Repeat("a", 32))
		os.WriteFile(outside, []byte("\nKEY: GEThttpa.example/x\n"), 0o600)
		os.WriteFile(filepath.Join(folder, "0000000012"), []byte("\nKEY: GEThttpa.example/x\n"), 0o600)
		os.Symlink(outside, filepath.Join(folder, strings.Repeat("b", 32)))
		os.Symlink(filepath.Dir(outside), filepath.Join(folder, "c"))
		n := target(t, nginx.Options{Folder: folder, Key: "$request_method$scheme$host$request_uri"})
		err := n.Purge(t.Context(), test.purge)
		var left []string
		for _, name := range []string{"x", "xv", "xy", "q", "s", "b"} {
			if _, err := os.Stat(names[name]); err == nil {
				left = append(left, name)
			}
		}
		if got := strings.Join(left, " "); err != nil || got != test.left {
			t.Errorf("%s: left %q, error %v; want %q", name, got, err, test.left)
		}
		for _, other := range []string{outside, filepath.Join(folder, "0000000012"),
			filepath.Join(folder, strings.Repeat("b", 32))} {
			if _, err := os.Lstat(other); err != nil {
				t.Errorf("%s: what is none of nginx's files is gone: %v", name, err)
			}
		}
	}
}

func TestFolderGone(t *testing.T) {
	n := target(t, nginx.Options{Folder: filepath.Join(t.TempDir(), "gone")})
	e, ok := errors.AsType[*cdn.Error](n.Purge(t.Context(), cdn.Purge{All: true}))
	if !ok || e.Kind != cdn.KindTemporary || !e.Rest.All {
		t.Errorf("%v", e)
	}
}

func TestBadInput(t *testing.T) {
	n := target(t, nginx.Options{Address: "http://127.0.0.1:1", Secret: secret})
	for _, p := range []cdn.Purge{{Tags: []string{"a"}}, {Prefixes: []string{"http://a.example/"}}, {All: true}, {},
		{URLs: []string{"a"}}} {
		if e, ok := errors.AsType[*cdn.Error](n.Purge(t.Context(), p)); !ok || e.Kind != cdn.KindPermanent {
			t.Errorf("%v: %v", p, e)
		}
	}
	for _, o := range []nginx.Options{{}, {Address: "http://a", Folder: "/a", Secret: "x"}, {Address: "a", Secret: "x"},
		{Address: "http://a"}, {Folder: "a"}, {Folder: "/"}, {Folder: "/a", Key: "$host$uri"},
		{Folder: "/a", Key: "$cookie_x$request_uri"}} {
		if _, err := nginx.New(o); err == nil {
			t.Errorf("%+v is allowed", o)
		}
	}
}

// FuzzFile reads heads of files, which hold what an app has answered.
func FuzzFile(f *testing.F) {
	f.Add([]byte("\x05\x00\nKEY: httpa.example/x\nHTTP/1.1 200 OK\r\nXkey: a b\r\n\r\nbody"))
	f.Add([]byte("\nKEY: \n\n"))
	folder := f.TempDir()
	n, err := nginx.New(nginx.Options{Folder: folder})
	if err != nil {
		f.Fatal(err)
	}
	name := filepath.Join(folder, strings.Repeat("0", 32))
	f.Fuzz(func(t *testing.T, head []byte) {
		os.WriteFile(name, head, 0o600)
		purge := cdn.Purge{Tags: []string{"a"}, URLs: []string{"http://a.example/x"}}
		if err := n.Purge(t.Context(), purge); err != nil {
			t.Error(err)
		}
		_, err := os.Stat(name)
		if err != nil && !strings.Contains(string(head), "\nKEY: ") {
			t.Errorf("%q was taken for a cached page", head)
		}
	})
}

// A page that fails by itself, whatever it says, is no failure of nginx's; what stays in the cache
// hears it all the same, without the page's Retry-After.
func TestPageThatFailsStoppedPurges(t *testing.T) {
	for _, status := range []int{401, 403, 404, 429, 500, 503} {
		f := newFakeNginx(t)
		f.app = func(*http.Request) (int, string) { return status, "no such report" }
		f.retry = "3600"
		n := target(t, nginx.Options{Address: f.URL, Secret: secret})
		p := cdn.Purge{URLs: []string{"http://a.example/report", "http://a.example/news"}}
		if err := n.Purge(t.Context(), p); err != nil || f.asked != 4 {
			t.Errorf("%d: %v after %d requests", status, err, f.asked)
		}
		f.pages["a.example/newsidentity"] = "old"
		e, ok := errors.AsType[*cdn.Error](n.Purge(t.Context(), p))
		if !ok || e.Kind != cdn.KindPermanent || e.RetryAfter != 0 || len(e.Rest.URLs) != 1 {
			t.Errorf("%d, and nginx keeps the old page: %v", status, e)
		}
	}
}

// A page that a client's request has changed and that never comes is tried by itself later.
func TestPageThatHangs(t *testing.T) {
	f := newFakeNginx(t)
	release := make(chan struct{})
	defer close(release)
	f.answer = func(http.ResponseWriter, *http.Request) { <-release }
	err := target(t, nginx.Options{Address: f.URL, Secret: secret, Timeout: 10 * time.Millisecond}).Purge(
		t.Context(), cdn.Purge{ByRequest: true, URLs: []string{"http://a.example/"}})
	if e, ok := errors.AsType[*cdn.Error](err); !ok || e.Kind != cdn.KindPermanent {
		t.Errorf("%v", err)
	}
}

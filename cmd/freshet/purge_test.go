package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/cmd/freshet/door"
	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// purged is an app with a door whose pages say how often their handler ran.
type purged struct {
	*operated
	t    *testing.T
	runs atomic.Int64
}

func newPurged(t *testing.T, o freshet.Options) *purged {
	t.Helper()
	p := &purged{t: t}
	pages, watch, mux := memstore.New(64<<20), admin.NewWatch(), http.NewServeMux()
	o.Observe = watch.Observe
	quiet := slog.New(slog.DiscardHandler)
	o.Log = quiet
	cache := freshet.New(pages, o)
	mux.Handle("/__freshet__/", http.StripPrefix("/__freshet__", admin.New(cache, watch,
		admin.Options{Authenticate: admin.Tokens(doorToken), Log: quiet})))
	mux.Handle("/", cache.With(freshet.Policy{TTL: time.Hour, StaleWhileRevalidate: time.Hour,
		TagsOf: func(r *http.Request) []string { return []string{"page" + r.URL.Path, "pages"} }})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %d", r.URL.Path, p.runs.Add(1))
		})))
	server := httptest.NewServer(cache.Root(mux))
	p.operated = &operated{site: server.URL, door: server.URL + "/__freshet__"}
	p.environ = []string{"FRESHET_DOOR=" + p.door, "FRESHET_TOKEN=" + doorToken}
	t.Cleanup(func() {
		server.Close()
		cache.Shutdown(context.Background())
		pages.Close()
	})
	return p
}

// status is what becomes of a request for a page.
func (p *purged) status(path string) string {
	p.t.Helper()
	res, err := http.Get(p.site + path)
	if err != nil {
		p.t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	says := res.Header.Get("Cache-Status")
	switch {
	case strings.Contains(says, "hit; ttl=-"):
		return "stale"
	case strings.Contains(says, "hit"):
		return "hit"
	}
	return "run"
}

// purging runs freshet purge in this process, with SITE in place of the app's URL.
func (p *purged) purging(stdin string, args ...string) (status int, stdout, stderr string) {
	p.t.Helper()
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "SITE", p.site)
	}
	var out, errs bytes.Buffer
	status = runPurge(p.t.Context(), call{args: args, environ: p.environ,
		stdin: strings.NewReader(strings.ReplaceAll(stdin, "SITE", p.site)), stdout: &out, stderr: &errs})
	return status, out.String(), errs.String()
}

// Each verb makes what it names unusable, or stale, and leaves the rest.
func TestPurgesOfARunningApp(t *testing.T) {
	for story, c := range map[string]struct {
		args     []string
		stdin    string
		says     string
		a, b, cc string // then, of the pages /a, /b and /c
	}{
		"a URL": {[]string{"SITE/a"}, "", "purged the URL SITE/a, under the number ", "run", "hit", "hit"},
		"URLs": {[]string{"SITE/a", "SITE/c"}, "", "purged 2 URLs, from SITE/a to SITE/c, under", "run",
			"hit", "run"},
		"URLs of stdin": {[]string{"-"}, "SITE/a\r\n\n  SITE/c\n", "purged 2 URLs, from SITE/a to SITE/c",
			"run", "hit", "run"},
		"a tag":  {[]string{"--tag", "page/a"}, "", "purged the tags page/a, under", "run", "hit", "hit"},
		"tags":   {[]string{"--tag=page/a", "--tag=page/c"}, "", "the tags page/a page/c,", "run", "hit", "run"},
		"prefix": {[]string{"--prefix", "SITE/a"}, "", "everything below SITE/a,", "run", "hit", "hit"},
		"all":    {[]string{"--all"}, "", "purged everything, under", "run", "run", "run"},
		"softly": {[]string{"--soft", "SITE/a"}, "", "purged the URL SITE/a, softly, under", "stale", "hit",
			"hit"},
		"waiting": {[]string{"SITE/a", "--wait", "1m"}, "",
			"\nevery process has applied it, and no cache in front owes it\n", "run", "hit", "hit"},
		"as JSON": {[]string{"SITE/a", "--json"}, "", `{"purged":"the URL SITE/a","number":`, "run", "hit",
			"hit"},
	} {
		t.Run(story, func(t *testing.T) {
			p := newPurged(t, freshet.Options{})
			p.visit(t, "/a", "/b", "/c")
			status, out, errs := p.purging(c.stdin, c.args...)
			if status != exitOK || errs != "" || !strings.Contains(out, strings.ReplaceAll(c.says, "SITE",
				p.site)) {
				t.Errorf("status %d, %s%s", status, out, errs)
			}
			for path, wanted := range map[string]string{"/a": c.a, "/b": c.b, "/c": c.cc} {
				if got := p.status(path); got != wanted {
					t.Errorf("then %s is %s, want %s", path, got, wanted)
				}
			}
		})
	}
}

// What is wrong is an error that says what is allowed, and purges nothing.
func TestPurgesThatCannotBe(t *testing.T) {
	p := newPurged(t, freshet.Options{})
	p.visit(t, "/a")
	many := strings.Repeat("SITE/b\n", maxPurged)
	for _, c := range []struct {
		story  string
		args   []string
		stdin  string
		status int
		says   string
	}{
		{"nothing", nil, "", exitUsage, "Say one of URL..., -, --tag, --prefix and --all"},
		{"two kinds", []string{"SITE/a", "--all"}, "", exitUsage, "keep one of them"},
		{"a path", []string{"SITE/a", "/a"}, "", exitUsage,
			`"/a" is not an absolute http or https URL: write it with the host`},
		{"a user", []string{"http://a:b@c/"}, "", exitUsage, "names a user"},
		{"an escape that is none", []string{"SITE/%zz"}, "", exitUsage, "is no URL: invalid URL escape"},
		{"a line end", []string{"SITE/a\nb"}, "", exitUsage, "invalid control character"},
		{"no UTF-8", []string{"SITE/\xe9"}, "", exitUsage, "write its bytes as escapes, such as %E9"},
		{"a star", []string{"SITE/*"}, "", exitUsage, `* stands for itself: --prefix "SITE/" purges all`},
		{"a foreign host", []string{"SITE/a", "http://elsewhere.example/"}, "", exitFailed,
			`the host \"elsewhere.example\" is none of this door's`},
		{"a prefix of half a host", []string{"--prefix", "http:"}, "", exitUsage,
			`--prefix "http:": "http:" is not an absolute`},
		{"a prefix with a star", []string{"--prefix", "SITE/*"}, "", exitUsage, "leave it out, as in"},
		{"a prefix of no UTF-8", []string{"--prefix", "SITE/\xe9"}, "", exitUsage, "is no UTF-8"},
		{"two prefixes", []string{"--prefix", "SITE/", "--prefix", "SITE/"}, "", exitUsage, "keep one"},
		{"an empty tag", []string{"--tag", "pages", "--tag="}, "", exitUsage,
			`--tag "": allowed is one tag of 1 to 1024 bytes of UTF-8 without white space`},
		{"two tags in one", []string{"--tag", "pages news"}, "", exitUsage, "give --tag for each"},
		{"a tag with an escape", []string{"--tag", "pages", "--tag", "a\x1b[2J"}, "", exitUsage,
			`--tag "a\x1b[2J": allowed is`},
		{"a long tag", []string{"--tag", "pages", "--tag", strings.Repeat("x", 1025)}, "", exitUsage,
			"1 to 1024 bytes"},
		{"many tags", strings.Split("--tag=pages"+strings.Repeat(" --tag=x", 256), " "), "", exitUsage,
			"more than 256 tags"},
		{"no time", []string{"SITE/a", "--wait", "0s"}, "", exitUsage, "such as 2s"},
		{"a long time", []string{"SITE/a", "--wait", "61s"}, "", exitUsage, `--wait "61s": allowed is`},
		{"nothing on stdin", []string{"-"}, "\n \n", exitUsage, "stdin has no URL"},
		{"more than stdin", []string{"-", "SITE/a"}, "SITE/a", exitUsage, "leave out those beside it"},
		{"a wrong line", []string{"-"}, "SITE/a\n\n/b\n", exitUsage, `stdin, line 3: "/b" is not`},
		{"a long line", []string{"-"}, "SITE/a\nSITE/" + strings.Repeat("x", 1<<20), exitUsage,
			"stdin, line 2 is longer than a URL may be"},
		{"a long URL", []string{"-"}, "SITE/a\nSITE/" + strings.Repeat("x", 1<<16), exitUsage,
			"stdin, line 2: the URL is too long"},
		{"many lines", []string{"-"}, "SITE/a\n" + many, exitUsage, "more than 10000 URLs"},
		{"long lines", []string{"-"}, "SITE/a\n" + strings.Repeat("SITE/"+strings.Repeat("x", 60000)+"\n",
			300), exitUsage, "more than 16 MiB of them"},
		{"a foreign host at the end of many", []string{"-"}, "SITE/a\n" + many[:len(many)/2] +
			"http://elsewhere.example/\n", exitFailed, `the host \"elsewhere.example\" is none`},
	} {
		status, out, errs := p.purging(c.stdin, c.args...)
		if status != c.status || out != "" || strings.Count(errs, "\n") != 1 ||
			!strings.Contains(errs, strings.ReplaceAll(c.says, "SITE", p.site)) {
			t.Errorf("%s: status %d, %.300q, want %d and %q", c.story, status, out+errs, c.status, c.says)
		}
		if got := p.status("/a"); got != "hit" {
			t.Fatalf("%s: then the page is a %s", c.story, got)
		}
	}
	status, _, errs := p.purging(strings.Repeat("x\n", 15), "-")
	if lines := strings.Split(errs, "\n"); status != exitUsage || len(lines) != 12 ||
		!strings.Contains(lines[9], "line 10: ") || !strings.Contains(lines[10], "5 other lines are wrong") {
		t.Errorf("15 wrong lines: status %d, %s", status, errs)
	}
}

// Many URLs go to the door in parts that it takes, each of them checked before the first is purged.
// The last one waits.
func TestManyURLsArePurged(t *testing.T) {
	p := newPurged(t, freshet.Options{})
	var list strings.Builder
	var paths []string
	for i := range 600 {
		paths = append(paths, fmt.Sprintf("/%d", i))
		fmt.Fprintf(&list, "SITE/%d\n", i)
	}
	list.WriteString(strings.Repeat("SITE/"+strings.Repeat("x", 60000)+"\n", 20)) // of which 17 fit
	p.visit(t, paths...)
	status, out, errs := p.purging(list.String(), "-", "--wait=1m", "--soft")
	if status != exitOK || errs != "" || !strings.HasPrefix(out, "purged 620 URLs, softly, under the") ||
		!strings.HasSuffix(out, "\nevery process has applied it, and no cache in front owes it\n") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	for _, path := range []string{"/0", "/255", "/256", "/512", "/599"} {
		if got := p.status(path); got != "stale" {
			t.Errorf("then %s is a %s", path, got)
		}
	}

	type part struct {
		n     int
		check bool
		wait  string
	}
	var asked []part
	unsent, fails := true, -1
	doorOf := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var purge door.Purge
		json.NewDecoder(r.Body).Decode(&purge)
		asked = append(asked, part{len(purge.URLs), purge.Check, r.URL.Query().Get("wait")})
		w.Header().Set(admin.VersionField, admin.Version)
		switch {
		case len(asked) == fails:
			w.WriteHeader(http.StatusBadGateway)
		case purge.Check:
			io.WriteString(w, `{"would_purge":"URLs"}`)
		case r.URL.Query().Has("wait"):
			io.WriteString(w, `{"purged":"URLs","number":9,"everywhere":true}`)
		default:
			fmt.Fprintf(w, `{"purged":"URLs","number":8,"unsent":%v}`, unsent)
		}
	}))
	defer doorOf.Close()
	p.environ = []string{"FRESHET_DOOR=" + doorOf.URL}
	const some = 300
	lines := strings.Repeat("http://a.example/\n", some)
	status, out, errs = p.purging(lines, "-", "--wait=2s", "--json")
	if status != exitBehind || out != `{"purged":"300 URLs","number":9,"unsent":true,"everywhere":false,`+
		`"why":"the journal did not take all of it at once"}`+"\n" || fmt.Sprint(asked) !=
		"[{256 true } {44 true } {256 false } {44 false 2s}]" {
		t.Errorf("a part is unsent: status %d, %s%s%v", status, out, errs, asked)
	}
	asked, unsent = nil, false
	if status, out, errs = p.purging(lines, "-", "--wait=2s"); status != exitOK {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	asked, fails = nil, 4
	status, out, errs = p.purging(lines, "-")
	if status != exitFailed || out != "" || !strings.Contains(errs,
		"(after the first 256 of 300 URLs, which are purged)") {
		t.Errorf("a part fails: status %d, %s%s", status, out, errs)
	}
}

// refusing is a journal that takes nothing.
type refusing struct{ *memjournal.Journal }

func (refusing) Append(context.Context, ...store.Mark) (uint64, error) { return 0, errors.New("no") }

// dead is a cache in front that takes nothing.
type dead struct{}

func (dead) Name() string { return "varnish\x1b[2J" }

func (dead) Purge(context.Context, cdn.Purge) error {
	return &cdn.Error{Target: "varnish", Status: 503, Err: errors.New("it is away\x1b[2J")}
}

// A purge that others have not applied has a status of its own, and says who has not.
func TestPurgesThatDoNotHoldEverywhere(t *testing.T) {
	t.Run("the journal has not taken it", func(t *testing.T) {
		p := newPurged(t, freshet.Options{Journal: refusing{memjournal.New()}})
		p.visit(t, "/a")
		status, out, errs := p.purging("", "SITE/a")
		if status != exitBehind || errs != "" || out != "purged the URL "+p.site+"/a, in the app that was "+
			"asked\nother processes learn of it when the store's server takes it\n" {
			t.Errorf("status %d, %s%s", status, out, errs)
		}
		if got := p.status("/a"); got != "run" {
			t.Errorf("then it is a %s", got)
		}
		status, out, errs = p.purging("", "SITE/a", "--wait", "50ms")
		if status != exitBehind || errs != "" || !strings.Contains(out, "\nafter 50ms it does not hold "+
			"everywhere:\n\nprocesses: freshet: Receipt.Wait: the journal has not taken the invalidation yet") {
			t.Errorf("status %d, %s%s", status, out, errs)
		}
	})
	t.Run("a process and a cache in front", func(t *testing.T) {
		outbox, err := cdn.New(cdn.Options{Targets: []cdn.Target{dead{}}, Delay: -1,
			Hosts: map[string][]string{"*": {"http://a.example"}}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			outbox.Close(ctx)
		})
		journal := memjournal.New()
		p := newPurged(t, freshet.Options{Journal: journal, OnInvalidate: outbox.OnInvalidate})
		if status, out, errs := p.purging("", "--tag=pages"); status != exitOK {
			t.Errorf("that does not wait: status %d, %s%s", status, out, errs)
		}
		for {
			owed, err := outbox.Owed(t.Context())
			if err != nil || patience.Err() != nil {
				t.Fatal(err, patience.Err())
			}
			if len(owed) == 1 && owed[0].LastError != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err := journal.Renew(t.Context(), store.Member{ID: "x", Name: "web-2"}); err != nil {
			t.Fatal(err)
		}
		status, out, errs := p.purging("", "--tag=pages", "--wait=50ms")
		if wanted := regexp.MustCompile(`^purged the tags pages, under the number \d+
after 50ms it does not hold everywhere:

process behind +applied up to +heard
web-2 +0 +[\d.]+ m?s ago

cache in front +owes +since +its last error
varnish\\x1b\[2J +\d+ names? +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +cdn: varnish: .*503.*it is away\\x1b\[2J
$`); status != exitBehind || errs != "" || !wanted.MatchString(out) {
			t.Errorf("status %d, %s%s", status, out, errs)
		}
		var said door.Purged
		status, out, errs = p.purging("", "--tag=pages", "--wait=50ms", "--json")
		if err := known([]byte(out), &said); err != nil || status != exitBehind || errs != "" ||
			*said.Everywhere || len(said.Behind) != 1 || len(said.InFront.Owed) != 1 || said.Why == "" ||
			strings.Count(out, "\n") != 1 {
			t.Errorf("status %d, %v, %s%s", status, err, out, errs)
		}
	})
}

// known reports what an answer has that its type does not.
func known(text []byte, to any) error {
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	return in.Decode(to)
}

// Of two proxies on one Redis, one stands still: the other's door says so, and when it goes on, that
// it has the purge, too.
func TestAPurgeOfTwoProxies(t *testing.T) {
	server := testserver.Redis(t)
	var runs atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprint(w, runs.Add(1))
	}))
	defer upstream.Close()
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, []byte("sixteen-or-more-bytes\n"))
	args := []string{"--upstream", upstream.URL, "--listen", "127.0.0.1:0", "--store", server.URL,
		"--http-host", "www.example.com"}
	asked := start(t, nil, append(args, "--door", "127.0.0.1:0", "--door-token-file", token)...)
	other := start(t, nil, args...)
	asked.says("the door is open")
	at := regexp.MustCompile(`the door is open" url=(\S+)/`).FindStringSubmatch(asked.stderr.String())[1]
	purge := func(args ...string) (status int, stdout, stderr string) {
		t.Helper()
		return ran(t, nil, append([]string{"purge", "--door", at, "--token-file", token}, args...)...)
	}
	const page = "http://www.example.com/page"
	other.get("/page")
	if _, cache, _ := other.get("/page"); !strings.Contains(cache, "hit") {
		t.Errorf("before: %s", cache)
	}
	if status, out, errs := purge(page, "--wait=1m"); status != exitOK || !strings.Contains(out,
		"\nevery process has applied it") {
		t.Errorf("both run: status %d, %s%s", status, out, errs)
	}
	if _, cache, body := other.get("/page"); strings.Contains(cache, "hit") || body != "2" {
		t.Errorf("then the other has %q: %s", body, cache)
	}
	testserver.Freeze(t, other.cmd.Process)
	status, out, errs := purge(page, "--wait=200ms")
	if behind := regexp.MustCompile(`(?m)^\S*:` + fmt.Sprint(other.cmd.Process.Pid) + ` +\d+ +\S+ m?s ago$`); status !=
		exitBehind || !behind.MatchString(out) || strings.Contains(out, ":"+fmt.Sprint(asked.cmd.Process.Pid)) {
		t.Errorf("the other stands still: status %d, %s%s", status, out, errs)
	}
	other.cmd.Process.Signal(syscall.SIGCONT)
	if status, out, errs := purge("--all", "--wait=1m"); status != exitOK {
		t.Errorf("it goes on: status %d, %s%s", status, out, errs)
	}
	if _, cache, body := other.get("/page"); strings.Contains(cache, "hit") || body != "3" {
		t.Errorf("then it has %q: %s", body, cache)
	}
	if status := other.stop(syscall.SIGTERM); status != exitOK {
		t.Errorf("the other ended with %d: %s", status, &other.stderr)
	}
	asked.stop(syscall.SIGTERM)
}

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/store/memstore"
)

// explaining runs freshet explain with a recording, and returns its status and what it prints.
func explaining(
	t *testing.T, recording string, environ []string, args ...string,
) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = runExplain(t.Context(), args, environ, strings.NewReader(recording), &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

func writeRecorded(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const recordedPage = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nDate: Sun, 29 Nov 2026 " +
	"10:00:00 GMT\r\n"

// What a recording is good for, by the flags, the settings and the fields of the request.
func TestExplainARecording(t *testing.T) {
	ini := writeRecorded(t, "freshet.ini", "record_cache_expires_seconds = "+
		"60\nblog.record_cache_expires_seconds = 5\n\n[freshet]\nproxy.store-cookies = true\n"+
		"proxy.door = 127.0.0.1:9999\n") // of the proxy, and no door to ask
	app := writeRecorded(t, "app.ini", "[freshet]\ncache_url = memory://\ngreeting = hello\n"+
		"page_cache_expires_seconds = 5\nrecord_cache_expires_seconds = 60\npage_enabled = false\n")
	rules := writeRecorded(t, "rules.ini", "[rules]\n/account = pass\n/a/* type text/html = "+
		"9s\n/* cookie no = 5s\n\n/* = 60s\n")
	url := []string{"--url", "https://shop.example/page"}
	for _, c := range []struct {
		name, recording string
		args            []string
		says            []string
	}{
		{"nothing names a lifetime", recordedPage + "\r\nbody", url, []string{"detail=no-lifetime",
			"Policy.TTL, a setting", "RFC 9111 section 4.2.1"}},
		{"a TTL", recordedPage + "\r\nbody", append(url, "--ttl", "1m"), []string{"; stored",
			"lifetime   1m0s (Policy.TTL"}},
		{"a setting, by its parents", recordedPage + "\r\nbody", append(url, "--config", ini,
			"--resource", "record", "--scope", "blog"),
			[]string{"; stored", "lifetime   5s (setting", "blog.record_cache_expires_seconds",
				"freshet.ini:2", "a more specific setting does"}},
		{"a setting in an app's own file", recordedPage + "\r\nbody", append(url, "--config", app,
			"--resource", "record"), []string{"; stored", "lifetime   1m0s (setting", "app.ini:5"}},
		{"a flag of the proxy's, in the file", recordedPage +
			"Set-Cookie: sid=SECRET\r\nCache-Control: max-age=60\r\n\r\nbody",
			append(url, "--config", ini), []string{"; stored"}},
		{"a rule of the file gives the lifetime", recordedPage + "\r\nbody", append(url,
			"--config", rules), []string{"; stored",
			"lifetime 1m0s (Policy.TTL; rule /*, " + rules + ":6; RFC 9111 section 4.2.2)"}},
		{"a rule of the file says pass", recordedPage + "\r\nbody", []string{"--url",
			"https://shop.example/account", "--config", rules},
			[]string{"detail=pass-policy", "the request passes (Policy.Pass; rule /account, " +
				rules + ":2)"}},
		{"a rule of the file is for a type", recordedPage + "\r\nbody", []string{"--url",
			"https://shop.example/a/b", "--config", rules}, []string{"; stored",
			"lifetime 9s (Policy.ByType; rule /a/* type text/html, " + rules + ":3"}},
		{"a rule of the command line goes first", recordedPage + "\r\nbody", append(url,
			"--config", rules, "--rule", "/page = 2m", "--rule=/x = 3m"), []string{"; stored",
			"lifetime 2m0s (Policy.TTL; rule /page, --rule 1;"}},
		{"a rule takes a longer body than the flags", recordedPage + "Cache-Control: " +
			"max-age=9\r\n\r\nbody", append(url, "--max-body=3", "--rule", "/* = max-body 3"),
			[]string{"detail=too-large"}},
		{"a rule keeps a longer body than the flags", recordedPage + "Cache-Control: " +
			"max-age=9\r\n\r\nbody", append(url, "--max-body=2", "--rule", "/* = max-body 4"),
			[]string{"; stored"}},
		{"a route of an app has no rules", recordedPage + "\r\nbody", append(url, "--config",
			rules, "--resource", "record"), []string{"detail=no-lifetime"}},
		{"a cookie is set", recordedPage + "Set-Cookie: sid=SECRET\r\nCache-Control: " +
			"max-age=60\r\n\r\nbody", url, []string{"detail=set-cookie", "Set-Cookie: sid"}},
		{"a cookie is set, and private added to it", recordedPage + "Set-Cookie: sid=SECRET\r\n" +
			"Cache-Control: private\r\n\r\nbody", url, []string{"detail=private",
			"A cookie is set with the response, which says private", "Set the cookie elsewhere",
			"caches none on the way has said anything"}},
		{"a status that no TTL covers", strings.Replace(recordedPage, "200 OK", "404 Not Found", 1) +
			"\r\nbody", append(url, "--ttl", "1m"), []string{"detail=no-lifetime",
			"to change max-age in Cache-Control, from the handler: Policy.TTL, a setting and SetTTL " +
				"do not cover status 404."}},
		{"a user asks", recordedPage + "Cache-Control: max-age=60\r\n\r\nbody",
			append(url, "--header", "Cookie: sid=SECRET"), []string{"detail=cookie",
				"it has Cookie"}},
		{"a user asks, of what is shared", recordedPage + "\r\nbody",
			append(url, "-H", "Cookie: sid=SECRET", "--shared", "--ttl=1m"), []string{"; stored"}},
		{"of long ago, by its own clock", recordedPage + "Cache-Control: max-age=60\r\nAge: " +
			"59\r\n\r\nbody", url, []string{"; stored", "came       2026-11-29T10:00:59Z",
			"59s when it came"}},
		{"too old by its own clock", recordedPage + "Cache-Control: max-age=60\r\nAge: " +
			"61\r\n\r\nbody", url, []string{"detail=expired"}},
		{"too large", recordedPage + "Cache-Control: max-age=60\r\n\r\nbody",
			append(url, "--max-body", "3"), []string{"detail=too-large"}},
		{"a page of the heuristic's", recordedPage + "Last-Modified: Sun, 29 Nov 2026 00:00:00 " +
			"GMT\r\n\r\nbody", url, []string{"; stored",
			"lifetime   1m0s, a guess by Last-Modified"}},
		{"without the heuristic", recordedPage + "Last-Modified: Sun, 29 Nov 2026 00:00:00 " +
			"GMT\r\n\r\nbody", append(url, "--heuristics=false"), []string{"detail=no-lifetime"}},
		{"curl -v", "> GET /page HTTP/1.1\n> Host: shop.example\n> Authorization: Bearer " +
			"SECRET\n>\n< HTTP/1.1 200 OK\n< Cache-Control: max-age=60\n<\nbody\n", nil,
			[]string{"GET http://shop.example/page", "detail=authorization",
				"RFC 9111 section 3.5"}},
		{"a cache has said why", recordedPage + "Cache-Status: Freshet; fwd=uri-miss; " +
			"fwd-status=200; detail=no-lifetime, \"the CDN\"; fwd=bypass; detail=odd\r\n\r\nbody",
			url,
			[]string{"The cache gave the reason odd", "What the caches on the way say",
				"Freshet  Not stored: Nobody says", "the CDN", "one more cache"}},
		{"a cache has answered", recordedPage + "Cache-Control: max-age=60\r\nAge: " +
			"5\r\nCache-Status: Freshet; hit; ttl=55\r\n\r\nbody", url,
			[]string{"The stored response answered.", "hit; ttl=55"}},
	} {
		status, out, errs := explaining(t, c.recording, nil, c.args...)
		if status != exitOK || errs != "" || strings.Contains(out, "SECRET") {
			t.Errorf("%s: status %d, %q\n%s", c.name, status, errs, out)
		}
		flat := strings.Join(strings.Fields(out), " ")
		for _, want := range c.says {
			if !strings.Contains(flat, strings.Join(strings.Fields(want), " ")) {
				t.Errorf("%s: nothing of %q in\n%s", c.name, want, out)
			}
		}
	}
}

func TestExplainRefusesWhatItCannotUnderstand(t *testing.T) {
	for _, c := range []struct {
		recording string
		args      []string
		says      string
	}{
		{"", nil, "the recording is empty"},
		{recordedPage + "\r\n", nil, "--url URL"},
		{"", []string{"nowhere"}, "allowed is an http or https URL"},
		{"", []string{"http://u:p@h/"}, "without user and password"},
		{"", []string{"http://a/", "http://b/"}, "one URL too many"},
		{"", []string{"http://a/", "--method", "POST"}, "allowed are GET and HEAD"},
		{"", []string{"http://a/", "--fetch"}, "asked by its --door"},
		{"", []string{"--door", "http://d/"}, "--door wants the URL"},
		{"", []string{"http://a/", "--door", "http://d/", "--ttl", "1m"}, "--ttl is for a policy of yours"},
		{"", []string{"http://a/", "--rule", "/* = 1m", "--door", "http://d/"},
			"--rule is for a policy of yours, and --door asks what the running app's own does"},
		{"", []string{"http://a/", "--resource", "r", "--door", "http://d/"}, "--resource is for"},
		{"", []string{"http://a/", "--url", "http://b/"}, "--url is for a recording"},
		{"", []string{"--scope", "a"}, "--scope narrows"},
		{"", []string{"--header", "x"}, "allowed is NAME: VALUE"},
		{"", []string{"--ttl", "x"}, "--ttl"},
		{"", []string{"--rule", "/x = soon"}, `--rule: /x: "soon": `},
		{"", []string{"--rule", "/x = 1m", "--resource", "record"}, "keep one"},
		{"", []string{"--max-body", "x"}, "--max-body"},
		{"", []string{"--listen", "127.0.0.1:1"}, "there is no flag --listen"},
		{"", []string{"http://a/", "--config", "a", "--config", "b"}, "given twice"},
		{"", []string{"http://a/", "--door", "http://d/", "--token-file", "/nowhere/at/all"},
			"--token-file"},
	} {
		status, out, errs := explaining(t, c.recording, nil, c.args...)
		if status != exitUsage || out != "" || !strings.Contains(errs, c.says) ||
			!strings.Contains(errs, "see freshet explain --help") {
			t.Errorf("%q: status %d, %q, %q, want an error with %q", c.args, status, out, errs,
				c.says)
		}
	}
	if status, out, _ := explaining(t, "", nil, "--help"); status != exitOK || out != explainUsage {
		t.Errorf("--help: %d, %s", status, out)
	}
}

// A server is asked once, with the fields that were given, and its redirects are not followed.
func TestExplainAsksAServer(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/page", http.StatusMovedPermanently)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		fmt.Fprint(w, r.Header.Get("Accept-Language"))
	}))
	status, out, errs := explaining(t, "", nil, server.URL+"/page", "--header",
		"Accept-Language: de", "--json")
	var x explain.Explanation
	if err := json.Unmarshal([]byte(out), &x); err != nil || status != exitOK {
		t.Fatalf("status %d, %v, %s, %s", status, err, errs, out)
	}
	vary, _ := x.Fact("response", "vary")
	if asked != 1 || x.Outcome != "fwd=uri-miss; fwd-status=200; stored" || !x.Would ||
		!strings.Contains(vary.Value, "accept-language") {
		t.Errorf("asked %d times: %+v", asked, x)
	}
	if _, out, _ = explaining(t, "", nil, server.URL+"/old"); !strings.Contains(out, "fwd-status=301") || asked != 2 {
		t.Errorf("asked %d times:\n%s", asked, out)
	}
	server.Close()
	if status, out, errs = explaining(t, "", nil, server.URL+"/page"); status != exitFailed || out != "" || !strings.Contains(errs, "did not answer") {
		t.Errorf("a server that is away: %d, %q, %q", status, out, errs)
	}
}

// doorToken is that of the doors of tests.
const doorToken = "a token of 24 characters"

// adminDoor serves the admin door of an app, and returns its URL.
func adminDoor(t *testing.T, cache *freshet.Cache) string {
	mux := http.NewServeMux()
	mux.Handle("/admin/", http.StripPrefix("/admin", admin.New(cache, admin.NewWatch(),
		admin.Options{Authenticate: admin.Tokens(doorToken, "one-word-of-24-characters"),
			Hosts: []string{"shop.example"}})))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/admin"
}

// An app is asked by its door: its own mount and policy answer.
func TestExplainAsksADoor(t *testing.T) {
	keeps := memstore.New(1 << 20)
	defer keeps.Close()
	cache := freshet.New(keeps, freshet.Options{})
	defer cache.Shutdown(t.Context())
	runs := 0
	hour := cache.With(freshet.Policy{TTL: time.Hour})
	cache.Root(hour(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs++
		fmt.Fprint(w, "page")
	})))
	at := adminDoor(t, cache)
	environ := []string{"FRESHET_TOKEN=" + doorToken}
	target := "https://shop.example/page?q=1"

	_, out, errs := explaining(t, "", environ, target, "--door", at)
	if runs != 0 || !strings.Contains(out, "GET "+target) ||
		!strings.Contains(out, "The handler would be asked.") {
		t.Errorf("%d runs, %s\n%s", runs, errs, out)
	}
	_, out, errs = explaining(t, "", append(environ, "FRESHET_DOOR="+at), target)
	if !strings.Contains(out, "GET "+target) || !strings.Contains(out, "The handler would be asked.") {
		t.Errorf("with FRESHET_DOOR: %s\n%s", errs, out)
	}
	status, _, errs := explaining(t, "", []string{"FRESHET_DOOR=ftp://x"}, target)
	if status != exitUsage || !strings.Contains(errs, `FRESHET_DOOR "ftp://x"`) {
		t.Errorf("a FRESHET_DOOR that is none: status %d, %s", status, errs)
	}
	_, out, errs = explaining(t, "", nil, "--door="+at, "--fetch", "--token-file",
		writeRecorded(t, "token", "one-word-of-24-characters\n"), target, "--header", "Cookie: a=SECRET")
	if runs != 1 || !strings.Contains(out, "detail=cookie") || strings.Contains(out, "SECRET") {
		t.Errorf("%d runs, %s\n%s", runs, errs, out)
	}
	_, out, _ = explaining(t, "", environ, target, "--door", at, "--method",
		"DELETE", "--fetch")
	if runs != 1 || !strings.Contains(out, "invalidates") {
		t.Errorf("%d runs\n%s", runs, out)
	}
	for _, c := range []struct {
		environ []string
		target  string
		at      string
		status  int
		says    string
	}{
		{[]string{"FRESHET_TOKEN=wrong"}, target, at, exitRefused, "wants another token"},
		{nil, target, at, exitRefused, "wants a token"},
		{environ, "https://other.example/", at, exitFailed, `the host \"other.example\" is none`},
		{environ, target, strings.TrimSuffix(at, "/admin"), exitNoDoor, "is none"},
		{environ, target, "http://127.0.0.1:9", exitFailed, "connection refused"},
	} {
		status, out, errs := explaining(t, "", c.environ, c.target, "--door", c.at)
		if status != c.status || out != "" || !strings.Contains(errs, c.says) {
			t.Errorf("%s by %s: %d, %s, %s", c.target, c.at, status, out, errs)
		}
	}
}

// A token of debug-token is good for the app that has the key.
func TestDebugToken(t *testing.T) {
	key := writeRecorded(t, "debug.key", "0123456789abcdef0123\n")
	var stdout, stderr bytes.Buffer
	if status := runDebugToken([]string{"--key-file", key, "--for", "5m",
		"http://shop.example/page?q=1"}, &stdout, &stderr); status != exitOK {
		t.Fatalf("%d, %s", status, &stderr)
	}
	keeps := memstore.New(1 << 20)
	defer keeps.Close()
	cache := freshet.New(keeps, freshet.Options{DebugKey: []byte("0123456789abcdef0123")})
	defer cache.Shutdown(t.Context())
	app := cache.Handler(http.NotFoundHandler())
	r := httptest.NewRequest("GET", "http://shop.example/page", nil)
	r.Header.Set("Freshet-Debug", strings.TrimSpace(stdout.String()))
	w := httptest.NewRecorder()
	app.ServeHTTP(w, r)
	if got := w.Header().Get("Freshet-Explain"); !strings.Contains(got, "no-lifetime") {
		t.Errorf("the explanation is %q", got)
	}
	for _, args := range [][]string{{}, {"--key-file", key}, {"--key-file", "/nowhere/at/all",
		"http://h/"}, {"--key-file", key, "--for", "2h", "http://h/"}, {"--key-file", key, "h"}} {
		stderr.Reset()
		if status := runDebugToken(args, &stdout, &stderr); status != exitUsage || stderr.Len() == 0 {
			t.Errorf("%q: %d, %s", args, status, &stderr)
		}
	}
}

// The flags of the proxy that count here are flags of the proxy, and --help has all.
func TestExplainsFlags(t *testing.T) {
	_, proxys := newProxyFlags()
	for _, name := range ofPolicy {
		if proxys.Lookup(name) == nil {
			t.Errorf("freshet proxy has no flag --%s", name)
		}
		if !strings.Contains(explainUsage, "--"+name) {
			t.Errorf("--help says nothing of --%s", name)
		}
	}
}

// docs/why-not-cached.md shows what the commands print.
func TestThePageShowsWhatIsPrinted(t *testing.T) {
	text, err := os.ReadFile("../../docs/why-not-cached.md")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Set-Cookie", "sid=abc; Path=/; HttpOnly")
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "<p>prices</p>")
	}))
	server.Start()
	defer server.Close()
	_, printed, errs := explaining(t, "", nil, server.URL+"/prices")
	printed = strings.ReplaceAll(printed, strings.TrimPrefix(server.URL, "http://"),
		"localhost:8080")
	printed = regexp.MustCompile(`came      \S+`).ReplaceAllString(printed,
		"came      2026-11-29T10:00:00Z")
	shown := regexp.MustCompile(
		"(?s)```\n(GET http://localhost:8080/prices\n.*?)```").FindStringSubmatch(string(text))
	if shown == nil || shown[1] != printed {
		t.Errorf("docs/why-not-cached.md does not show what freshet explain prints (%s):\n%s", errs,
			printed)
	}
	recording := regexp.MustCompile("(?s)```http\n(.*?)```").FindStringSubmatch(string(text))
	if recording == nil {
		t.Fatal("docs/why-not-cached.md has no recording")
	}
	status, out, errs := explaining(t, recording[1], nil, "--ttl", "1m")
	verdict, _, _ := strings.Cut(out, "\nThe exchange")
	if status != exitOK || !strings.Contains(string(text), "```\n"+verdict+"```\n") {
		t.Errorf("docs/why-not-cached.md does not show the verdict (%s):\n%s", errs, out)
	}
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/cmd/freshet/door"
	"github.com/freshet-go/freshet/store/memstore"
)

// operated is an app with a door.
type operated struct {
	site, door string
	environ    []string // of commands that ask the door
	close      func()
}

// operate serves an app at an address with the port 0, or at one that was served before.
func operate(t *testing.T, address string) *operated {
	t.Helper()
	pages := memstore.New(64 << 20)
	watch := admin.NewWatch()
	cache := freshet.New(pages, freshet.Options{Observe: watch.Observe})
	mux := http.NewServeMux()
	mux.Handle("/__freshet__/", http.StripPrefix("/__freshet__", admin.New(cache, watch,
		admin.Options{Authenticate: admin.Tokens(doorToken)})))
	mux.Handle("/", cache.With(freshet.Policy{TTL: time.Hour})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/cart") {
				w.Header().Set("Cache-Control", "no-store")
			}
			io.WriteString(w, r.URL.Path)
		})))
	server := httptest.NewUnstartedServer(cache.Root(mux))
	server.Listener.Close()
	server.Listener = listenAt(t, address)
	server.Start()
	o := &operated{site: server.URL, door: server.URL + "/__freshet__"}
	o.environ = []string{"FRESHET_DOOR=" + o.door, "FRESHET_TOKEN=" + doorToken}
	closed := false
	o.close = func() {
		if closed {
			return
		}
		closed = true
		server.CloseClientConnections() // an event stream does not end by itself
		server.Close()
		cache.Shutdown(context.Background())
		pages.Close()
	}
	t.Cleanup(o.close)
	return o
}

// visit asks for pages, as clients do.
func (o *operated) visit(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		res, err := http.Get(o.site + path)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

// Where there is no terminal, they print once, as text or as the door's JSON, and escape what an
// attacker put into a path.
func TestTopAndStatsWithoutATerminal(t *testing.T) {
	o := operate(t, "127.0.0.1:0")
	o.visit(t, "/a", "/a", "/a", "/cart", "/%1b%5d0;owned%07%c2%9b2J")
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"stats"}, []string{"hit ratio 40.0 %, 5 requests", "\nno-store  unstored",
			"\nhandlers       3  ", "\nmemory        2  ", "journal: of this process alone"}},
		{[]string{"top"}, []string{"dearest misses, by time:\n", `/\x1b]0;owned\a\u009b2J`, "/cart",
			"most served"}},
		{[]string{"top", "--rows", "1"}, []string{"dearest misses"}},
		{[]string{"stats", "--json"}, []string{`{"now":`}},
		{[]string{"top", "--json"}, []string{`{"misses":[`, `/\u001b]0;owned\u0007\u009b2J`}},
		{[]string{"top", "--json", "--rows=1"}, []string{`],"served":[]}`}},
	} {
		status, out, errs := ran(t, o.environ, c.args...)
		if status != exitOK || errs != "" {
			t.Errorf("%q: status %d, %s", c.args, status, errs)
		}
		for _, says := range c.says {
			if !strings.Contains(out, says) {
				t.Errorf("%q: nothing of %q in\n%s", c.args, says, out)
			}
		}
		if strings.ContainsAny(out, "\x1b\a\u009b") {
			t.Errorf("%q: control characters: %q", c.args, out)
		}
		isJSON := json.Valid([]byte(out)) && strings.Count(out, "\n") == 1
		if wants := strings.Contains(strings.Join(c.args, " "), "--json"); isJSON != wants {
			t.Errorf("%q: a line of JSON: %t: %s", c.args, isJSON, out)
		}
	}
	if _, out, _ := ran(t, o.environ, "top", "--rows=1"); strings.Count(out, "127.0.0.1") != 1 {
		t.Errorf("one row:\n%s", out)
	}
}

// With an interval they print again, until Ctrl-C. While the app is away they go on asking, and say
// once since when, and once that it is back.
func TestWatchingOutlivesTheApp(t *testing.T) {
	for _, name := range []string{"stats", "top"} {
		synctest.Test(t, func(t *testing.T) {
			texts := map[string]string{"stats": `{"now":"2026-11-29T10:00:00Z","times":{}}`,
				"top": `{"misses":[],"served":[]}`}
			asked := 0
			app := answering(func(r *http.Request) (*http.Response, error) {
				switch asked++; asked {
				case 3, 4, 5:
					return nil, errors.New("connection refused")
				case 6: // the app is not ready yet
					return &http.Response{StatusCode: 503, Body: io.NopCloser(strings.NewReader("wait")),
						Header: http.Header{admin.VersionField: {admin.Version}}}, nil
				}
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(texts[name])),
					Header: http.Header{admin.VersionField: {admin.Version}}}, nil
			})
			at, _ := url.Parse("http://app.example/door")
			flags := watchFlags{client: &door.Client{At: at, Transport: app}, json: true,
				interval: time.Minute}
			f := watched(&watchedTop{watchFlags: flags})
			if name == "stats" {
				f = &watchedStats{watchFlags: flags}
			}
			began := time.Now()
			ctx, interrupt := context.WithTimeout(t.Context(), 7*time.Minute+time.Second)
			defer interrupt()
			var out, errs strings.Builder
			status := flags.watch(ctx, name, f, call{stdout: &out, stderr: &errs})
			if status != exitOK || strings.Count(out.String(), texts[name]) != 4 || asked != 8 {
				t.Errorf("%s: status %d, asked %d times:\n%s", name, status, asked, &out)
			}
			if want := "freshet " + name + ": the door http://app.example/door did not answer: connection " +
				"refused (since " + began.Add(2*time.Minute).Local().Format(time.TimeOnly) +
				"); it is asked again\nfreshet " + name + ": it answers again, after 4m0s\n"; errs.String() != want {
				t.Errorf("it says\n%s\nwant\n%s", &errs, want)
			}
		})
	}
}

// At the start the app must answer, and afterwards what no time mends ends it.
func TestWatchingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for refused, want := range map[int]int{1: exitFailed, 2: exitRefused} {
			asked := 0
			app := answering(func(r *http.Request) (*http.Response, error) {
				if asked++; asked < refused {
					return &http.Response{StatusCode: 200, Header: http.Header{
						admin.VersionField: {admin.Version}}, Body: io.NopCloser(strings.NewReader(
						`{"misses":[],"served":[]}`))}, nil
				} else if refused == 1 {
					return nil, errors.New("connection refused")
				}
				return &http.Response{StatusCode: 401, Body: http.NoBody}, nil
			})
			at, _ := url.Parse("http://app.example/door")
			f := &watchedTop{watchFlags: watchFlags{client: &door.Client{At: at, Transport: app},
				interval: time.Second, json: true}, rows: 1}
			var errs strings.Builder
			if status := f.watch(t.Context(), "top", f, call{stdout: io.Discard, stderr: &errs}); status != want ||
				strings.Count(errs.String(), "\n") != 1 || asked != refused {
				t.Errorf("status %d, asked %d times: %s", status, asked, &errs)
			}
		}
	})
}

// freshet top says that handlers run since nothing stored is used.
func TestTopWarnsOfTheJournal(t *testing.T) {
	app := answering(func(r *http.Request) (*http.Response, error) {
		text := `{"misses":[],"served":[]}`
		if strings.HasSuffix(r.URL.Path, "/stats") {
			text = `{"now":"2026-11-29T10:00:00Z","times":{},"journal":{"shared":true,"lag":-1,"max_lag":5}}`
		}
		return &http.Response{StatusCode: 200, Header: http.Header{admin.VersionField: {admin.Version}},
			Body: io.NopCloser(strings.NewReader(text))}, nil
	})
	at, _ := url.Parse("http://app.example/door")
	f := &watchedTop{watchFlags: watchFlags{client: &door.Client{At: at, Transport: app}}, rows: 1}
	var out strings.Builder
	status := f.watch(t.Context(), "top", f, call{stdout: &out, stderr: io.Discard})
	if status != exitOK || !strings.HasPrefix(out.String(),
		"! journal: it has never answered: nothing stored is used\ndearest misses, by time:\n") {
		t.Errorf("status %d:\n%s", status, &out)
	}
}

// answering is an app as a transport.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// Whatever is wrong with the door, log, top and stats say it in the same words, with one status.
func TestWrongDoors(t *testing.T) {
	o := operate(t, "127.0.0.1:0")
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(admin.VersionField, "99")
	}))
	defer old.Close()
	folder := t.TempDir()
	for _, name := range []string{"right", "wrong"} {
		token := map[string]string{"right": doorToken, "wrong": "a b"}[name]
		if err := os.WriteFile(filepath.Join(folder, name), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{{"log"}, {"top"}, {"stats"}, {"purge", "http://a.example/"}} {
		for _, c := range []struct {
			story   string
			environ []string
			args    []string
			status  int
			says    string
		}{
			{"no door", nil, nil, exitUsage,
				"--door is missing, and FRESHET_DOOR in the environment"},
			{"a door that is none", nil, []string{"--door", "127.0.0.1:8080"}, exitUsage,
				`--door "127.0.0.1:8080": allowed is an http or https URL`},
			{"one with a password", nil, []string{"--door", "http://a:b@c/"}, exitUsage,
				"without user and query"},
			{"a variable that is none", []string{"FRESHET_DOOR=door"}, nil, exitUsage,
				`environment variable FRESHET_DOOR "door": allowed is`},
			{"no app", nil, []string{"--door", "http://127.0.0.1:9"}, exitFailed,
				"the door http://127.0.0.1:9 did not answer: "},
			{"no token", o.environ[:1], nil, exitRefused, "wants a token (status 401)"},
			{"another token", append(o.environ[:1:1], "FRESHET_TOKEN=x"), nil, exitRefused,
				"wants another token (status 401)"},
			{"a file of no token", o.environ, []string{"--token-file", folder + "/wrong"}, exitUsage,
				"holds no token"},
			{"no file", o.environ, []string{"--token-file", folder + "/none"}, exitUsage,
				"no such file"},
			{"another place", o.environ, []string{"--door", o.site + "/a"}, exitNoDoor,
				"is not the admin door of a Freshet"},
			{"another version", o.environ, []string{"--door", old.URL}, exitNoDoor,
				`speaks version "99", and this freshet version "1"`},
			{"a word", o.environ, []string{"fast"}, exitUsage, `"fast"`},
			{"a flag that is none", o.environ, []string{"--dor", "x"}, exitUsage,
				"there is no flag --dor; --door was meant?"},
			{"one twice", o.environ, []string{"--json", "--json"}, exitUsage,
				"--json is given twice: keep one"},
		} {
			status, out, errs := ran(t, c.environ, append(command[:len(command):len(command)],
				c.args...)...)
			if status != c.status || out != "" || !strings.HasPrefix(errs, "freshet "+command[0]+": ") ||
				!strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 {
				t.Errorf("freshet %s, %s: status %d, %q, want %d and %q", command, c.story, status,
					out+errs, c.status, c.says)
			}
		}
	}
	status, _, errs := ran(t, o.environ, "top", "--interval", "10ms")
	if status != exitUsage || !strings.Contains(errs, "from 100ms") {
		t.Errorf("an interval that is too short: %d, %s", status, errs)
	}
	status, _, errs = ran(t, o.environ, "top", "--rows", "257")
	if status != exitUsage || !strings.Contains(errs, "allowed is a number from 1 to 256") {
		t.Errorf("more rows than there are: %d, %s", status, errs)
	}
}

// recordedDoor answers as the door of examples/operated did once. Its events do not end.
func recordedDoor(t *testing.T) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Base(r.URL.Path)
		if wait := r.URL.Query().Get("wait"); wait != "" {
			name += "-" + wait
		}
		text, err := os.ReadFile("testdata/door/" + name + ".json")
		if err != nil {
			t.Error(err)
		}
		w.Header().Set(admin.VersionField, admin.Version)
		w.Write(text)
		if filepath.Base(r.URL.Path) == "events" {
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// What docs/door.md shows is what the commands print of that. FRESHET_UPDATE=1 writes it there.
func TestDocsShowWhatWatchingPrints(t *testing.T) {
	const page = "../../docs/door.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	door := recordedDoor(t)
	recorded, err := os.ReadFile("testdata/door/events.json")
	if err != nil {
		t.Fatal(err)
	}
	parts, shown := strings.Split(string(text), "```"), 0
	for i := 1; i < len(parts); i += 2 {
		line, said, _ := strings.Cut(strings.TrimPrefix(parts[i], "console\n"), "\n")
		words, ok := strings.CutPrefix(line, "$ freshet ")
		if !ok {
			continue
		}
		shown++
		cmd := command([]string{"FRESHET_DOOR=" + door.URL, "TZ=UTC"}, strings.Fields(words)...)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		var printed strings.Builder
		for in := bufio.NewScanner(out); in.Scan(); {
			printed.WriteString(in.Text() + "\n")
			if strings.HasPrefix(words, "log") &&
				strings.Count(printed.String(), "\n") == strings.Count(string(recorded), "\n") {
				cmd.Process.Signal(os.Interrupt)
			}
		}
		status := exitOK
		if strings.Contains(words, "--wait") { // and not everywhere, as the page says
			status = exitBehind
		}
		if cmd.Wait(); cmd.ProcessState.ExitCode() != status {
			t.Errorf("%s: %v, want %d", line, cmd.ProcessState, status)
		}
		if printed.String() != said {
			t.Errorf("%s\nprints\n%s\nthe page says\n%s", line, &printed, said)
		}
		parts[i] = "console\n" + line + "\n" + printed.String()
	}
	if shown != 5 {
		t.Errorf("the page shows %d commands, want 5", shown)
	}
	if os.Getenv("FRESHET_UPDATE") != "" {
		if err := os.WriteFile(page, []byte(strings.Join(parts, "```")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

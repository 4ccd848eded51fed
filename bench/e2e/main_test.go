package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

func TestFlags(t *testing.T) {
	s, chosen, err := parseFlags([]string{"-rounds", "2", "-only", "nginx,bare", "-out",
		"/somewhere"}, io.Discard)
	if err != nil || s.Rounds != 2 || len(chosen) != 2 || chosen[0].name != "bare" ||
		chosen[1].name != "nginx" {
		t.Errorf("got %+v, %v, %v", s, chosen, err)
	}
	if want := "cd bench && go run ./e2e -only nginx,bare -rounds 2"; s.Command != want {
		t.Errorf("the command is %q, want %q", s.Command, want)
	}
	for want, args := range map[string][]string{
		`there is no "apache"`: {"-only", "bare,apache"},
		"at least 1s":          {"-time", "500ms"},
		"whole seconds":        {"-warmup", "1500ms"},
		"-rounds 0":            {"-rounds", "0"},
		"-connections -1":      {"-connections", "-1"},
		"good for an hour":     {"-time", "10m"},
		`"now" is no flag`:     {"now"},
		`there is no "405"`:    {"-ask", "page,405"},
	} {
		if _, _, err := parseFlags(args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
	var help bytes.Buffer
	if _, _, err := parseFlags([]string{"-help"}, &help); !errors.Is(err, flag.ErrHelp) ||
		!strings.Contains(help.String(), "freshet-redis-far") {
		t.Errorf("-help: %v\n%s", err, help.String())
	}
}

// A cache that does not cache, answers with another length or with another status is not measured.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    kind
		status  int
		length  int
		runsBy  int64 // for each request
		problem string
	}{
		{"a cache", other, 200, asks[0].size, 0, ""},
		{"the bare handler", floor, 200, asks[0].size, 1, ""},
		{"no cache", other, 200, asks[0].size, 1, "nothing does not answer from its cache: its " +
			"handler ran 10 times for 10 requests"},
		{"a cache before the bare handler", floor, 200, asks[0].size, 0, "nothing has no cache, yet " +
			"its handler ran 0 times"},
		{"an error", other, 503, asks[0].size, 0, "answers with 503"},
		{"another page", other, 200, 12, 0, "answers with 12 bytes, where 1024 are due"},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs := int64(0) // by one client, which asks for one thing after the other
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				if r.URL.Path == "/runs" {
					io.WriteString(w, thousandless(runs))
					return
				}
				runs += c.runsBy
				w.WriteHeader(c.status)
				w.Write(make([]byte, c.length))
			}))
			defer server.Close()
			r := &running{contestant: contestant{name: "nothing", kind: c.kind}, url: server.URL +
				pagePath, control: server.URL, main: &process{}, ask: &asks[0]}
			head, err := r.check(t.Context())
			switch {
			case c.problem == "" && (err != nil || head < 50):
				t.Errorf("a head of %d bytes, %v", head, err)
			case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
				t.Errorf("got %v, want %q", err, c.problem)
			}
		})
	}
}

func thousandless(n int64) string { return strings.ReplaceAll(thousands(float64(n)), ",", "") }

// wrk is given the requests of an ask: as many pages as Zipf's law wants, or another one each time.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	content := func(a ask) string {
		t.Helper()
		path, err := a.script(dir, time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		if path == "" {
			return ""
		}
		lua, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(lua)
	}
	for _, a := range asks {
		lua := content(a)
		if (lua != "") != (a.anew || a.pages > 0) {
			t.Errorf("%s: the script is %.40q", a.name, lua)
		}
	}
	all, err := chooseAsks("keys,miss")
	if err != nil {
		t.Fatal(err)
	}
	numbers := all[0].numbers()
	few := map[uint64]int{}
	for _, n := range numbers {
		if few[n]++; n >= 100_000 {
			t.Fatalf("page %d of 100,000", n)
		}
	}
	if len(numbers) != sampled || len(few) < 5000 || few[0] < 10*few[20] {
		t.Errorf("%d requests for %d pages, %d for the first and %d for the 21st: no Zipf's law", len(numbers),
			len(few), few[0], few[20])
	}
	first := content(all[1])
	path, err := all[1].script(dir, time.Unix(2, 0))
	if err != nil {
		t.Fatal(err)
	}
	if later, _ := os.ReadFile(path); string(later) == first {
		t.Error("two turns ask for the same new pages")
	}
}

// A server that ends at once is told with what it wrote.
func TestAServerThatDoesNotStart(t *testing.T) {
	e := &ensemble{dir: t.TempDir(), cores: cores{server: -1, load: -1}}
	defer e.end()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.launch(context.Background(), -1, address, "sh", "-c",
		"echo no such option >&2; exit 1"); err == nil || !strings.Contains(err.Error(),
		"no such option") {
		t.Errorf("got %v", err)
	}
}

func TestAProgramThatIsMissing(t *testing.T) {
	if _, err := program("no-such-program-here"); err == nil || !strings.Contains(err.Error(), "make bench") {
		t.Errorf("got %v", err)
	}
}

func TestParseTop(t *testing.T) {
	lines, err := parseTop(`File: server
Type: cpu
Duration: 5.10s, Total samples = 4900ms (96.08%)
Showing nodes accounting for 900ms, 18.37% of 4900ms total
      flat  flat%   sum%        cum   cum%
     900ms 18.37% 18.37%      900ms 18.37%  internal/runtime/syscall.Syscall6
         0     0% 18.37%     4800ms 97.96%  net/http.(*conn).serve (inline)
`)
	want := []top{{"internal/runtime/syscall.Syscall6", "900ms", "18.37%", "900ms", "18.37%"},
		{"net/http.(*conn).serve (inline)", "0", "0%", "4800ms", "97.96%"}}
	if err != nil || len(lines) != 2 || lines[0] != want[0] || lines[1] != want[1] {
		t.Errorf("got %v, %v", lines, err)
	}
	if _, err := parseTop("no such file"); err == nil {
		t.Error("no table and no error")
	}
}

// A profile says nothing of where its binary lay, and is a profile still.
func TestAProfileWithoutFolders(t *testing.T) {
	var taken bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&taken, 0); err != nil {
		t.Fatal(err)
	}
	without, err := withoutFolders(taken.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/without.pprof"
	if err := os.WriteFile(path, without, 0o644); err != nil {
		t.Fatal(err)
	}
	raw, err := exec.Command("go", "tool", "pprof", "-raw", path).CombinedOutput()
	if err != nil || !strings.Contains(string(raw), "TestAProfileWithoutFolders") {
		t.Fatalf("go tool pprof does not read it: %v\n%s", err, raw)
	}
	if i := bytes.Index(raw, []byte(" /")); i >= 0 {
		t.Errorf("an absolute path: %.80s", raw[i:])
	}
	if _, err := withoutFolders([]byte("no profile")); err == nil {
		t.Error("what is no profile is taken for one")
	}
}

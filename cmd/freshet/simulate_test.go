package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vbauerster/mpb/v8"

	"github.com/freshet-go/freshet/internal/accesslog"
)

// simulation runs freshet simulate among the logs of testdata.
func simulation(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := command(nil, append([]string{"simulate"}, args...)...)
	cmd.Dir = "testdata"
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok {
		status = exit.ExitCode()
	}
	return out.String(), errs.String(), status
}

// What docs/simulate.md says that freshet simulate prints is what it prints. UPDATE_DOCS=1 writes
// it there.
func TestSimulatePageShowsWhatIsPrinted(t *testing.T) {
	const page = "../../docs/simulate.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "```")
	shown := 0
	for i := 1; i < len(parts); i += 2 {
		line, said, _ := strings.Cut(strings.TrimPrefix(parts[i], "\n"), "\n")
		words, ok := strings.CutPrefix(line, "$ freshet simulate ")
		if !ok {
			continue
		}
		shown++
		printed, errs, status := simulation(t, "", shellWords(words)...)
		if status != 0 || errs != "" {
			t.Errorf("%s: status %d, %s", line, status, errs)
		}
		if printed != said {
			t.Errorf("%s\nprints\n%s\nthe page says\n%s", line, printed, said)
		}
		parts[i] = "\n" + line + "\n" + printed
	}
	if shown != 3 {
		t.Errorf("the page shows %d commands, want 3", shown)
	}
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(page, []byte(strings.Join(parts, "```")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shellWords cuts a line at spaces that do not stand between single quotes.
func shellWords(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words[len(words)-1] += part
			continue
		}
		fields := strings.Fields(part)
		if strings.HasPrefix(part, " ") || i == 0 {
			words = append(words, fields...)
		}
		if strings.HasSuffix(part, " ") {
			words = append(words, "")
		}
	}
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

func TestShellWords(t *testing.T) {
	got := shellWords(`--ttl 5m --ttl '/static/*=1h' --what-if 'a b' access.log`)
	if want := []string{"--ttl", "5m", "--ttl", "/static/*=1h", "--what-if", "a b", "access.log"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestSimulateReadsWhateverIsNamed(t *testing.T) {
	log, err := os.ReadFile("testdata/access.log")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(log), "\n")
	folder := t.TempDir()
	older, newer := filepath.Join(folder, "access.log.1.gz"), filepath.Join(folder, "access.log")
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, strings.Join(lines[:100], ""))
	z.Close()
	for name, content := range map[string]string{older: zipped.String(),
		newer: strings.Join(lines[100:], "")} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, _, _ := simulation(t, "", "access.log")
	table := func(s string) string { s, _, _ = strings.Cut(s, "Not kept"); return s }
	if got, errs, status := simulation(t, "", newer, older); table(got) != table(want) ||
		status != 0 {
		t.Errorf("rotated files: %s%s", got, errs)
	}
	if got, errs, status := simulation(t, string(log), "-"); table(got) != table(want) ||
		status != 0 {
		t.Errorf("standard input: %s%s", got, errs)
	}
	for _, json := range []string{"--json=false", "--json"} {
		for log, says := range map[string]string{
			"": "the log is empty: a log is in the common or the combined format, or lines of JSON as nginx",
			"torn\nworn\n": "none of the log's lines can be read, such as standard input:1: in no format " +
				"that is known: torn; a log is in the common or the combined format, or lines of JSON as nginx",
		} {
			got, errs, status := simulation(t, log, json, "-")
			if status != exitUsage || got != "" || !strings.Contains(errs, says) ||
				strings.Count(errs, "\n") != 1 {
				t.Errorf("%s, %q: status %d, %s%s", json, log, status, got, errs)
			}
		}
	}
}

func TestSimulateAsJSONAndAsPicture(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "chart.svg")
	out, errs, status := simulation(t, "", "--json", "--svg", picture, "--what-if", "ttl=5m",
		"access.log")
	if status != 0 || errs != "" {
		t.Fatalf("status %d, %s", status, errs)
	}
	var report struct {
		Alternatives []struct {
			Name     string
			HitRatio float64 `json:"hit_ratio"`
			Requests int64
			Groups   []struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	a := report.Alternatives
	if len(a) != 2 || a[1].Name != "ttl=5m" || a[0].Requests != 252 ||
		a[1].HitRatio <= a[0].HitRatio || len(a[0].Groups) != 6 {
		t.Errorf("%+v", a)
	}
	svg, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := bytes.Count(svg, []byte(`class="label"`)); n != 4 || !bytes.Contains(svg, []byte("prefers-color-scheme:dark")) {
		t.Errorf("%d lines in the picture", n)
	}
	_, errs, status = simulation(t, "", "--svg", filepath.Join(t.TempDir(), "none", "chart.svg"),
		"access.log")
	if status != 1 || !strings.Contains(errs, "freshet simulate: --svg: open ") {
		t.Errorf("a picture that cannot be written: status %d, %s", status, errs)
	}
}

// The rules of the proxy's file, and those of the command line before them, govern as they do in
// the proxy; its other settings count where no flag says otherwise.
func TestSimulateByRules(t *testing.T) {
	ini := iniOf(t, "proxy.memory = 8MiB", "proxy.stale-if-error = 9s", "[rules]",
		"/static/* type * = 1h", "/shop/* = pass", "/never/* = 1m")
	out, errs, status := simulation(t, "", "--config", ini, "--rule", "/news/* = 5m", "--by", "rule",
		"--what-if", "ttl=0.1x", "access.log")
	if status != 0 || errs != "" {
		t.Fatalf("status %d, %s", status, errs)
	}
	for _, want := range []string{
		"With 8 MiB of memory, no TTL, 4 rules, stale for 9s on errors.",
		"\n/static/* type *         102  96.1 %      0       4       0 ",
		"\n/news/*                   64  ", "\n/shop/*                   37   0.0 %      0       0      37 ",
		"\n(no rule)                 49   0.0 %", "\nttl=0.1x  ", " pass-policy",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing of %q in\n%s", want, out)
		}
	}
	if hits := strings.Count(out, "  96.1 %"); hits != 1 {
		t.Errorf("a tenth of the lifetimes changes nothing:\n%s", out)
	}
	out, _, _ = simulation(t, "", "--config", ini, "--ttl", "/static/*=0s", "--memory=9MiB", "--ttl=1m",
		"--by=rule", "access.log")
	for _, want := range []string{"With 9 MiB of memory, a TTL of 1m, 3 rules, 0s for /static/*",
		"\n/static/*         102   0.0 %"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing of %q in\n%s", want, out)
		}
	}
}

// Rules by type need the types of responses: there is no number where the log has none, and the end
// of the path does not tell one.
func TestSimulateByTypes(t *testing.T) {
	const line = `{"time_iso8601":"2026-11-27T18:00:07+00:00","request_method":"GET","request_uri":"/page",` +
		`"status":"200","body_bytes_sent":"10"%s}` + "\n"
	const typed = `,"sent_http_content_type":"text/html; charset=utf-8"`
	untyped := strings.ReplaceAll(line, "%s", "")
	html := strings.ReplaceAll(line, "%s", typed)
	image := strings.ReplaceAll(untyped, "/page", "/a.png")
	for _, c := range []struct{ story, log, rule, says string }{
		{"no types", strings.Repeat(untyped, 4), "/* type text/html = 1h", "the log has no content types, and " +
			"rules by type govern 4 of its responses of which the end of the path tells none: nobody knows " +
			"which rule counts; log the type, with nginx as JSON with \"sent_http_content_type\":"},
		{"nearly none without a type", strings.Repeat(image, 200) + untyped, "/* type image/*|text/html = 1h",
			"does not say the type: 1; they count as without one.\n"},
		{"types", strings.Repeat(html, 4), "/* type text/html = 1h", "\n75.0 % of 4 requests would be hits"},
		{"some types", strings.Repeat(html, 4) + untyped, "/* type text/html = 1h", "- Responses under a rule by " +
			"type of which the log does not say the type: 1; they count as without one.\n"},
		{"the path tells", strings.Repeat(image, 4), "/* type image/* = 1h", "\n75.0 % of 4 requests would be"},
		{"any type", strings.Repeat(untyped, 4), "/* type * = 1h", "\n75.0 % of 4 requests would be hits"},
		{"other paths", strings.Repeat(untyped, 4), "/image/* type image/* = 1h", "\n0.0 % of 4 requests would be"},
		{"no rule", strings.Repeat(untyped, 4), "/page = 1h", "lives by a rule: fewer hits than here"},
		{"no rule", strings.Repeat(untyped, 4), "/page = 1h", "fields: rules stand for every lifetime"},
	} {
		out, errs, status := simulation(t, c.log, "--rule", c.rule, "-")
		if refused := c.story == "no types"; !strings.Contains("\n"+out+errs, c.says) ||
			refused != (status == exitUsage && out == "") || !refused && status != exitOK {
			t.Errorf("%s: status %d, %s%s, want %q", c.story, status, out, errs, c.says)
		}
	}
}

func TestWrongSimulations(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{nil, "a log is missing"},
		{[]string{"none.log"}, "open none.log: "},
		{[]string{"--ttl", "soon", "access.log"}, `--ttl "soon": allowed is a length of time`},
		{[]string{"--ttl", "static=5m", "access.log"},
			`--ttl "static=5m": allowed is a length of time such as 5m, or a pattern of paths`},
		{[]string{"--ttl", "5m", "--ttl", "6m", "access.log"}, `--ttl "6m": given twice`},
		{[]string{"--rule", "/x = soon", "access.log"}, `--rule: /x: "soon": `},
		{[]string{"--config", "none.ini", "access.log"}, "none.ini"},
		{[]string{"--memory", "5", "access.log"}, `--memory "5": allowed is`},
		{[]string{"--vary", "a b", "access.log"},
			`--vary "a b": allowed are names of request fields`},
		{[]string{"--ignore-params", "a*b", "access.log"},
			`--ignore-params "a*b": allowed are names of query parameters`},
		{[]string{"--what-if", "speed=2x", "access.log"},
			`there is no "speed" to change: allowed are memory, ttl`},
		{[]string{"--what-if", "memory=-1x", "access.log"}, `--what-if "memory=-1x": allowed is memory ` +
			"from 1MiB, or a factor greater than 0, such as 2x"},
		{[]string{"--what-if", "memory=1", "access.log"}, `--what-if "memory=1": allowed is memory from 1MiB`},
		{[]string{"--what-if", "ttl=x", "access.log"}, `--what-if "ttl=x": allowed is a length of time ` +
			"such as 5m, or a factor greater than 0, such as 2x or 0.5x"},
		{[]string{"--what-if", "ttl=soon memory=2x", "access.log"}, `"ttl=soon memory=2x": ttl=soon: allowed is`},
		{[]string{"--what-if", " ", "access.log"}, "allowed are changes such as memory=2x"},
		{[]string{"--by", "size", "access.log"}, `--by "size": allowed are path and rule`},
		{[]string{"access.log", "--jsn"}, "there is no flag --jsn"},
		{[]string{"-", "-"}, "- is given twice"},
		{[]string{"--json", "--json", "access.log"}, "--json is given twice: keep one; see"},
	} {
		out, errs, status := simulation(t, "", tt.args...)
		if status != exitUsage || out != "" || !strings.HasPrefix(errs, "freshet simulate: ") ||
			!strings.Contains(errs, tt.says) {
			t.Errorf("%q: status %d, says %q, want %q", tt.args, status, errs, tt.says)
		}
	}
}

func TestSimulateHelpHasEachFlag(t *testing.T) {
	_, set := newSimulateFlags()
	set.VisitAll(func(each *flag.Flag) {
		if !strings.Contains(simulateUsage, "--"+each.Name+" ") && !strings.Contains(simulateUsage,
			"--"+each.Name+"\n") {
			t.Errorf("the help says nothing of --%s", each.Name)
		}
	})
	for line := range strings.SplitSeq(simulateUsage, "\n") {
		if len(line) > 100 {
			t.Errorf("the help has a line of %d columns: %q", len(line), line)
		}
	}
	for _, text := range defaultWhatIf {
		if !strings.Contains(simulateUsage, text) {
			t.Errorf("the help does not name the default %s", text)
		}
	}
	if out, _, status := simulation(t, "", "--help"); status != 0 || out != simulateUsage {
		t.Errorf("--help: status %d, %s", status, out)
	}
}

// On a terminal a bar shows how far the logs have been read, and is gone at the end.
func TestProgress(t *testing.T) {
	var screen bytes.Buffer
	refresh := make(chan any)
	p := drawProgress(&screen, 1<<20, mpb.WithManualRefresh(refresh))
	source := p.watch(accesslog.File("testdata/access.log", nil))
	from, err := source.Open()
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, from)
	from.Close()
	if read := p.bar.Current(); err != nil || n == 0 || read != n {
		t.Errorf("%d bytes read, %d shown, %v", n, read, err)
	}
	for range 3 { // the third is taken when the first has been drawn
		refresh <- nil
	}
	p.end()
	p.end()
	if !strings.Contains(screen.String(), "reading ") || !strings.Contains(screen.String(), "%") {
		t.Errorf("the screen shows %q", screen.String())
	}
}

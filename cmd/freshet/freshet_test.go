package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var binary string // of freshet, built once

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "freshet")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(folder, "freshet")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build: %v\n%s", err, out))
	}
	var impatient context.CancelFunc
	patience, impatient = context.WithTimeout(context.Background(), 5*time.Minute)
	status := m.Run()
	impatient()
	os.RemoveAll(folder)
	os.Exit(status)
}

// patience ends when all tests should have ended long ago.
var patience context.Context

// command is freshet with an environment that has nothing of ours but environ. What should have
// ended long ago is killed, which no test takes for the end it expects.
func command(environ []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(patience, binary, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environ...)
	return cmd
}

func TestExitStatusAndMessage(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pair := newFiles(t)
	pair.issue(t, "a.example", time.Now().Add(time.Hour))
	const up = "--upstream=http://127.0.0.1:9"
	for _, c := range []struct {
		story   string
		environ []string
		args    []string
		status  int
		says    string // of the first line
	}{
		{"nothing", nil, nil, 2, "freshet caches HTTP responses"},
		{"help", nil, []string{"--help"}, 0, "freshet caches HTTP responses"},
		{"help", nil, []string{"help"}, 0, "freshet caches HTTP responses"},
		{"help of a command", nil, []string{"proxy", "--help"}, 0,
			"freshet proxy is a shared cache"},
		{"help of a command", nil, []string{"help", "proxy"}, 0, "freshet proxy is a shared cache"},
		{"version", nil, []string{"version"}, 0, "freshet "},
		{"an unknown command", nil, []string{"porxy"}, 2,
			`freshet: there is no command "porxy"; freshet proxy was meant?`},
		{"no upstream", nil, []string{"proxy"}, 2, "freshet proxy: --upstream is missing"},
		{"an unknown flag", nil, []string{"proxy", "--lsten", ":1"}, 2,
			"there is no flag --lsten; --listen was meant?"},
		{"a flag without its value", nil, []string{"proxy", "--listen"}, 2,
			"--listen needs a value"},
		{"a word", nil, []string{"proxy", up, "fast"}, 2, `"fast" is no flag`},
		{"an address without a port", nil, []string{"proxy", up, "--listen", "127.0.0.1"}, 2,
			`--listen "127.0.0.1": allowed is HOST:PORT`},
		{"a port that is none", nil, []string{"proxy", up, "--listen", ":99999"}, 2,
			`--listen ":99999": allowed is HOST:PORT`},
		{"an address of nobody", nil, []string{"proxy", up, "--listen", "192.0.2.1:8080"}, 2,
			`--listen "192.0.2.1:8080": no address of this machine`},
		{"a name that has no address", nil, []string{"proxy", up, "--listen", "no name:8080"}, 2,
			`--listen "no name:8080": `},
		{"an address in use", nil, []string{"proxy", up, "--listen", busy.Addr().String()}, 2,
			"the address is in use by another program"},
		{"an upstream without a scheme", nil, []string{"proxy", "--upstream", "127.0.0.1:9000"}, 2,
			`--upstream "127.0.0.1:9000": allowed is an http or https URL`},
		{"an upstream's port that is none", nil, []string{"proxy", "--upstream", "http://a:0"}, 2,
			"allowed is a port from 1 to 65535"},
		{"itself", nil, []string{"proxy", "--listen", ":9321", "--upstream",
			"http://localhost:9321"}, 2,
			"it would ask itself without end"},
		{"a backoff that is no number", nil, []string{"proxy", up, "--backoff", "1.5"}, 2,
			`--backoff "1.5": allowed is a whole number of seconds from 0 to 2147483648`},
		{"a percentage of nothing", nil, []string{"proxy", up, "--backoff-percentage", "5"}, 2,
			"--backoff-percentage needs --backoff"},
		{"a percentage of more than all", nil, []string{"proxy", up, "--backoff-percentage=101"}, 2,
			`--backoff-percentage "101": allowed is a number from 0 to 100`},
		{"an end that is no date", nil, []string{"proxy", up, "--eos", "soon"}, 2,
			`--eos "soon": allowed is a date such as 2027-03-31`},
		{"a message of no end", nil, []string{"proxy", up, "--eos-message", "bye"}, 2,
			"--eos-message and --eos-url need --eos"},
		{"a host that is a URL", nil, []string{"proxy", up, "--http-host", "http://a"}, 2,
			`--http-host "http://a": allowed is a host`},
		{"a scheme that is none", nil, []string{"proxy", up, "--http-scheme", "ftp"}, 2,
			`--http-scheme "ftp": allowed are http and https`},
		{"a heartbeat without a path", nil, []string{"proxy", up, "--heartbeat", "beat"}, 2,
			`--heartbeat "beat": allowed is a path without a query`},
		{"two heartbeats of one path", nil, []string{"proxy", up, "--heartbeat=/b",
			"--lbheartbeat=/b"}, 2, "are one path: give each its own"},
		{"only reading a memory of its own", nil, []string{"proxy", up, "--readonly"}, 2,
			"--readonly needs a --store that other processes fill"},
		{"a door without a token", nil, []string{"proxy", up, "--door", ":9321"}, 2,
			"--door needs a token"},
		{"a door with an empty file", nil, []string{"proxy", up, "--door", ":9321",
			"--door-token-file", file("no.token", "\n")}, 2, "holds a token of 0 bytes"},
		{"a door with a short token", []string{"FRESHET_DOOR_TOKEN=hush"}, []string{"proxy", up,
			"--door", ":9321"}, 2, "FRESHET_DOOR_TOKEN holds a token of 4 bytes: allowed are 16 to 512"},
		{"a door with two tokens", nil, []string{"proxy", up, "--door", ":9321", "--door-token-file",
			file("two.token", "sixteen-or-more-bytes\nagain")}, 2, "with white space"},
		{"a door's token that is not there", nil, []string{"proxy", up, "--door", ":9321",
			"--door-token-file", "/nowhere"}, 2, "--door-token-file: open /nowhere"},
		{"a token without a door", nil, []string{"proxy", up, "--door-token-file", "/nowhere"}, 2,
			"--door-token-file needs --door"},
		{"a door in use", []string{"FRESHET_DOOR_TOKEN=sixteen-or-more-bytes"}, []string{"proxy", up,
			"--listen", "127.0.0.1:0", "--door", busy.Addr().String()}, 2, "--door \"" +
			busy.Addr().String() + "\": the address is in use by another program"},
		{"a door where clients are", []string{"FRESHET_DOOR_TOKEN=sixteen-or-more-bytes"},
			[]string{"proxy", up, "--listen", ":9321", "--door", ":9321"}, 2,
			`--door "127.0.0.1:9321" is where --listen ":9321" serves clients`},
		{"a door that is the upstream", []string{"FRESHET_DOOR_TOKEN=sixteen-or-more-bytes"},
			[]string{"proxy", "--upstream=http://127.0.0.1:9321", "--door", ":9321"}, 2,
			"is the proxy's own --door"},
		{"no memory", nil, []string{"proxy", up, "--memory", "0"}, 2,
			`--memory "0": allowed is a number of bytes such as 65536, 64KiB or 16MiB, from 1MiB`},
		{"negative memory", nil, []string{"proxy", up, "--memory", "-5MiB"}, 2,
			`--memory "-5MiB": allowed is`},
		{"more memory than there are numbers", nil, []string{"proxy", up, "--memory",
			"99999999999GiB"}, 2,
			`--memory "99999999999GiB": allowed is`},
		{"no stall timeout", nil, []string{"proxy", up, "--stall-timeout", "soon"}, 2,
			`--stall-timeout "soon": `},
		{"no time", nil, []string{"proxy", up, "--timeout", "0"}, 2,
			`--timeout "0": allowed is a length of time greater than 0`},
		{"a time that is none", nil, []string{"proxy", up, "--stale-if-error", "soon"}, 2,
			`--stale-if-error "soon": allowed is a length of time`},
		{"a cookie that is none", nil, []string{"proxy", up, "--pass-cookies=a b"}, 2,
			`--pass-cookies "a b": allowed are names of cookies`},
		{"a star in the middle", nil, []string{"proxy", up, "--ignore-cookies=@analytics,_g*a*,b;"},
			2,
			`--ignore-cookies "@analytics,_g*a*,b;": allowed are names of cookies`},
		{"no cookie at all", []string{"FRESHET_PROXY_PASS_COOKIES=a,,b"}, []string{"proxy", up}, 2,
			"allowed are names of cookies"},
		{"neither yes nor no", nil, []string{"proxy", up, "--store-cookies=perhaps"}, 2,
			`--store-cookies "perhaps": allowed are true and false`},
		{"a name with a line break", nil, []string{"proxy", up, "--name", "a\r\nb"}, 2,
			`--name "a\r\nb": allowed are letters`},
		{"an upstream named twice", nil, []string{"proxy", "--upstream",
			"http://a,http://b,http://a"}, 2,
			"http://a is there twice"},
		{"an upstream of several that is none", nil, []string{"proxy", "--upstream",
			"http://a,,http://b"}, 2,
			`--upstream "http://a,,http://b": allowed is an http or https URL`},
		{"one of several is the proxy itself", nil,
			[]string{"proxy", "--listen", ":9321", "--upstream",
				"http://192.0.2.1,http://localhost:9321"}, 2,
			"it would ask itself without end"},
		{"the proxy itself by TLS", nil, []string{"proxy", "--listen-tls", ":9321", "--tls-cert",
			pair.cert, "--tls-key", pair.key, "--upstream", "https://localhost:9321"}, 2,
			"is the proxy's own --listen-tls :9321"},
		{"checks without a path", nil, []string{"proxy", up, "--health-fall", "2"}, 2,
			"need --health-path"},
		{"checks of what is no path", nil, []string{"proxy", up, "--health-path", "healthz"}, 2,
			`--health-path "healthz": allowed is a path`},
		{"checks for no host", nil, []string{"proxy", up, "--health-path=/", "--health-host",
			"a/b"}, 2,
			`--health-host "a/b": allowed is a host`},
		{"no check at all", nil, []string{"proxy", up, "--health-path=/", "--health-rise", "0"}, 2,
			`--health-rise "0": allowed is a number from 1`},
		{"purges from nowhere", nil, []string{"proxy", up, "--purge-from", "localhost"}, 2,
			`--purge-from "localhost": allowed are addresses and networks`},
		{"purges from an empty word", nil, []string{"proxy", up, "--purge-from", "127.0.0.1,"}, 2,
			"allowed are addresses and networks"},
		{"purges from a mapped network", nil, []string{"proxy", up, "--purge-from",
			"::ffff:10.0.0.0/104"}, 2,
			"allowed are addresses and networks"},
		{"hosts that nobody may purge", nil, []string{"proxy", up, "--purge-hosts", "a.example"}, 2,
			"--purge-hosts needs --purge-from"},
		{"hosts that are none", nil, []string{"proxy", up, "--purge-from=::1", "--purge-hosts",
			"http://a.example"}, 2,
			"allowed is a host"},
		{"TLS without a certificate", nil, []string{"proxy", up, "--listen-tls", ":0"}, 2,
			"--listen-tls needs --tls-cert and --tls-key"},
		{"a certificate for nothing", nil, []string{"proxy", up, "--tls-cert", "a", "--tls-key",
			"b"}, 2,
			"--tls-cert and --tls-key need --listen-tls"},
		{"a certificate that is not there", nil,
			[]string{"proxy", up, "--listen-tls", "127.0.0.1:0", "--tls-cert", "/nowhere",
				"--tls-key", "/nowhere"}, 2,
			`--tls-cert "/nowhere", --tls-key "/nowhere": open /nowhere: no such file`},
		{"an address by TLS in use", nil, []string{"proxy", up, "--listen-tls",
			busy.Addr().String(), "--tls-cert", pair.cert, "--tls-key", pair.key}, 2,
			`--listen-tls "` + busy.Addr().String() + `": the address is in use`},
		{"a form of logs that is none", nil, []string{"proxy", up, "--log-format", "xml"}, 2,
			`--log-format "xml": allowed are text, json, common and combined`},
		{"a log in a folder that is none", nil, []string{"proxy", up, "--listen=127.0.0.1:0",
			"--log-file", "/nowhere/log"}, 2,
			`--log-file "/nowhere/log": open /nowhere/log: no such file`},
		{"two upstreams", nil, []string{"proxy", up, "--upstream", "http://127.0.0.1:8"}, 2,
			`--upstream "http://127.0.0.1:8": given twice: keep one`},
		{"the same upstream twice", nil, []string{"proxy", up, up}, 2,
			`--upstream "http://127.0.0.1:9": given twice: keep one`},
		{"two files", nil, []string{"proxy", up, "--config", "a.ini", "--config=b.ini"}, 2,
			`--config "b.ini": given twice: keep one`},
		{"yes and no", nil, []string{"proxy", up, "--log", "--log=false"}, 2,
			`--log "false": given twice: keep one`},
		{"two stores", nil, []string{"health", "--store", "redis://a", "--store", "redis://b"}, 2,
			`--store "redis://b": given twice: keep one`},
		{"a rule that is none", nil, []string{"proxy", up, "--rule", "/x = fast"}, 2,
			`freshet proxy: rules: --rule: /x: "fast": there is no such word: allowed are a lifetime`},
		{"a rule of the file", nil, []string{"proxy", up, "--config",
			file("r.ini", "[rules]\n/x = 60s, stale\n")}, 2,
			`r.ini:2: /x: "stale": allowed is one value behind it, or none`},
		{"a setting that is nothing like another", nil, []string{"proxy", up, "--config",
			file("e.ini", "proxy.json = true\n")}, 2, `e.ini:1: proxy.json is no setting: known are proxy.`},
		{"settings as JSON", nil, []string{"proxy", up, "--config", file("e.json", "{}\n")}, 2,
			"JSON and YAML are not read"},
		{"a value that stands apart", nil, []string{"proxy", up, "--log", "yes"}, 2,
			`"yes" is no flag: write --log=yes`},
		{"a word behind a flag", nil, []string{"proxy", up, "--log", "a.log"}, 2,
			`"a.log" is no flag; see`},
		{"a store that does not answer", nil, []string{"proxy", up, "--listen=127.0.0.1:0", "--store",
			"redis://127.0.0.1:9/0"}, 2, "unless its URL has ?start=anyway, or a setting says " +
			"cache_start = anyway"},
		{"a file that is not there", nil, []string{"proxy", up, "--config", "/nowhere.ini"}, 2,
			"open /nowhere.ini: no such file"},
		{"a folder for a file", nil, []string{"proxy", up, "--config", folder}, 2,
			"is a directory"},
		{"an unknown setting", nil,
			[]string{"proxy", up, "--config", file("a.ini", "[freshet]\nproxy.memmory = 1MiB\n")},
			2,
			`a.ini:2: proxy.memmory = "1MiB" is no setting: did you mean proxy.memory?`},
		{"one outside of all sections", nil, []string{"proxy", up, "--config",
			file("b.ini", "proxy.memroy = 1MiB\n")},
			2, `b.ini:1: proxy.memroy = "1MiB" is no setting`},
		{"a misspelt variable", []string{"FRESHET_PROXY_MEMMORY=1MiB"}, []string{"proxy", up}, 2,
			`environment variable FRESHET_PROXY_MEMMORY: PROXY_MEMMORY = "1MiB" is no setting: did you mean proxy.memory?`},
		{"a wrong setting", nil, []string{"proxy", up, "--config",
			file("c.ini", "proxy.memory = lots\n")}, 2,
			`c.ini:1: proxy.memory = "lots": allowed is`},
		{"an upstream that is wrong in the file", nil,
			[]string{"proxy", "--config", file("d.ini", "proxy.upstream = here\n")}, 2,
			`d.ini:1: proxy.upstream = "here": allowed is`},
		{"a wrong variable", []string{"FRESHET_PROXY_STORE_COOKIES=perhaps"},
			[]string{"proxy", up}, 2,
			`environment variable FRESHET_PROXY_STORE_COOKIES: PROXY_STORE_COOKIES = "perhaps": allowed are true and false`},
	} {
		t.Run(c.story, func(t *testing.T) {
			cmd := command(c.environ, c.args...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			cmd.Run()
			status := cmd.ProcessState.ExitCode()
			said, silent := &stdout, &stderr
			if c.status != 0 {
				said, silent = silent, said
			}
			line, rest, _ := strings.Cut(said.String(), "\n")
			if status != c.status || !strings.Contains(line, c.says) || silent.Len() > 0 {
				t.Errorf("status %d, stdout %q, stderr %q; want %d and %q", status, stdout.String(),
					stderr.String(), c.status, c.says)
			}
			if strings.HasPrefix(line, "freshet proxy: ") &&
				(rest != "" || !strings.HasSuffix(line, "; see freshet proxy --help")) {
				t.Errorf("%q, want one sentence that leads to the help", said.String())
			}
		})
	}
}

// running is a freshet that serves.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	line   string // what it said at its start
	stderr logged
}

// logged is what a process says while it runs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var startLine = regexp.MustCompile(
	`^freshet proxy: serving (https?://\S+)(?: and https://\S+)? from http\S+, ` +
		`keeping (?:up to .*|nothing) in memory(, and all of it in .*| of what .*)?$`)

func start(t *testing.T, environ []string, args ...string) *running {
	t.Helper()
	p := &running{t: t, cmd: command(environ, append([]string{"proxy"}, args...)...)}
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	p.line, err = bufio.NewReader(stdout).ReadString('\n')
	p.line = strings.TrimSuffix(p.line, "\n")
	found := startLine.FindStringSubmatch(p.line)
	if err != nil || found == nil {
		p.cmd.Wait()
		t.Fatalf("at its start it said %q, %q", p.line, p.stderr.String())
	}
	p.url = found[1]
	return p
}

// get returns the status, what Cache-Status says and the body.
func (p *running) get(path string) (status int, cache, body string) {
	p.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		Timeout: 20 * time.Second}
	res, err := client.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Cache-Status"), string(text)
}

// stop tells it to end and returns its exit status.
func (p *running) stop(signal os.Signal) int {
	p.t.Helper()
	p.cmd.Process.Signal(signal)
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// The first line says how much is kept in memory, whatever says it.
func TestStartLineHasTheStoresBound(t *testing.T) {
	for want, args := range map[string][]string{
		"up to 2 MiB in memory": {"--store", "memory://?max_bytes=2MiB"},
		"up to 3 MiB in memory": {"--store", "file://" + t.TempDir() + "?near=3MiB"},
		"nothing in memory":     {"--store", "file://" + t.TempDir() + "?near=0"},
		"up to 4 MiB in memory": {"--store", "memory://?max_bytes=4MiB", "--memory", "4MiB"},
	} {
		p := start(t, nil, append(args, "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1")...)
		if !strings.Contains(p.line, "keeping "+want) {
			t.Errorf("%v: %q, want %q", args, p.line, want)
		}
	}
}

func TestServesUntilToldToEnd(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if cookie := r.URL.Query().Get("cookie"); cookie != "" {
			w.Header().Set("Set-Cookie", cookie)
		}
		io.WriteString(w, "hello from "+r.Host)
	}))
	defer upstream.Close()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--name", "edge",
			"--memory", "2MiB", "--log")
		if want := " from " + upstream.URL + ", keeping up to 2 MiB in memory"; !strings.HasSuffix(p.line, want) {
			t.Errorf("%q, want %q", p.line, want)
		}
		host := strings.TrimPrefix(p.url, "http://")
		for _, want := range []string{"edge; fwd=uri-miss; fwd-status=200",
			"edge; fwd=uri-miss; fwd-status=200"} {
			if status, cache, body := p.get("/?cookie=a=1"); status != 200 || !strings.HasPrefix(cache, want) ||
				body != "hello from "+host {
				t.Errorf("%d [%s] %q, want [%s…]: Set-Cookie is not stored", status, cache, body,
					want)
			}
		}
		for _, want := range []string{"edge; fwd=uri-miss; fwd-status=200; stored",
			"edge; hit; ttl="} {
			if _, cache, _ := p.get("/"); !strings.HasPrefix(cache, want) {
				t.Errorf("[%s], want [%s…]", cache, want)
			}
		}
		if status := p.stop(signal); status != 0 {
			t.Errorf("%v: exit status %d, %s", signal, status, &p.stderr)
		}
		if n := strings.Count(p.stderr.String(), "msg=request method=GET"); n != 4 {
			t.Errorf("%d lines of the log, want 4:\n%s", n, &p.stderr)
		}
	}
}

func TestEndsAfterWhatItHasBegun(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- true
		<-answer
		io.WriteString(w, "late")
	}))
	defer upstream.Close()
	p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL)
	got := make(chan string)
	go func() {
		_, _, body := p.get("/")
		got <- body
	}()
	<-asked
	p.cmd.Process.Signal(syscall.SIGTERM)
	for { // until it takes no new ones
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			break
		}
		conn.Close()
		time.Sleep(time.Millisecond)
	}
	close(answer)
	if body := <-got; body != "late" {
		t.Errorf("%q, want the response that was on its way", body)
	}
	p.cmd.Wait()
	if status := p.cmd.ProcessState.ExitCode(); status != 0 {
		t.Errorf("exit status %d: %s", status, &p.stderr)
	}
}

// A hangup, which a terminal sends as it closes, cuts nothing.
func TestHangupCutsNothing(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun ")
		w.(http.Flusher).Flush()
		asked <- true
		<-answer
		io.WriteString(w, "and ended")
	}))
	defer upstream.Close()
	defer close(answer)
	p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL)
	for i := range 2 {
		got := make(chan string)
		go func() {
			res, err := http.Get(fmt.Sprintf("%s/%d", p.url, i))
			if err != nil {
				got <- err.Error()
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			got <- fmt.Sprintf("%s, %v", body, err)
		}()
		<-asked
		p.cmd.Process.Signal(syscall.SIGHUP)
		for heard := "settings were loaded anew"; strings.Count(p.stderr.String(), heard) <= i; time.Sleep(time.Millisecond) {
			select {
			case body := <-got:
				t.Fatalf("the response was cut: %q", body)
			default:
			}
		}
		answer <- true
		if body := <-got; body != "begun and ended, <nil>" {
			t.Errorf("%q, want all of it", body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if status := p.stop(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d: %s", status, &p.stderr)
	}
}

// Who cannot wait for the responses that are on their way says so again.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	asked, never := make(chan bool), make(chan bool)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- true
		<-never
	}))
	defer upstream.Close()
	defer close(never)
	p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL)
	go http.Get(p.url)
	<-asked
	p.cmd.Process.Signal(syscall.SIGTERM)
	for { // until it has heard
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			break
		}
		conn.Close()
		time.Sleep(time.Millisecond)
	}
	p.stop(syscall.SIGTERM)
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() ||
		status.Signal() != syscall.SIGTERM {
		t.Errorf("it ended by itself, with %v", p.cmd.ProcessState)
	}
}

// Flags go before the environment, that before the file, that before the defaults.
func TestWhereSettingsComeFrom(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "a=1")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, r.Host)
	}))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "proxy.ini")
	text := "# the proxy's own\n[freshet]\nproxy.upstream = " + upstream.URL +
		"\nproxy.listen = 127.0.0.1:0\nproxy.name = file\nproxy.memory = " +
		"3MiB\nproxy.store-cookies = on\nproxy.preserve_host = no\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		story      string
		environ    []string
		args       []string
		name, line string
	}{
		{"the file", nil, nil, "file", "3 MiB"},
		{"the environment over the file", []string{"FRESHET_PROXY_NAME=environment",
			"FRESHET_PROXY_MEMORY=4MiB"}, nil,
			"environment", "4 MiB"},
		{"a flag over both", []string{"FRESHET_PROXY_NAME=environment"}, []string{"--name=flag"},
			"flag", "3 MiB"},
	} {
		t.Run(c.story, func(t *testing.T) {
			p := start(t, c.environ, append([]string{"--config", file}, c.args...)...)
			if !strings.Contains(p.line, "up to "+c.line) {
				t.Errorf("%q, want %q", p.line, c.line)
			}
			for _, want := range []string{"; fwd=uri-miss; fwd-status=200; stored", "; hit; ttl="} {
				_, cache, body := p.get("/")
				if !strings.HasPrefix(cache, c.name+want) {
					t.Errorf("[%s], want [%s%s…]", cache, c.name, want)
				}
				if u, _ := url.Parse(upstream.URL); body != u.Host {
					t.Errorf("the upstream saw host %q, want its own", body)
				}
			}
			p.stop(syscall.SIGTERM)
		})
	}
	p := start(t, []string{"FRESHET_PROXY_UPSTREAM=" + upstream.URL,
		"FRESHET_PROXY_LISTEN=127.0.0.1:0"})
	if _, cache, _ := p.get("/"); !strings.HasPrefix(cache, "Freshet; ") {
		t.Errorf("[%s], want the default name; the environment alone suffices", cache)
	}
	p.stop(syscall.SIGTERM)
}

// Cookies that pass, and cookies that are ignored, from the command line to the upstream.
func TestCookiesOfTheProxy(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		io.WriteString(w, "saw "+r.Header.Get("Cookie"))
	}))
	defer upstream.Close()
	p := start(t, []string{"FRESHET_PROXY_PASS_COOKIES=wordpress_logged_in_*, PHPSESSID"},
		"--upstream", upstream.URL, "--listen", "127.0.0.1:0", "--ignore-cookies",
		"@analytics,my_*")
	for _, s := range []struct{ path, cookie, cache, body string }{
		{"/", "_ga=GA1.1; my_choice=1; _gid=2", "fwd=uri-miss; fwd-status=200; stored", "saw "},
		{"/", "_fbp=3", "hit; ttl=", "saw "},
		{"/", "wordpress_logged_in_5c0=alice", "fwd=bypass; fwd-status=200; detail=pass-cookie",
			"saw wordpress_logged_in_5c0=alice"},
		{"/a", "_ga=1; PHPSESSID=x", "fwd=bypass; fwd-status=200; detail=pass-cookie",
			"saw _ga=1; PHPSESSID=x"},
		{"/a", "", "fwd=uri-miss; fwd-status=200; stored", "saw "},
	} {
		r, err := http.NewRequest("GET", p.url+s.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.cookie != "" {
			r.Header.Set("Cookie", s.cookie)
		}
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		cache := strings.TrimPrefix(res.Header.Get("Cache-Status"), "Freshet; ")
		if err != nil || string(body) != s.body || !strings.HasPrefix(cache, s.cache) {
			t.Errorf("%s with %q: [%s] %q, %v; want [%s] %q", s.path, s.cookie, cache, body, err,
				s.cache, s.body)
		}
	}
	p.stop(syscall.SIGTERM)
}

// Heuristics are on unless they are turned off, and last a minute for documents.
func TestHeuristics(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
		w.Header().Set("Content-Type", strings.TrimPrefix(r.URL.Path, "/"))
		io.WriteString(w, "old")
	}))
	defer upstream.Close()
	const plain, page, feed = "/text/plain", "/text/html", "/application/rss+xml"
	for _, c := range []struct {
		arg   string
		wants map[string]string // a pattern for each path
	}{
		{"--heuristics",
			map[string]string{plain: "hit; ttl=86[0-9]{3}", page: "hit; ttl=[0-9]{2}",
				feed: "hit; ttl=[0-9]{2}"}},
		{"--heuristics=false", map[string]string{plain: "fwd=uri-miss; .*",
			page: "fwd=uri-miss; .*"}},
		{"--heuristic-documents=10h", map[string]string{plain: "hit; ttl=86[0-9]{3}",
			page: "hit; ttl=3[56][0-9]{3}"}},
		{"--heuristic-documents=0", map[string]string{plain: "hit; ttl=86[0-9]{3}",
			page: "fwd=uri-miss; .*"}},
	} {
		p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL, c.arg)
		for path, want := range c.wants {
			p.get(path)
			if _, cache, _ := p.get(path); !regexp.MustCompile("^Freshet; " + want + "$").MatchString(cache) {
				t.Errorf("%s %s: [%s], want [%s]", c.arg, path, cache, want)
			}
		}
		p.stop(syscall.SIGTERM)
	}
}

func TestUpstreamThatIsNotThere(t *testing.T) {
	p := start(t, nil, "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:9")
	if status, _, body := p.get("/x"); status != 502 || !strings.Contains(body,
		"gave no response") {
		t.Errorf("%d %q, want 502 and a word on it", status, body)
	}
	p.stop(syscall.SIGTERM)
	if !strings.Contains(p.stderr.String(), "connection refused") {
		t.Errorf("it did not say why: %s", &p.stderr)
	}
}

func TestLoopsAreRefused(t *testing.T) {
	own := "192.0.2.77" // an address of nobody
	if addrs, _ := net.InterfaceAddrs(); len(addrs) > 0 {
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
				own = n.IP.String()
			}
		}
	}
	for _, c := range []struct {
		listen, upstream string
		loops            bool
	}{
		{"127.0.0.1:9321", "http://127.0.0.1:9321", true},
		{"127.0.0.1:9321", "http://localhost:9321/path", true},
		{"127.0.0.1:9321", "http://0.0.0.0:9321", true},
		{"127.0.0.1:9321", "http://127.0.0.1:9322", false},
		{"127.0.0.1:9321", "http://127.0.0.2:9321", false},
		{"127.0.0.1:9321", "http://" + own + ":9321", false},
		{":9321", "http://127.0.0.1:9321", true},
		{":9321", "http://[::1]:9321", true},
		{"0.0.0.0:9321", "http://127.0.0.3:9321", true},
		{":9321", "http://" + own + ":9321", own != "192.0.2.77"},
		{":9321", "http://192.0.2.1:9321", false},
		{"127.0.0.1:80", "http://127.0.0.1", true},
		{"127.0.0.1:80", "https://127.0.0.1", false},
		{"127.0.0.1:443", "https://127.0.0.1", true},
		{"127.0.0.1:9321", "http://not there:9321", false},
	} {
		u, err := url.Parse(c.upstream)
		if err != nil {
			u = &url.URL{Scheme: "http", Host: "not-there.invalid:9321"}
		}
		if err := checkLoop(t.Context(), "listen", c.listen, u); (err != nil) != c.loops {
			t.Errorf("--listen %s --upstream %s: %v, want a loop: %t", c.listen, c.upstream, err,
				c.loops)
		}
	}
}

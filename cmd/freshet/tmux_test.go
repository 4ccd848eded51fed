package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// listenAt listens at an address.
func listenAt(t *testing.T, address string) net.Listener {
	t.Helper()
	for {
		l, err := net.Listen("tcp", address)
		if err == nil {
			return l
		}
		if patience.Err() != nil || strings.HasSuffix(address, ":0") {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// pane is a terminal of tmux in which a command runs.
type pane struct {
	t      *testing.T
	socket string
}

// inTmux runs freshet in a terminal. What it prints behind its end is "status N".
func inTmux(t *testing.T, o *operated, width, height int, args string) *pane {
	t.Helper()
	return shellInTmux(t, o.environ, width, height,
		"trap : INT; "+binary+" "+args+`; echo "status $?"; exec sleep 1000`) // trap: sh outlives Ctrl-C
}

// shellInTmux runs a command of the shell in a terminal.
func shellInTmux(t *testing.T, environ []string, width, height int, command string) *pane {
	t.Helper()
	tmux, err := exec.LookPath("tmux")
	if err != nil {
		t.Fatal("tmux is missing: make tools installs it")
	}
	// Its name is short: a socket's has 107 bytes at most.
	folder, err := os.MkdirTemp("", "tmux")
	if err != nil {
		t.Fatal(err)
	}
	p := &pane{t, filepath.Join(folder, "s")}
	t.Cleanup(func() {
		exec.Command(tmux, "-S", p.socket, "kill-server").Run()
		os.RemoveAll(folder)
	})
	start := exec.Command(tmux, "-S", p.socket, "-f", "/dev/null", "new-session", "-d",
		"-x", fmt.Sprint(width), "-y", fmt.Sprint(height), command)
	start.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TERM=xterm-256color",
		"SHELL=/bin/sh"}, environ...)
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	return p
}

func (p *pane) tmux(args ...string) string {
	p.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", p.socket}, args...)...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("tmux %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func (p *pane) screen() string { return p.tmux("capture-pane", "-p") }

// shows waits until the screen matches, and returns it.
func (p *pane) shows(pattern string) string {
	p.t.Helper()
	return p.showsWhile(pattern, func(int) {})
}

// showsWhile does something again and again, with growing numbers, until the screen matches.
func (p *pane) showsWhile(pattern string, do func(n int)) string {
	p.t.Helper()
	wanted := regexp.MustCompile(pattern)
	for n := 0; ; n++ {
		do(n)
		screen := p.screen()
		if wanted.MatchString(screen) {
			return screen
		}
		if patience.Err() != nil {
			p.t.Fatalf("the screen never shows %q:\n%s", pattern, screen)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *pane) press(keys ...string) { p.tmux(append([]string{"send-keys"}, keys...)...) }

func (p *pane) resize(width, height int) {
	p.tmux("resize-window", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height))
}

// freshet top on a terminal: what it shows changes with the app, with keys and with the terminal's
// size, and at the end the terminal is as it was.
func TestTopOnATerminal(t *testing.T) {
	o := operate(t, "127.0.0.1:0")
	for i := range 30 {
		o.visit(t, fmt.Sprintf("/page/%d", i))
	}
	o.visit(t, "/cart", "/cart")
	p := inTmux(t, o, 100, 20, "top --interval 100ms")
	p.shows(`(?s)freshet top  http://127.* dearest misses   most served  by time\n\n *time +runs +each +page\n.*q quit`)
	p.press("s")
	p.shows(`(?s)by count.*page\n[^\n]* 2  [^\n]*/cart\n`) // the one that came twice is the first
	for _, c := range []struct{ key, first string }{
		{"End", "/page/"}, {"Home", "/cart"}, {"Down", "/page/"}, {"Up", "/cart"}, {"NPage", "/page/"},
		{"PPage", "/cart"}, {"j", "/page/"}, {"k", "/cart"},
	} {
		p.press(c.key)
		p.shows(`time +runs +each +page\n[^\n]*` + c.first) // the titles stay
	}
	p.press("Tab")
	p.shows("no hits yet")
	for range 64 {
		o.visit(t, "/page/1")
	}
	p.shows(`(?s)time saved +hits.*/page/1\n`)
	p.resize(40, 10)
	narrow := p.shows(`(?s)^freshet top  http[^\n]{1,28}\n dearest   served  by count\n` +
		`.*time saved +hits +page\n.*/page/1\n.*q quit`)
	if lines := strings.Split(strings.TrimRight(narrow, "\n"), "\n"); len(lines) != 10 {
		t.Errorf("%d lines on a screen of 10:\n%s", len(lines), narrow)
	}
	o.visit(t, "/%1b%5b2J%1b%5d0;owned%07")
	p.press("Tab", "Home")
	p.resize(120, 45)
	p.shows(regexp.QuoteMeta(`/\x1b[2J\x1b]0;owned\a`))
	p.press("q")
	if left := p.shows("status 0"); strings.Contains(left, "dearest") {
		t.Errorf("it leaves on the screen:\n%s", left)
	}
	if title := p.tmux("display-message", "-p", "#{pane_title}"); strings.Contains(title, "owned") {
		t.Errorf("the title is %q", title)
	}
}

// freshet stats on a terminal: it outlives the app, and Ctrl-C ends it.
func TestStatsOnATerminal(t *testing.T) {
	o := operate(t, "127.0.0.1:0")
	o.visit(t, "/a", "/a", "/a", "/cart")
	p := inTmux(t, o, 90, 40, "stats --interval 100ms")
	p.shows(`(?s)freshet stats.*hit ratio 50.0 %, 4 requests.*\nhit +2 +50.0 %.*\nno-store +unstored +1` +
		`.*\nhandlers +2 .*journal: of this process alone.*\nmemory +1 `)
	p.press("s")
	p.shows(`hit ratio –, 0 requests`)
	o.visit(t, "/a")
	p.shows(`hit ratio 100.0 %, 1 requests, .* in the last`)
	p.press("s")
	p.shows(`hit ratio 60.0 %, 5 requests, .*since the app began`)
	p.resize(40, 12)
	p.shows(`(?s)^freshet stats.*\n\nhit ratio 60.0 %, 5 requests.*q quit`)
	p.press("Down", "Down", "PageDown", "PageDown", "PageDown", "PageDown")
	p.shows(`(?s)^freshet stats.*tier +entries.*memory.*q quit`)
	address := strings.TrimPrefix(o.site, "http://")
	o.close()
	p.resize(90, 40)
	p.shows(`(?s)! the door .* did not answer: .*connection refused \(since [\d:]{8}\);\s+` +
		`it is asked again.*%, 5 requests`)
	again := operate(t, address)
	again.visit(t, "/b")
	p.shows(`(?s)^freshet stats[^!]*%, 1 requests[^!]*q quit`)
	p.press("C-c")
	p.shows("status 0")
}

// freshet log on a terminal: lines as they come, cut to its width; it goes on when the app was
// started anew, and Ctrl-C ends it.
func TestLogOnATerminal(t *testing.T) {
	o := operate(t, "127.0.0.1:0")
	p := inTmux(t, o, 100, 20, "log result=miss 'path~^/(page|cart)'")
	p.shows(`^time +result +took +bytes +reason +page\n`)
	o.visit(t, "/page/1", "/page/1", "/other", "/cart", "/page/%1b%5b2J")
	p.shows(`(?s)result.*\n[\d:.]+  200  stored  [^\n]*/page/1\n[\d:.]+  200  unstored [^\n]*no-store ` +
		`[^\n]*/cart\n[\d:.]+  200  stored  [^\n]*/page/\\x1b\[2J\n`)
	// Hangul jamo, of which terminals join some: they do not have the line wrap.
	o.visit(t, "/page/"+strings.Repeat("%e1%84%80", 60)+"/forged")
	if screen := p.shows(`forged`); regexp.MustCompile(`(?m)^[^\dt\n]`).MatchString(screen) {
		t.Errorf("a line begins with what a client wrote:\n%s", screen)
	}
	p.resize(40, 20) // which the program learns a moment later
	p.showsWhile(`\n[\d:]{8} stored      /page/…[a-z]+/end\n`, func(n int) {
		o.visit(t, fmt.Sprintf("/page/%d/%s/end", n, strings.Repeat("long", 30)))
	})
	p.resize(160, 20)
	p.showsWhile(`\n[\d:.]+  200  stored [^\n]{100,}/end\n`, func(n int) {
		o.visit(t, fmt.Sprintf("/page/wide/%d/%s/end", n, strings.Repeat("long", 30)))
	})
	address := strings.TrimPrefix(o.site, "http://")
	o.close()
	p.shows(`sends no more events: .* \([\d:since ]+\); it is asked again\n`)
	again := operate(t, address)
	p.shows(`it answers again, after [\d.mµ]+s; what came meanwhile is missing\n`)
	again.visit(t, "/page/last")
	p.shows(`stored [^\n]*/page/last\n`)
	p.press("C-c")
	p.shows("status 0")
}

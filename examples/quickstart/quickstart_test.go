package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
)

// What the first look at Freshet shows: what was asked, its status, what the cache made of it, and
// how often the app's handlers have run by then.
func TestTheTableTellsTheTruth(t *testing.T) {
	var out, stderr bytes.Buffer
	if err := run(context.Background(), []string{"-listen", "127.0.0.1:0", "-once"}, &out, &stderr); err != nil {
		t.Fatal(err)
	}
	stored, hit := `Freshet; fwd=uri-miss; fwd-status=200; stored`, `Freshet; hit; ttl=\d+`
	want := []string{
		`asked +status +Cache-Status +time +runs`,
		`GET /tides/dover +200 +` + stored + ` +.* +1`,
		`  the same again +200 +` + hit + ` +.* +1`,
		`  with the ETag it got +304 +` + hit + ` +.* +1`,
		`  as another host +200 +` + stored + ` +.* +2`,
		`GET /tides/dover\?day=sunday +200 +` + stored + ` +.* +3`,
		`POST /tides/dover +204 +Freshet; fwd=method; fwd-status=204 +.* +4`,
		`GET /tides/dover +200 +` + stored + ` +.* +5`,
		// on a busy machine some come late, and hit
		`200 at once: /tides/calais +200 +1 × stored, \d+ × collapsed.* +6`,
		`GET /wind +200 +` + stored + ` +.* +7`,
		`  1\.2 s later: stale +200 +Freshet; hit; ttl=-\d+ +.* +7`,
		`  0\.6 s later: refreshed +200 +Freshet; hit; ttl=-?\d+ +.* +8`,
	}
	lines := strings.Split(out.String(), "\n")[2:]
	for i, pattern := range want {
		if i >= len(lines) || !regexp.MustCompile("^"+pattern+"$").MatchString(lines[i]) {
			t.Errorf("line %d is not like %q", i, pattern)
		}
	}
	if t.Failed() {
		t.Log("\n" + out.String())
	}
	if strings.Contains(out.String(), "curl") || stderr.Len() > 0 {
		t.Errorf("with -once it has no more to say, and %q is an error", stderr.String())
	}
}

// Without -once it serves until it is interrupted, and that is no error.
func TestServesUntilInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-listen", "127.0.0.1:0"}, writer, io.Discard)
		writer.CloseWithError(err)
		ended <- err
	}()
	var said []byte
	for b := make([]byte, 4096); !bytes.Contains(said, []byte("curl")); {
		n, err := reader.Read(b)
		if said = append(said, b[:n]...); err != nil {
			t.Fatalf("it ended before it said what to try: %v\n%s", err, said)
		}
	}
	go io.Copy(io.Discard, reader)
	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

func TestATakenPortIsSaidInASentence(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	err = run(context.Background(), []string{"-listen", address, "-once"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "another program listens on "+address) ||
		!strings.Contains(err.Error(), "-listen 127.0.0.1:8081") {
		t.Errorf("got %v", err)
	}
	if err := run(context.Background(), []string{"-listen", "nowhere"}, io.Discard, io.Discard); err == nil ||
		!strings.Contains(err.Error(), "cannot listen on nowhere") {
		t.Errorf("a bad address: got %v", err)
	}
}

// Two processes with one Redis: the second hits what the first stored, and its POST is felt by the
// first.
func TestTwoProcessesShareOneRedis(t *testing.T) {
	redis := testserver.Redis(t)
	binary := filepath.Join(t.TempDir(), "quickstart")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	ask := func(site, method string) (status, body string) {
		t.Helper()
		request, err := http.NewRequest(method, site+"/tides/dover", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = sharedHost
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.Header.Get("Cache-Status"), string(text)
	}
	process := func() (site, table string) {
		t.Helper()
		cmd := exec.Command(binary, "-listen", "127.0.0.1:0", "-store", redis.URL)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		said := bufio.NewScanner(out)
		for said.Scan() && !strings.Contains(said.Text(), "Ctrl-C") {
			table += said.Text() + "\n"
		}
		go io.Copy(io.Discard, out)
		found := regexp.MustCompile(`behind Freshet, at (http://\S+)`).FindStringSubmatch(table)
		if found == nil {
			t.Fatalf("it said:\n%s", table)
		}
		return found[1], table
	}
	a, _ := process()
	b, table := process()
	if !regexp.MustCompile(
		`(?m)^GET /tides/dover\?day=sunday +200 +Freshet; hit; ttl=\d+ `).MatchString(table) {
		t.Errorf("the second process ran the handler for what the first had stored:\n%s", table)
	}
	status, second := ask(a, "GET")
	if !strings.Contains(status, "; hit") {
		t.Errorf("the first process asked for what the second stored after its POST: %q", status)
	}
	if status, body := ask(b, "GET"); !strings.Contains(status, "; hit") || body != second {
		t.Errorf("the two answer %q and %q, %q", second, body, status)
	}
	ask(b, "POST")
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		status, _ := ask(a, "GET")
		if !strings.Contains(status, "; hit") {
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal("the first process still hits what the second has changed five seconds ago")
		}
	}
}

package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
)

// writing is a client that changes the page by one proxy and reads it by another.
type writing struct {
	t              *testing.T
	changed, asked *running
	version        atomic.Int64
}

// read returns the page and what the cache says, as the proxy that is asked answers a cookie.
func (w *writing) read(cookie string) (body, cache string) {
	w.t.Helper()
	var fields []string
	if cookie != "" {
		fields = []string{"Cookie", cookie}
	}
	res, body := w.asked.ask("GET", w.asked.url+"/page", fields...)
	return body, res.Header.Get("Cache-Status")
}

// write changes the page and returns the cookie that the answer sets.
func (w *writing) write() (cookie string) {
	w.t.Helper()
	res, _ := w.changed.ask("PUT", w.changed.url+"/page")
	if cookies := res.Cookies(); len(cookies) == 1 && cookies[0].Name == "freshet-written" &&
		cookies[0].MaxAge == 60 {
		return "freshet-written=" + cookies[0].Value
	}
	w.t.Fatalf("the answer to a PUT sets %q", res.Header["Set-Cookie"])
	return ""
}

// rounds changes and reads, and checks that nothing older comes.
func (w *writing) rounds(story string) {
	w.t.Helper()
	for range 5 {
		w.read("") // so that the page is stored there
		cookie := w.write()
		for range 2 {
			if body, cache := w.read(cookie); body != fmt.Sprint(w.version.Load()) {
				w.t.Fatalf("%s: after change %d, the other proxy has %s: %s", story, w.version.Load(),
					body, cache)
			}
		}
	}
}

// Of two proxies on one Redis, the second may not subscribe, so that nothing is pushed to it. Who
// changes a page by the first gets nothing older from the second: also while the keys change, and
// while the second does not reach the server.
func TestClientsReadTheirWritesAtAnotherProxy(t *testing.T) {
	server := testserver.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	if err := client.Do(t.Context(), "ACL", "SETUSER", "mute", "on", ">secret", "~*", "resetchannels",
		"+@all").Err(); err != nil {
		t.Fatal(err)
	}
	cut := testserver.Proxy(t, server.Addr)
	w := &writing{t: t}
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.version.Add(1)
		}
		rw.Header().Set("Cache-Control", "max-age=3600")
		fmt.Fprint(rw, w.version.Load())
	}))
	defer upstream.Close()
	const old, next = "the-old-key-of-writes", "the-new-key-of-writes"
	folder := t.TempDir()
	proxy := func(name, store string) (p *running, keys func(...string)) {
		file := filepath.Join(folder, name)
		write(t, file, []byte(old+"\n"))
		p = start(t, nil, "--listen", "127.0.0.1:0", "--upstream", upstream.URL, "--store", store,
			"--http-host", "www.example.com", "--read-your-writes-key-file", file)
		signals := 0
		return p, func(lines ...string) {
			t.Helper()
			write(t, file, []byte(strings.Join(lines, "\n")+"\n"))
			signals++
			p.cmd.Process.Signal(syscall.SIGHUP)
			// it logs the settings first; who looks each second at the file may have logged before
			p.until("changes=0", signals)
			for {
				parts := strings.SplitN(p.stderr.String(), "changes=0", signals+1)
				if strings.Contains(parts[signals], "of clients' writes ") {
					return
				}
				if patience.Err() != nil {
					t.Fatalf("it never read %s anew:\n%s", file, &p.stderr)
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	var first, second func(...string)
	w.changed, first = proxy("first", server.URL)
	w.asked, second = proxy("second", "redis://mute:secret@"+cut.Addr)

	w.rounds("one key")
	second(old, next)
	w.rounds("the new key is last at the second")
	first(next, old)
	before := w.write()
	w.rounds("the new key signs at the first")
	second("short")
	w.rounds("a wrong file at the second")
	second(next)
	first(next)
	w.rounds("the new key alone")
	if body, cache := w.read(before); body != fmt.Sprint(w.version.Load()) {
		t.Errorf("a cookie of the new key's first time: %s %s", body, cache)
	}
	first(old)
	if body, _ := w.read(""); body != fmt.Sprint(w.version.Load()) {
		t.Errorf("before the cut: %s", body)
	}
	first(next)
	cookie := w.write()
	cut.Refuse()
	body, cache := w.read(cookie)
	if body != fmt.Sprint(w.version.Load()) || !strings.Contains(cache, "detail=read-your-writes") {
		t.Errorf("cut off: %s %s", body, cache)
	}
	cut.Pass()
	for _, p := range []*running{w.asked, w.changed} {
		if status := p.stop(syscall.SIGTERM); status != exitOK {
			t.Errorf("status %d: %s", status, &p.stderr)
		}
		if said := p.stderr.String(); strings.Contains(said, old) || strings.Contains(said, next) ||
			strings.Contains(said, "can read it") {
			t.Errorf("the log says\n%s", said)
		}
	}
	if said := w.asked.stderr.String(); !strings.Contains(said, "line 1 holds a key of 5 bytes: allowed "+
		"are 16 to 512") || !strings.Contains(said, "that were read before stay in use") {
		t.Errorf("of a short key the log says\n%s", said)
	}
}

// With a field, no cookie is set, and a change of the file counts without a signal.
func TestWritesByAField(t *testing.T) {
	upstream := named("app")
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "keys")
	write(t, file, []byte("sixteen-or-more-bytes\r\nanother-of-these-keys"))
	if err := os.Chmod(file, 0o604); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"FRESHET_PROXY_READ_YOUR_WRITES_FIELD=app-written"}, "--listen", "127.0.0.1:0",
		"--upstream", upstream.URL, "--store", "file://"+t.TempDir(), "--config", iniOf(t,
			"proxy.read-your-writes-key-file = "+file))
	res, _ := p.ask("PUT", p.url+"/page")
	if token := res.Header.Get("App-Written"); !strings.HasPrefix(token, "1.") || len(res.Cookies()) > 0 {
		t.Errorf("the answer to a PUT has %v", res.Header)
	}
	if runtime.GOOS != "windows" {
		p.says("every user of this machine can read it (mode 0604): chmod 600 keeps it secret")
	}
	write(t, file, []byte("another-of-these-keys\n"))
	p.says(`read anew" file=` + file + " keys=1")
	p.stop(syscall.SIGTERM)
}

// What is no file of keys is an error at the start that says where it is wrong.
func TestFilesOfNoKeys(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "keys")
	redis := "--store=redis://127.0.0.1:9/0"
	for _, c := range []struct {
		story, text string
		args        []string
		says        string
	}{
		{"empty", "", []string{redis}, `keys" is empty: allowed are 1 to 8 keys, one on each line`},
		{"an empty line", "sixteen-or-more-bytes\n\nsixteen-or-more-bytes\n", []string{redis},
			`keys", line 2 holds a key of 0 bytes: allowed are 16 to 512`},
		{"a short key", "sixteen-or-more-bytes\nhush\n", []string{redis}, "line 2 holds a key of 4 bytes"},
		{"a long key", strings.Repeat("x", 513), []string{redis}, "line 1 holds a key of 513 bytes"},
		{"two words", "sixteen-or-more bytes", []string{redis}, "line 1 holds a key with white space"},
		{"nine keys", strings.Repeat("sixteen-or-more-bytes\n", 9), []string{redis}, "has 9 lines"},
		{"a memory", "sixteen-or-more-bytes", nil, "needs a --store that other processes use, too"},
		{"a cookie and a field", "sixteen-or-more-bytes", []string{redis,
			"--read-your-writes-cookie=a", "--read-your-writes-field=b"}, "a token travels in one of them"},
		{"no cookie", "sixteen-or-more-bytes", []string{redis, "--read-your-writes-cookie=a b"},
			`--read-your-writes-cookie "a b": allowed are letters`},
		{"a field of others", "sixteen-or-more-bytes", []string{redis,
			"--read-your-writes-field=Set-Cookie"}, "a field of your own"},
		{"a field that is dropped", "sixteen-or-more-bytes", []string{redis,
			"--read-your-writes-field=App_Written"}, "of letters, digits and hyphens"},
		{"no file", "", []string{redis, "--read-your-writes-key-file=" + folder + "/none"}, "no such file"},
		{"a cookie without a key", "", []string{redis, "--read-your-writes-key-file=",
			"--read-your-writes-cookie=a"}, "need --read-your-writes-key-file"},
	} {
		write(t, file, []byte(c.text))
		args := append([]string{"proxy", "--upstream", "http://127.0.0.1:8"}, c.args...)
		if !strings.Contains(strings.Join(args, " "), "key-file") {
			args = append(args, "--read-your-writes-key-file", file)
		}
		status, out, errs := ran(t, nil, args...)
		if status != exitUsage || out != "" || strings.Count(errs, "\n") != 1 ||
			!strings.Contains(errs, c.says) || strings.Contains(errs, "sixteen") {
			t.Errorf("%s: status %d, %s, want %q", c.story, status, out+errs, c.says)
		}
	}
}

// Keys are read anew when the file has changed, and before a Cache is there that takes them.
func TestKeysOfWritesAreReadAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	write(t, file, []byte("the-first-of-the-keys\n"))
	f := &proxyFlags{writes: writeFlags{file: file}}
	if err := f.checkWrites(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	keys := newWriteKeys(&f.writes, slog.New(slog.NewTextHandler(&log, nil)))
	keys.look()
	write(t, file, []byte("the-second-of-the-keys\n"))
	keys.look()
	var used []string
	use := func(all [][]byte) error {
		used = append(used, string(bytes.Join(all, []byte("+"))))
		return nil
	}
	if err := keys.serve(use); err != nil {
		t.Fatal(err)
	}
	keys.look()
	write(t, file, []byte("the-third-of-the-keys\nthe-second-of-the-keys\n"))
	keys.look()
	write(t, file, []byte("short\n"))
	keys.look()
	keys.look()
	os.Remove(file)
	keys.reread()
	const second, third = "the-second-of-the-keys", "the-third-of-the-keys+the-second-of-the-keys"
	if got, want := fmt.Sprint(used), "["+second+" "+third+"]"; got != want {
		t.Errorf("in use were %s, want %s", got, want)
	}
	if said := log.String(); strings.Contains(said, "of-the-keys") || strings.Count(said, "read anew") != 2 ||
		strings.Count(said, "stay in use") != 2 {
		t.Errorf("the log says\n%s", said)
	}
}

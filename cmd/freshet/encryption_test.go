package main

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/freshet-go/freshet/internal/testserver"
)

const (
	masterKey = "6d79206669727374206b65792c20616e6420736f6d65206d6f726520627974aa"
	nextKey   = "6d79206e657874206b65792c20616e6420736f6d65206d6f726520627974e5aa"
)

// tells runs a command as a process of its own and returns all that it said, which must not show a
// key.
func tells(t *testing.T, wantCode int, environ []string, args ...string) string {
	t.Helper()
	cmd := command(environ, args...)
	said, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != wantCode {
		t.Errorf("freshet %s: status %d, want %d: %s", strings.Join(args, " "), code, wantCode, said)
	}
	showsNoKey(t, string(said))
	return string(said)
}

func showsNoKey(t *testing.T, said string) {
	t.Helper()
	for _, key := range []string{masterKey, nextKey} {
		if strings.Contains(said, key[:16]) {
			t.Errorf("it shows a key: %s", said)
		}
	}
}

// inFolder reports whether a file of the folder has the text.
func inFolder(t *testing.T, folder, text string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		found = found || bytes.Contains(content, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// asOf is get, of a host that is not the proxy's own address.
func asOf(t *testing.T, p *running, host, path string) (cache, body string) {
	t.Helper()
	r, err := http.NewRequest("GET", p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host, r.Close = host, true
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.Header.Get("Cache-Status"), string(text)
}

// A proxy keeps pages in a folder, restarts, takes up a new key and finds them again: the key comes
// from the environment, though a flag names the store, or from a file that a setting names. Nothing
// of the pages is found in the folder; without a key, as a control, it is.
func TestAProxyWithEncryption(t *testing.T) {
	const page = "S3CR3T page"
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		io.WriteString(w, page)
	}))
	defer upstream.Close()
	file := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(file, []byte(masterKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for story, c := range map[string]struct {
		first, second []string // environment
		config        string
		encrypted     bool
	}{
		"control": {nil, nil, "", false},
		"the environment": {[]string{"FRESHET_MASTER_KEY=" + masterKey},
			[]string{"FRESHET_MASTER_KEY=" + masterKey}, "", true},
		"a new key": {[]string{"FRESHET_MASTER_KEY_FILE=" + file},
			[]string{"FRESHET_MASTER_KEY=" + nextKey, "FRESHET_OLD_MASTER_KEYS=" + masterKey}, "", true},
		"a setting": {nil, nil, "cache_encryption_key = file:" + file, true},
	} {
		t.Run(story, func(t *testing.T) {
			folder := t.TempDir()
			config := filepath.Join(t.TempDir(), "freshet.ini")
			if err := os.WriteFile(config, []byte(c.config), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"--config", config, "--store", "file://" + folder, "--upstream",
				upstream.URL, "--listen", "127.0.0.1:0"}
			for i, environ := range [][]string{c.first, c.second} {
				p := start(t, environ, args...)
				cache, body := asOf(t, p, "a.example", "/S3CR3T-url")
				if body != page || strings.Contains(cache, "hit") != (i == 1) {
					t.Errorf("process %d: [%s] %q", i, cache, body)
				}
				if status := p.stop(syscall.SIGTERM); status != 0 {
					t.Errorf("process %d: status %d", i, status)
				}
				showsNoKey(t, p.line+p.stderr.String())
			}
			for _, text := range []string{page, "S3CR3T-url"} {
				if found := inFolder(t, folder, text); found == c.encrypted {
					t.Errorf("%q is found in the folder: %t", text, found)
				}
			}
			health := tells(t, exitOK, c.second, "health", "--config", config, "--store",
				"file://"+folder)
			if strings.Contains(health, "encryption: AES-256-GCM, key ") != c.encrypted {
				t.Errorf("health says %q", health)
			}
			if shown := tells(t, exitOK, c.second, "config", "--config", config, "--store",
				"file://"+folder); strings.Contains(
				shown, "encryption_key=***") != c.encrypted {
				t.Errorf("config says %q", shown)
			}
			tells(t, exitOK, c.second, "migrate", "--config", config, "--store", "file://"+folder)
			if said := tells(t, exitOK, c.second, "flush", "--config", config, "--store",
				"file://"+folder); !strings.Contains(said, "under freshet-proxy:") ||
				strings.Contains(said, "removed 0 under freshet-proxy:") {
				t.Errorf("flush says %q", said)
			}
		})
	}
}

// Tables are made for an encrypted store as for another; a wrong key is an error before anything is
// asked.
func TestCommandsWithEncryption(t *testing.T) {
	server := testserver.Postgres(t)
	environ := []string{"FRESHET_CACHE_URL=" + server.URL, "FRESHET_MASTER_KEY=" + masterKey}
	for _, step := range []struct {
		args []string
		says string
	}{
		{[]string{"migrate"}, "done: create the table freshet_cache\n"},
		{[]string{"migrate"}, "nothing to do"},
		{[]string{"health"}, "encryption: AES-256-GCM, key "},
		{[]string{"flush"}, "removed 0 under freshet:"},
	} {
		if said := tells(t, exitOK, environ, step.args...); !strings.Contains(said, step.says) {
			t.Errorf("freshet %s says %q, want %q", step.args[0], said, step.says)
		}
	}
	for _, each := range [][]string{
		{"FRESHET_MASTER_KEY=" + masterKey[2:]},
		{"FRESHET_MASTER_KEY=" + masterKey, "FRESHET_MASTER_KEY_FILE=/nowhere"},
		{"FRESHET_CACHE_ENCRYPTION_KEY=" + masterKey},
		{"FRESHET_MASTER_KEY_FILE=/nowhere/key"},
	} {
		said := tells(t, exitUsage, append(each, "FRESHET_CACHE_URL="+server.URL), "health")
		if !strings.Contains(said, "key") || strings.Count(said, "\n") > 2 {
			t.Errorf("%s: it says %q", each[0][:20], said)
		}
	}
}

// freshet config says that there is a key, and where it came from, and not which.
func TestConfigWithAKey(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "old.keys")
	if err := os.WriteFile(file, []byte(nextKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		environ []string
		lines   []string // each with words between spaces
	}{
		{nil, []string{"cache_encryption_key - default", "cache_encryption_old_keys - default"}},
		{[]string{"FRESHET_MASTER_KEY=" + masterKey, "FRESHET_OLD_MASTER_KEYS_FILE=" + file}, []string{
			"cache_encryption_key *** environment variable FRESHET_MASTER_KEY ",
			"cache_encryption_old_keys *** environment variable FRESHET_OLD_MASTER_KEYS_FILE "}},
		{[]string{"FRESHET_CACHE_ENCRYPTION_KEY=file:" + file,
			"FRESHET_CACHE_URL=file://" + folder + "/pages"}, []string{
			"cache_encryption_key *** environment variable FRESHET_CACHE_ENCRYPTION_KEY "}},
	} {
		said := strings.Join(strings.FieldsFunc(tells(t, exitOK, c.environ, "config"),
			func(r rune) bool { return r == ' ' }), " ")
		for _, line := range c.lines {
			if !strings.Contains(said, "\n"+line) {
				t.Errorf("with %.40q it does not say %q", c.environ, line)
			}
		}
	}
}

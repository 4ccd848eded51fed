package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/adapters/admin"
)

// adminToken is the token of a proxy's door, which is read anew where its file has changed. It is
// safe for concurrent use.
type adminToken struct {
	file string // "": the token is of the environment, which does not change
	log  *slog.Logger

	mu     sync.Mutex
	enters func(*http.Request) bool
	state  fileState // of the file when it was last read
	looked time.Time
}

// newAdminToken returns the token of the flags, which check has read.
func newAdminToken(f *adminFlags, log *slog.Logger) *adminToken {
	return &adminToken{file: f.tokenFile, log: log, enters: admin.Tokens(f.token),
		state: stateOf(f.tokenFile)}
}

// allows reports whether a request may enter.
func (t *adminToken) allows(r *http.Request) bool { return t.current(time.Now())(r) }

// current returns what lets requests in. The file is looked at once a second at most.
func (t *adminToken) current(now time.Time) func(*http.Request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != "" && now.Sub(t.looked) >= lookEvery {
		t.looked = now
		if is := stateOf(t.file); !is.same(t.state) {
			t.reload(is)
		}
	}
	return t.enters
}

// reread reads the file, whether or not it has changed.
func (t *adminToken) reread() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file != "" {
		t.reload(stateOf(t.file))
	}
}

// reload takes the file's token into use, unless it is wrong. Its caller holds mu.
func (t *adminToken) reload(is fileState) {
	t.state = is // before it is read: what changes meanwhile is seen the next time
	token, err := readAdminToken(t.file)
	if err != nil {
		t.log.Error("freshet proxy: the door's token that was read before stays in use", "error", err)
		return
	}
	t.enters = admin.Tokens(token)
	t.log.Info("freshet proxy: the door's token was read anew", "file", t.file)
}

// readAdminToken reads a token from its file.
func readAdminToken(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("--door-token-file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	return token, checkAdminToken(fmt.Sprintf("--door-token-file %q", name), token)
}

// checkAdminToken returns what is wrong with a token.
func checkAdminToken(from, token string) error {
	switch n := len(token); {
	case n < 16 || n > 512:
		return fmt.Errorf("%s holds a token of %d bytes: allowed are 16 to 512, so that nobody "+
			"guesses it: head -c 24 /dev/urandom | base64", from, n)
	case strings.ContainsAny(token, " \t\r\n"):
		return fmt.Errorf("%s holds a token with white space: allowed is one word", from)
	}
	return nil
}

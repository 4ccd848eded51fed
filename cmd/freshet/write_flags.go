package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/writetoken"
	"github.com/freshet-go/freshet/settings"
)

// writeGroup are the rows of what has clients read what they have written.
var writeGroup = group{title: "read your writes", rows: []settings.Setting{
	{Name: "proxy.read-your-writes-key-file", Value: "FILE",
		Meaning: "after a POST, PUT or DELETE its client gets nothing older for a minute, from whichever " +
			"proxy on the store, by a signed cookie; the file holds the key, of 16 to 512 bytes",
		More: "up to 8 keys, one on each line: the first signs, and all are good. The file is read anew " +
			"when it has changed, and on SIGHUP; while it is wrong, what was read before stays in use. All " +
			"proxies on a store have the same keys"},
	{Name: "proxy.read-your-writes-cookie", Value: "NAME", Default: "freshet-written",
		Allowed: "the name of a cookie", Meaning: "how the cookie is called",
		More: "give it another name where the app behind the proxy is a Freshet that sets one, too"},
	{Name: "proxy.read-your-writes-field", Value: "NAME", Allowed: "letters, digits and hyphens",
		Meaning: "a response field in place of the cookie, for clients that send it back themselves",
		More:    "such as App-Written"},
}}

// writeFlags say by which keys and names clients show what they have written.
type writeFlags struct {
	file, cookie, field string

	keys  [][]byte
	state fileState // of the file when it was read
}

func (f *writeFlags) define(set *flag.FlagSet) {
	set.StringVar(&f.file, "read-your-writes-key-file", "", "")
	set.Func("read-your-writes-cookie", "", into(&f.cookie, readWriteCookie))
	set.Func("read-your-writes-field", "", into(&f.field, readWriteField))
}

func readWriteCookie(name string) (string, error) {
	if !rules.IsCookieName(name) {
		return "", errors.New("allowed are letters, digits and -_.!#$%&'*+^`|~, as in freshet-written")
	}
	return name, nil
}

// readWriteField reads the name of a field. The proxy drops request fields with other characters.
func readWriteField(name string) (string, error) {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if !rules.IsOwnField(name) || strings.Trim(strings.ToLower(name), letters) != "" {
		return "", errors.New("allowed is the name of a field of your own, of letters, digits and " +
			"hyphens, such as App-Written")
	}
	return name, nil
}

// checkWrites reads the keys, and returns what is wrong with the flags together.
func (f *proxyFlags) checkWrites() (err error) {
	w := &f.writes
	switch {
	case w.cookie != "" && w.field != "":
		return errors.New("--read-your-writes-cookie and --read-your-writes-field: a token travels in " +
			"one of them: keep one")
	case w.file == "" && w.cookie+w.field != "":
		return errors.New("--read-your-writes-cookie and --read-your-writes-field need " +
			"--read-your-writes-key-file: without a key there are no tokens")
	case w.file == "":
		return nil
	case strings.HasPrefix(f.store.URL, "memory:"):
		return errors.New("--read-your-writes-key-file needs a --store that other processes use, too, " +
			"such as redis://127.0.0.1:6379/0: a memory of the proxy's own knows every change at once")
	}
	w.state = stateOf(w.file) // before it is read: what changes meanwhile is seen the next time
	w.keys, err = readWriteKeys(w.file)
	return err
}

// option is what the flags ask of a Cache.
func (f *writeFlags) option() freshet.ReadYourWrites {
	return freshet.ReadYourWrites{Keys: f.keys, Cookie: f.cookie, Field: f.field}
}

// maxWriteKey is the longest key, in bytes.
const maxWriteKey = 512

// readWriteKeys reads keys from their file, one on each line.
func readWriteKeys(name string) (keys [][]byte, err error) {
	const flag = "--read-your-writes-key-file"
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("%s %q is empty: allowed are 1 to %d keys, one on each line: head -c 24 "+
			"/dev/urandom | base64", flag, name, writetoken.MaxKeys)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) > writetoken.MaxKeys {
		return nil, fmt.Errorf("%s %q has %d lines: allowed are 1 to %d keys, one on each line: take "+
			"away those with which nothing was signed for a minute", flag, name, len(lines),
			writetoken.MaxKeys)
	}
	for i, line := range lines {
		key := strings.TrimSuffix(line, "\r")
		switch n := len(key); {
		case n < writetoken.MinKey || n > maxWriteKey:
			return nil, fmt.Errorf("%s %q, line %d holds a key of %d bytes: allowed are %d to %d, so that "+
				"nobody guesses it: head -c 24 /dev/urandom | base64", flag, name, i+1, n,
				writetoken.MinKey, maxWriteKey)
		case strings.ContainsAny(key, " \t\r"):
			return nil, fmt.Errorf("%s %q, line %d holds a key with white space: allowed is one word",
				flag, name, i+1)
		}
		keys = append(keys, []byte(key))
	}
	return keys, nil
}

// openToAll returns a warning where every user of the machine may read a file of a flag that holds
// a secret. Windows has no such mode.
func openToAll(flag, name string) []string {
	info, err := os.Stat(name)
	if name == "" || err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o007 == 0 {
		return nil
	}
	return []string{fmt.Sprintf("--%s %s: every user of this machine can read it (mode %04o): chmod 600 "+
		"keeps it secret", flag, name, info.Mode().Perm())}
}

package httpclient

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFilesThatHoldNoToken(t *testing.T) {
	folder := t.TempDir()
	if _, err := FromFile("Bearer", filepath.Join(folder, "none")); err == nil ||
		!strings.Contains(err.Error(), "no such file") || strings.Count(err.Error(), "none") != 1 {
		t.Errorf("of a file that is not there: %v", err)
	}
	for text, says := range map[string]string{
		"":                                   "it is empty",
		" \n\t":                              "it is empty",
		"secret\nsecret":                     "it holds no token",
		"secret\x00":                         "it holds no token",
		"secr\u00e9t":                        "it holds no token",
		strings.Repeat("secret", 2_000):      "it holds no token",
		"secret" + strings.Repeat(" ", 9000): "it holds no token",
	} {
		name := filepath.Join(folder, "token")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := FromFile("Bearer", name)
		if err == nil || !strings.HasPrefix(err.Error(), "token_file=") || !strings.Contains(err.Error(), says) ||
			strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("of a file with %.20q: %v; want %q, and no secret", text, err, says)
		}
	}
}

// A new token is sent a second later, and the former one as long as the file holds none.
func TestATokenThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "token")
		write := func(text string) {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("one\n")
		c, err := FromFile("Bearer", name)
		if err != nil {
			t.Fatal(err)
		}
		want := func(when, value string) {
			t.Helper()
			if got := c.Value(); got != value {
				t.Errorf("%s: %q; want %q", when, got, value)
			}
		}
		want("at the start", "Bearer one")
		write("two")
		want("at once", "Bearer one")
		time.Sleep(lookEach)
		want("a second later", "Bearer two")
		write("")
		time.Sleep(lookEach)
		want("of an empty file", "Bearer two")
		os.Remove(name)
		time.Sleep(lookEach)
		want("without the file", "Bearer two")
		write("three")
		if got := c.Renewed("Bearer one"); got != "Bearer two" {
			t.Errorf("after one that was sent before was refused: %q", got)
		}
		if got := c.Renewed("Bearer two"); got != "Bearer three" {
			t.Errorf("after the one that is sent was refused: %q", got)
		}
		want("after that", "Bearer three")
	})
}

func TestCredentialsThatStay(t *testing.T) {
	var none *Credential
	if none.Value() != "" || none.Renewed("") != "" {
		t.Error("no credential sends something")
	}
	c, err := Fixed("Basic x")
	if err != nil || c.Value() != "Basic x" || c.Renewed("Basic x") != "Basic x" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := Fixed("Bearer secret\r\nHost: a"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("of two lines: %v", err)
	}
}

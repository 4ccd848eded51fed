package httpclient

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Credential is the value of Authorization in each request: a text, or what a file holds, which may
// change at any time. It is safe for concurrent use. A nil one is none.
type Credential struct {
	scheme, file string
	value        atomic.Pointer[string]
	looked       atomic.Int64 // when the file was read last, since began
	began        time.Time
	reading      sync.Mutex
}

const (
	maxCredential = 8 << 10 // bytes
	// lookEach is how often a file is read, at most, while requests come.
	lookEach = time.Second
)

// Fixed returns a Credential that is always value. Its error does not show it.
func Fixed(value string) (*Credential, error) {
	if err := checkCredential(value); err != nil {
		return nil, fmt.Errorf("the authorization %w", err)
	}
	c := &Credential{}
	c.value.Store(&value)
	return c, nil
}

// FromFile returns the Credential "scheme token" with the token that lies in a file, white space
// around it left out. The file is read now, and again as requests come, once a second at most, and
// when the server refuses the token. When it cannot be read any more, or holds none, the former
// token stays. No error shows what is in it.
func FromFile(scheme, name string) (*Credential, error) {
	c := &Credential{scheme: scheme, file: name, began: time.Now()}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("token_file=%.100q: %w", name, err)
	}
	return c, nil
}

// Value returns what to send.
func (c *Credential) Value() string {
	if c == nil {
		return ""
	}
	if c.file != "" {
		now, looked := int64(time.Since(c.began)), c.looked.Load()
		if now-looked >= int64(lookEach) && c.looked.CompareAndSwap(looked, now) {
			c.read()
		}
	}
	return *c.value.Load()
}

// Renewed returns what to send after the server has refused was: the file may hold another since.
func (c *Credential) Renewed(was string) string {
	if c == nil || c.file == "" {
		return was
	}
	if now := *c.value.Load(); now != was {
		return now // somebody else has read it
	}
	c.read()
	return *c.value.Load()
}

// read reads the file.
func (c *Credential) read() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	f, err := os.Open(c.file)
	if err != nil {
		return unnamed(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCredential+1))
	if err != nil {
		return unnamed(err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return errors.New("it is empty; the token alone is allowed")
	}
	value := c.scheme + " " + token
	if err := checkCredential(value); err != nil || len(text) > maxCredential {
		return fmt.Errorf("it holds no token: one line of up to %d printable bytes of ASCII is allowed",
			maxCredential)
	}
	c.value.Store(&value)
	return nil
}

// unnamed leaves out the file's name, which the caller says.
func unnamed(err error) error {
	if at, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Errorf("%s: %w", at.Op, at.Err)
	}
	return err
}

// checkCredential refuses what no field can have. Its error does not show it.
func checkCredential(value string) error {
	if len(value) > maxCredential || strings.TrimSpace(value) != value ||
		strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("has %d bytes, or bytes that no field's value has; up to %d printable "+
			"bytes of ASCII are allowed", len(value), maxCredential)
	}
	return nil
}

package nginx

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/policy"
)

// cover decides which files of nginx's cache a purge covers.
type cover struct {
	all      bool
	keys     map[string]bool
	prefixes []string
	tags     map[string]bool // as they are sent
}

func newCover(p cdn.Purge, template string) *cover {
	c := &cover{all: p.All, keys: map[string]bool{}, tags: map[string]bool{}}
	for _, tag := range p.Tags {
		c.tags[policy.SentTag(TagField, tag)] = true
	}
	for _, raw := range p.URLs {
		for _, key := range keysOf(template, raw) {
			c.keys[key] = true
		}
	}
	for _, raw := range p.Prefixes {
		c.prefixes = append(c.prefixes, keysOf(template, raw)...)
	}
	return c
}

// keysOf returns what the template makes of a URL, whatever the method.
func keysOf(template, raw string) (keys []string) {
	scheme, rest, _ := strings.Cut(raw, "://")
	host, target, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, ":") // $host has no port
	before := strings.TrimSuffix(template, "$request_uri")
	for _, method := range [...]string{"GET", "HEAD"} {
		key := strings.NewReplacer("$scheme", scheme, "$host", host, "$request_method",
			method).Replace(before) + "/" + target
		if len(keys) == 0 || keys[0] != key {
			keys = append(keys, key)
		}
	}
	return keys
}

// maxHead bounds what is read of a file: its key and the response's header, of which nginx keeps
// as much as proxy_buffer_size, 4 or 8 KiB by default.
const maxHead = 64 << 10

// remove removes the files below root that are covered. Nothing else is touched: what has no name
// that nginx gives, and no link is followed.
func (c *cover) remove(ctx context.Context, root *os.Root) error {
	var failed error
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			failed = errors.Join(failed, err)
			return nil
		}
		if !d.Type().IsRegular() || !isHash(d.Name()) {
			return nil
		}
		covered, err := c.covers(root, name)
		if err == nil && covered {
			err = root.Remove(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && failed == nil {
			failed = err
		}
		return nil
	})
	return errors.Join(err, failed)
}

// isHash reports whether a file's name is one that nginx gives: an MD5 in hexadecimal digits.
func isHash(name string) bool {
	return len(name) == 32 && strings.Trim(name, "0123456789abcdef") == ""
}

func (c *cover) covers(root *os.Root, name string) (bool, error) {
	if c.all {
		return true, nil
	}
	f, err := root.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, maxHead))
	if err != nil {
		return false, err
	}
	return c.coversHead(head), nil
}

// coversHead reports whether a file that begins with head is covered: after a binary header, the
// line "KEY: …", and the response's header.
func (c *cover) coversHead(head []byte) bool {
	_, rest, found := bytes.Cut(head, []byte("\nKEY: "))
	line, rest, ended := bytes.Cut(rest, []byte("\n"))
	if !found || !ended {
		return false
	}
	key := string(line)
	if c.keys[key] {
		return true
	}
	for _, prefix := range c.prefixes {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return len(c.tags) > 0 && c.coversHeader(rest)
}

func (c *cover) coversHeader(rest []byte) bool {
	for line := range bytes.Lines(rest) {
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			return false // the body begins
		}
		name, value, _ := strings.Cut(text, ":")
		if !strings.EqualFold(name, TagField) {
			continue
		}
		for tag := range strings.FieldsFuncSeq(value, func(r rune) bool {
			return r == ' ' || r == '\t' || r == ','
		}) {
			if c.tags[tag] {
				return true
			}
		}
	}
	return false
}

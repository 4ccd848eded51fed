package filestore

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Config says where a Backend keeps its files, and how many. Only Path is required.
type Config struct {
	// Path is the folder, absolute. The path may lead through symbolic links. The first Set or
	// Health makes the folder if it is missing, with its parents, and for its owner alone.
	Path string
	// MaxBytes bounds what the values take on the disk: each counts as its file, rounded up to
	// blocks of 4 KiB, and 512 bytes for its name and inode. 1 MiB at least. Default 1 GiB.
	MaxBytes int64
	// MaxValue is the longest value to keep, in bytes, at most half of MaxBytes. Default 100 MiB,
	// or half of MaxBytes where that is less.
	MaxValue int64
	// Fsync makes Set wait until the value is on the disk, so that it outlives a loss of power; it
	// makes a Set some twenty times slower. Without it, what the kernel had not yet written is lost
	// with the power, which is noticed and a miss. Default false.
	Fsync bool
}

const (
	defaultBytes = 1 << 30
	defaultValue = 100 << 20
	leastBytes   = 1 << 20
)

// check returns c with its defaults filled in, or an error that says what is wrong with it.
func (c Config) check() (Config, error) {
	switch {
	case c.Path == "":
		return c, errors.New("the path of the folder is missing; want an absolute path, as in " +
			"file:///var/cache/app")
	case !filepath.IsAbs(c.Path) || strings.ContainsRune(c.Path, 0):
		return c, fmt.Errorf("path %q is not absolute; want one that begins with a slash, as in "+
			"file:///var/cache/app", c.Path)
	case filepath.Clean(c.Path) == string(filepath.Separator):
		return c, fmt.Errorf("path %q is the root of the file system; want a folder for the "+
			"cache alone, as in file:///var/cache/app", c.Path)
	}
	c.Path = filepath.Clean(c.Path)
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultBytes
	}
	if c.MaxBytes < leastBytes {
		return c, fmt.Errorf("max_bytes=%d: 1MiB or more is allowed", c.MaxBytes)
	}
	if c.MaxValue == 0 {
		c.MaxValue = min(defaultValue, c.MaxBytes/2)
	}
	if c.MaxValue < 1 || c.MaxValue > c.MaxBytes/2 {
		return c, fmt.Errorf("max_value=%d: 1 to %d, half of max_bytes, is allowed", c.MaxValue,
			c.MaxBytes/2)
	}
	return c, nil
}

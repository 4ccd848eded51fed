package spool

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Check returns what is wrong with a folder for spools, as Open would, and makes none: one that is
// not there is no error.
func Check(folder string) error {
	if err := supported(); err != nil {
		return err
	}
	info, err := os.Lstat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s cannot be a folder: %w: name a path where user %d may make one", folder,
			err, os.Geteuid())
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: name the folder that it leads to", folder)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder: name one, or a path where there is nothing yet",
			folder)
	case owner(info) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, and this process runs as user %d: name a folder "+
			"of its own, or change the owner", folder, owner(info), os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s has mode %#o, so that others may look into it, and invalidations name "+
			"URLs and tags: chmod 700 it, or name a path where there is nothing yet", folder,
			info.Mode().Perm())
	}
	return nil
}

// makeFolder makes the folder if it is not there, and checks it.
func makeFolder(folder string) error {
	if err := Check(folder); err != nil {
		return err
	}
	if _, err := os.Lstat(folder); err == nil {
		return nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("%s cannot be made: %w: name a path where user %d may make a folder, or make "+
			"it for that user with mode 0700", folder, err, os.Geteuid())
	}
	syncFolder(filepath.Dir(folder)) // if it may: not every user can read where its folder is
	return Check(folder)
}

const prefix, suffix = "freshet-", ".spool"

// isOurs reports whether a file of the folder is a spool, by its name.
func isOurs(name string) bool {
	return strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix)
}

// create makes an empty file in the folder and locks it.
func create(folder string) (*os.File, error) {
	if err := makeFolder(folder); err != nil {
		return nil, err
	}
	for {
		var id [16]byte
		rand.Read(id[:])
		path := filepath.Join(folder, prefix+hex.EncodeToString(id[:])+suffix)
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|careful, 0o600)
		if err != nil {
			return nil, fmt.Errorf("no file can be made in %s: %w: user %d must be able to write there",
				folder, err, os.Geteuid())
		}
		busy, err := tryLock(f)
		if err == nil && !busy && isAt(f, path) {
			return f, nil
		}
		f.Close()
		if err != nil {
			os.Remove(path)
			return nil, err
		}
		// a process that looked for what others have left was faster, and takes it for empty
	}
}

// isAt reports whether f is the file at path.
func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, there)
}

// syncFolder has the names in the folder outlive a failure of the machine.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package spool

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

const careful = 0

// supported says that there is no spool here: it needs locks on files that end with their process.
func supported() error {
	return fmt.Errorf("invalidations are spooled on Unix systems only, not on %s: %w",
		runtime.GOOS, errors.ErrUnsupported)
}

func tryLock(*os.File) (busy bool, err error) { return false, supported() }
func owner(os.FileInfo) int                   { return os.Getuid() }
func isFull(error) bool                       { return false }

//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package filestore

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

const noFollow, onlyFolder = 0, 0

// supported says that there is no filestore here: it needs file locks, files that can be replaced
// while they are read, and names that may hold a colon.
func supported() error {
	return fmt.Errorf("files are kept on Unix systems only, not on %s: %w", runtime.GOOS,
		errors.ErrUnsupported)
}

func readFile(string, uint32, int64, int64) ([]byte, identity, error) {
	return nil, identity{}, supported()
}
func lookAt(string) (identity, error)   { return identity{}, supported() }
func isFolder(string) (bool, error)     { return false, supported() }
func identifyInfo(os.FileInfo) identity { return identity{} }
func tryLock(*os.File, bool) error      { return supported() }
func rename(string, string) error       { return supported() }
func unlock(*os.File)                   {}
func processAlive(int) bool             { return true }
func bootID() string                    { return "" }

package testserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const folderPrefix = "freshet-test-"

// folder is the pattern of a server's folder, for os.MkdirTemp: it says whose it is.
func folder(program string) string {
	return fmt.Sprintf("%s%d-%s-", folderPrefix, os.Getpid(), program)
}

// sweep removes the folders that test binaries left which were killed or panicked: those of
// processes that are no more, an hour after the last change.
func sweepFolders() {
	paths, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	for _, path := range paths {
		var owner int
		_, err := fmt.Sscanf(strings.TrimPrefix(filepath.Base(path), folderPrefix), "%d-", &owner)
		info, e := os.Stat(path)
		if err == nil && e == nil && time.Since(info.ModTime()) > time.Hour && !alive(owner) {
			freeMemory(path)
			_ = os.RemoveAll(path)
		}
	}
}

var sweep = sync.OnceFunc(sweepFolders)

package testserver

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// Require returns the path of a program. If it is not installed it skips the test, or fails it if
// the environment says FRESHET_TEST_SERVERS=required, as `make test` does.
func Require(tb testing.TB, program string) (path string) {
	tb.Helper()
	if path = find(program); path == "" {
		Missing(tb, program)
	}
	return path
}

// Missing says that the machine lacks a program: it skips the test, or fails it, as Require does.
func Missing(tb testing.TB, program string) {
	tb.Helper()
	if os.Getenv("FRESHET_TEST_SERVERS") == "required" {
		tb.Fatalf("%s is not installed, and FRESHET_TEST_SERVERS=required: `make test` installs it",
			program)
	}
	tb.Skipf("%s is not installed: `make test` installs it", program)
}

// find looks in PATH, in /usr/sbin, which a user's PATH may lack, and for PostgreSQL's programs
// where Debian keeps them: the newest of several. The program found has its siblings beside it.
func find(program string) string {
	if path, err := exec.LookPath(program); err == nil {
		if whole, err := filepath.EvalSymlinks(path); err == nil && program == "postgres" {
			return whole
		}
		return path
	}
	if path, err := exec.LookPath("/usr/sbin/" + program); err == nil {
		return path
	}
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	version := func(path string) float64 {
		v, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(filepath.Dir(path))), 64)
		return v
	}
	slices.SortFunc(paths, func(a, b string) int { return int(10 * (version(b) - version(a))) })
	if len(paths) == 0 {
		return ""
	}
	return paths[0]
}

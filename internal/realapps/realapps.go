//go:build apps

package realapps

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to begin.
const patience = 2 * time.Minute

// Port returns a port of loopback that nobody listens on.
func Port(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// Run runs a program to its end, and fails the test if it fails.
func Run(t *testing.T, environ []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Start starts a program with all that it starts itself, and ends it with the test. If the test
// fails, the end of what it said is in the test's log.
func Start(t *testing.T, environ []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		file.Close()
		if text, _ := os.ReadFile(file.Name()); t.Failed() {
			t.Logf("%s said:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
	return cmd
}

// Listens waits until somebody listens at an address.
func Listens(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return
		}
	}
	t.Fatalf("nobody listens at %s", addr)
}

// PHP serves a folder by PHP's own server with four workers, and returns its address. router may be
// empty.
func PHP(t *testing.T, environ []string, folder, router string) string {
	t.Helper()
	addr := "127.0.0.1:" + Port(t)
	args := []string{"-d", "opcache.enable_cli=1", "-S", addr, "-t", folder}
	if router != "" {
		args = append(args, router)
	}
	Start(t, append(environ, "PHP_CLI_SERVER_WORKERS=4"), "php", args...)
	Listens(t, addr)
	return addr
}

// MariaDB starts a server with an empty database, and returns its address. The user and the
// password are the database's name.
func MariaDB(t *testing.T, database string) string {
	t.Helper()
	folder, port := t.TempDir(), Port(t)
	data, socket := filepath.Join(folder, "data"), filepath.Join(folder, "socket")
	Run(t, nil, "mariadb-install-db", "--no-defaults", "--user=root", "--datadir="+data,
		"--auth-root-authentication-method=normal", "--skip-test-db")
	Start(t, nil, "mariadbd", "--no-defaults", "--user=root", "--datadir="+data, "--socket="+socket,
		"--port="+port,
		"--bind-address=127.0.0.1", "--skip-log-bin")
	Listens(t, "127.0.0.1:"+port)
	Run(t, nil, "mariadb", "-S", socket, "-uroot", "-e", strings.ReplaceAll(
		"CREATE DATABASE x; CREATE USER x@'%' IDENTIFIED BY 'x'; GRANT ALL ON x.* TO x@'%'", "x",
		database))
	return "127.0.0.1:" + port
}

// Freshet starts freshet proxy, and returns the address that it serves.
func Freshet(t *testing.T, binary string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"proxy"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said strings.Builder
	cmd.Stderr = &said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		if t.Failed() {
			t.Logf("freshet said:\n%s", said.String())
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, rest, found := strings.Cut(line, "serving http://")
	if err != nil || !found {
		cmd.Wait()
		t.Fatalf("freshet said %q, %v: %s", line, err, said.String())
	}
	addr, _, _ := strings.Cut(rest, " ")
	return addr
}

// Build builds freshet, and returns where it is.
func Build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "freshet")
	Run(t, nil, "go", "build", "-o", binary, "github.com/freshet-go/freshet/cmd/freshet")
	return binary
}

// Eventually asks until something is so, which takes a few seconds at most.
func Eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatal(fmt.Sprint("it never came to be so: ", what))
}

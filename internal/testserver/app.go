package testserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// What an App finds in its environment and leaves in its folder.
const (
	appAddr = "FRESHET_TESTSERVER_APP"
	appPid  = "app.pid"

	appPatience = 5 * time.Second // for requests that it has taken
)

// App starts the test's own program again, as an app for one test: a process of its own, with env
// besides the test's environment. Its TestMain calls ServeApp where IsApp is true, and nothing
// else. The app runs in the server's folder, and its log is what it writes to standard error.
func App(tb testing.TB, env ...string) *Server {
	tb.Helper()
	program, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return own(tb, kind{
		program: program,
		url:     "http://%s",
		port:    freePort,
		args:    func(*Server) []string { return nil },
		env: func(s *Server) []string {
			// or else a program with the race detector waits for a second when it ends
			return append([]string{appAddr + "=" + s.Addr, "GORACE=atexit_sleep_ms=0"}, env...)
		},
		ready: func(ctx context.Context, s *Server) error {
			if err := hasWritten(s, appPid); err != nil {
				return err
			}
			return accepts(ctx, s)
		},
		stop: func(s *Server) { s.process.signal(syscall.SIGTERM) },
	})
}

// IsApp reports whether App started this program.
func IsApp() bool { return os.Getenv(appAddr) != "" }

// AppURL is the URL at which this program serves that App started.
func AppURL() string { return "http://" + os.Getenv(appAddr) }

// ServeApp serves h where App looks for it, until the test ends, and then waits for requests that
// it has taken. It ends the program if it cannot.
func ServeApp(h http.Handler) { ServeAppTLS(h, nil) }

// ServeAppTLS is ServeApp by TLS, with HTTP/2, for an App whose URL is then wrong; nil: without
// TLS.
func ServeAppTLS(h http.Handler, config *tls.Config) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := serveApp(ctx, h, config); err != nil {
		fmt.Fprintln(os.Stderr, "testserver: ServeApp:", err)
		os.Exit(1)
	}
}

func serveApp(ctx context.Context, h http.Handler, config *tls.Config) error {
	l, err := net.Listen("tcp4", os.Getenv(appAddr))
	if err != nil {
		return err
	}
	// whole, or not there
	pid := strconv.AppendInt(nil, int64(os.Getpid()), 10)
	if err := os.WriteFile(appPid+".new", pid, 0o600); err != nil {
		return err
	}
	if err := os.Rename(appPid+".new", appPid); err != nil {
		return err
	}
	s := http.Server{Handler: h, TLSConfig: config}
	serve := s.Serve
	if config != nil {
		serve = func(l net.Listener) error { return s.ServeTLS(l, "", "") }
	}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		patient, cancel := context.WithTimeout(context.Background(), appPatience)
		defer cancel()
		ended <- s.Shutdown(patient)
	}()
	if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

// Output is all that the server wrote to its standard output and error since the first start.
func (s *Server) Output() string {
	text, err := os.ReadFile(filepath.Join(s.Dir, outputFile))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

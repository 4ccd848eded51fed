package testserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Nginx starts an nginx for one test. The text that config returns stands in its http block; it
// has a server that listens at s.Addr, and names files below s.Dir. The server's own log is what
// the test shows when it fails.
func Nginx(tb testing.TB, config func(s *Server) string) *Server {
	tb.Helper()
	return own(tb, nginx(Require(tb, "nginx"), config))
}

// Varnish starts a Varnish of 16 MiB for one test, with the VCL that config returns. It listens at
// s.Addr whatever the VCL says. The VCL is compiled by the C compiler, which takes most of a second.
func Varnish(tb testing.TB, config func(s *Server) string) *Server {
	tb.Helper()
	return own(tb, varnish(Require(tb, "varnishd"), config))
}

// nginxMain is the main part of nginx.conf, with the server's folder and the http block. It is one
// process: workers would live on when their master is killed.
const nginxMain = `daemon off;
master_process off;
error_log stderr;
pid %[1]s/nginx.pid;
events { worker_connections 256; }
http {
access_log off;
client_body_temp_path %[1]s/client;
proxy_temp_path %[1]s/proxy;
fastcgi_temp_path %[1]s/fastcgi;
uwsgi_temp_path %[1]s/uwsgi;
scgi_temp_path %[1]s/scgi;
%[2]s
}
`

func nginx(path string, config func(*Server) string) kind {
	file := func(s *Server) string { return filepath.Join(s.Dir, "nginx.conf") }
	return kind{
		program: path,
		url:     "http://%s",
		port:    freePort,
		prepare: func(s *Server) error {
			return os.WriteFile(file(s), fmt.Appendf(nil, nginxMain, s.Dir, config(s)), 0o600)
		},
		args: func(s *Server) []string {
			return []string{"-p", s.Dir, "-c", file(s), "-e", "stderr"}
		},
		ready: func(ctx context.Context, s *Server) error {
			// It writes its number when it has the port.
			if err := hasWritten(s, "nginx.pid"); err != nil {
				return err
			}
			return accepts(ctx, s)
		},
	}
}

func varnish(path string, config func(*Server) string) kind {
	file := func(s *Server) string { return filepath.Join(s.Dir, "default.vcl") }
	return kind{
		program: path,
		url:     "http://%s",
		port:    freePort,
		prepare: func(s *Server) error { return os.WriteFile(file(s), []byte(config(s)), 0o600) },
		args: func(s *Server) []string {
			// Its jail wants root and users of its own. Without a log of 80 MiB and with few threads
			// it starts sooner.
			return []string{"-F", "-j", "none", "-n", filepath.Join(s.Dir, "work"), "-a", s.Addr,
				"-f", file(s), "-s", "malloc,16m", "-l", "1m", "-T", "none", "-S", "none",
				"-p", "thread_pools=1", "-p", "thread_pool_min=10"}
		},
		ready: func(ctx context.Context, s *Server) error {
			// The port is taken before the process is there that answers.
			if !strings.Contains(string(s.output()), "Child launched OK") {
				return errors.New("it compiles its VCL")
			}
			return accepts(ctx, s)
		},
	}
}

// hasWritten returns nil when the server has written the number of its process to a file in its
// folder.
func hasWritten(s *Server, file string) error {
	text, err := os.ReadFile(filepath.Join(s.Dir, file))
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(text)) != strconv.Itoa(s.process.pid()) {
		return errors.New("the number of the process is of an earlier one")
	}
	return nil
}

// accepts reports whether the server takes connections.
func accepts(ctx context.Context, s *Server) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	if err == nil {
		conn.Close()
	}
	return err
}

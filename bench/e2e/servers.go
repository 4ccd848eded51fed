package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

type starter = func(ctx context.Context, e *ensemble, r *running) error

// goServer starts the binary of package server as a contestant.
func goServer(kind, storeURL string) starter {
	return func(ctx context.Context, e *ensemble, r *running) (err error) {
		r.main, r.url, r.control, err = e.server(ctx, e.cores.server, kind, storeURL)
		return err
	}
}

// server starts the binary of package server.
func (e *ensemble) server(
	ctx context.Context, core int, kind, storeURL string,
) (p *process, url, control string, err error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, "", "", err
	}
	if control, err = freeAddress(); err != nil {
		return nil, "", "", err
	}
	p, err = e.launch(ctx, core, listen, e.binary, "-kind", kind, "-store", storeURL, "-listen",
		listen, "-control", control, "-size", strconv.Itoa(e.ask.size))
	return p, "http://" + listen + e.ask.path, "http://" + control, err
}

// redisServer starts Freshet over a Redis of its own.
func redisServer(options string) starter {
	return func(ctx context.Context, e *ensemble, r *running) error {
		path, err := program("redis-server")
		if err != nil {
			return err
		}
		address, err := freeAddress()
		if err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(address)
		r.behind, err = e.launch(ctx, e.cores.load, address, path,
			"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir",
			e.dir)
		if err != nil {
			return err
		}
		return goServer("freshet", "redis://"+address+"/0"+options)(ctx, e, r)
	}
}

// startFreshetProxy starts freshet proxy in front of an origin.
func startFreshetProxy(ctx context.Context, e *ensemble, r *running) error {
	return e.proxy(ctx, r, proxyName, func(dir, listen, origin string) (string, []string, error) {
		path := filepath.Join(dir, "freshet")
		if err := build(ctx, path, "github.com/freshet-go/freshet", "./cmd/freshet"); err != nil {
			return "", nil, err
		}
		return path, []string{"proxy", "--upstream", "http://" + origin, "--listen", listen,
			"--memory", "256MiB"}, nil
	})
}

// startNginx starts nginx in front of an origin. As root its worker would be nobody, who cannot
// enter the folder: there it stays root.
func startNginx(ctx context.Context, e *ensemble, r *running) error {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	return e.proxy(ctx, r, "nginx", func(dir, listen, origin string) (path string, args []string,
		err error) {
		if path, err = program("nginx"); err != nil {
			return "", nil, err
		}
		config := filepath.Join(dir, "nginx.conf")
		args = []string{"-p", dir, "-c", config, "-e", "stderr"}
		// Head and body in one packet; but the end of a body that does not fit into one would wait for
		// the client's acknowledgement, 40 ms.
		nopush := "on"
		if e.ask.size > 32<<10 {
			nopush = "off"
		}
		return path, args, os.WriteFile(config, fmt.Appendf(nil, nginxConfig, user, dir, origin,
			listen, nopush), 0o644)
	})
}

// nginxConfig takes who runs it, its folder, the origin's address and its own, and tcp_nopush.
const nginxConfig = `%[1]s
daemon off;
worker_processes 1;
error_log stderr;
pid %[2]s/nginx.pid;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush %[5]s;
	keepalive_timeout 1h;
	keepalive_requests 1000000000;
	open_file_cache max=200000 inactive=1h;
	open_file_cache_valid 1h;
	client_body_temp_path %[2]s/client;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	proxy_cache_path %[2]s/cache levels=1:2 keys_zone=pages:32m max_size=256m inactive=2h use_temp_path=off;
	upstream origin { server %[3]s; keepalive 32; }
	server {
		listen %[4]s;
		location / {
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_cache pages;
		}
	}
}
`

// startVarnish starts Varnish in front of an origin. Its jail wants root and users of its own, so
// there is none.
func startVarnish(ctx context.Context, e *ensemble, r *running) error {
	return e.proxy(ctx, r, "varnish", func(dir, listen, origin string) (path string, args []string,
		err error) {
		if path, err = program("varnishd"); err != nil {
			return "", nil, err
		}
		host, port, _ := net.SplitHostPort(origin)
		vcl := filepath.Join(dir, "origin.vcl")
		args = []string{"-F", "-j", "none", "-n", dir, "-a", listen, "-T", "none", "-s",
			"malloc,256m", "-f", vcl}
		return path, args, os.WriteFile(vcl, fmt.Appendf(nil, varnishConfig, host, port), 0o644)
	})
}

// varnishConfig takes the origin's host and port.
const varnishConfig = `vcl 4.1;
backend default { .host = "%s"; .port = "%s"; }
`

// proxy starts an origin on wrk's core and a proxy in front of it, in a folder of its own.
func (e *ensemble) proxy(
	ctx context.Context, r *running, name string, prepare func(dir, listen, origin string) (string,
		[]string, error),
) error {
	dir, err := e.folder(name)
	if err != nil {
		return err
	}
	listen, err := freeAddress()
	if err != nil {
		return err
	}
	_, originURL, control, err := e.server(ctx, e.cores.load, "origin", "")
	if err != nil {
		return err
	}
	path, args, err := prepare(dir, listen, hostPort(originURL))
	if err != nil {
		return err
	}
	r.main, err = e.launch(ctx, e.cores.server, listen, path, args...)
	r.url, r.control = "http://"+listen+e.ask.path, control
	return err
}

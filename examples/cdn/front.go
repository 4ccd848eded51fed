package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/freshet-go/freshet/examples/internal/processes"
)

var (
	//go:embed nginx.conf
	nginxConf string
	//go:embed default.vcl
	defaultVCL string
)

// secret is what purges are known by: this run's own.
var secret = rand.Text()

// front is the cache in front of the app.
type front struct {
	name    string
	about   string   // which one it is
	address string   // where it will listen
	target  []string // flags of the app, which tell of it
	start   func(ctx context.Context, one, two string) (end func(), err error)
}

// newFront returns the front with a name; with none the first one that is installed, or else the
// stand-in. Its files are in dir.
func newFront(name, dir string) (*front, error) {
	address, err := processes.FreeAddress()
	if err != nil {
		return nil, err
	}
	f := &front{name: name, address: address}
	paths := map[string]string{"varnish": processes.Find("varnishd"), "nginx": processes.Find("nginx")}
	for _, each := range []string{"varnish", "nginx", "stand-in"} {
		if f.name == "" && (paths[each] != "" || each == "stand-in") {
			f.name = each
		}
	}
	switch path := paths[f.name]; {
	case f.name == "stand-in":
		f.about = "a stand-in of this example's own; to see a real one: apt-get install varnish varnish-modules gcc"
		f.target = []string{"-varnish", "http://" + f.address}
		f.start = f.startStandIn
	case path == "" && (f.name == "varnish" || f.name == "nginx"):
		return nil, fmt.Errorf("%s is not installed: apt-get install %s", f.name,
			map[string]string{"varnish": "varnish varnish-modules gcc", "nginx": "nginx"}[f.name])
	case f.name == "varnish":
		f.about, f.target = path+", with default.vcl", []string{"-varnish", "http://" + f.address}
		f.start = func(ctx context.Context, one, two string) (func(), error) {
			return f.startVarnish(ctx, path, dir, one, two)
		}
	case f.name == "nginx":
		folder := filepath.Join(dir, "nginx", "pages")
		f.about, f.target = path+", with nginx.conf", []string{"-nginx", folder}
		f.start = func(ctx context.Context, one, two string) (func(), error) {
			return f.startNginx(ctx, path, filepath.Dir(folder), one, two)
		}
	default:
		return nil, fmt.Errorf("-front %q: varnish, nginx and stand-in are allowed", f.name)
	}
	return f, nil
}

// startVarnish starts Varnish, which compiles its configuration first.
func (f *front) startVarnish(ctx context.Context, path, dir, one, two string) (func(), error) {
	_, first, _ := net.SplitHostPort(one)
	_, second, _ := net.SplitHostPort(two)
	config := filepath.Join(dir, "default.vcl")
	text := strings.NewReplacer("8081", first, "8082", second, "PURGE_KEY", secret).Replace(defaultVCL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return f.startServer(ctx, path, "-F", "-j", "none", "-n", filepath.Join(dir, "varnish"), "-a",
		f.address, "-f", config, "-s", "malloc,16m", "-l", "1m", "-T", "none", "-S", "none")
}

// nginxMain is the rest of nginx's configuration, where no installed one includes ours.
const nginxMain = `%[1]s
daemon off;
worker_processes 1;
pid "%[2]s/nginx.pid";
events {}
http {
	access_log off;
	client_body_temp_path "%[2]s/client";
	proxy_temp_path "%[2]s/proxy";
	fastcgi_temp_path "%[2]s/fastcgi";
	uwsgi_temp_path "%[2]s/uwsgi";
	scgi_temp_path "%[2]s/scgi";
	include freshet.conf;
}
`

func (f *front) startNginx(ctx context.Context, path, dir, one, two string) (func(), error) {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // another one could not enter the folder
	}
	text := strings.NewReplacer("127.0.0.1:8081", one, "127.0.0.1:8082", two, "127.0.0.1:8000",
		f.address, "/var/cache/nginx/freshet", filepath.Join(dir, "pages"), "PURGE_KEY",
		secret).Replace(nginxConf)
	config := filepath.Join(dir, "nginx.conf")
	err := errors.Join(os.MkdirAll(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "freshet.conf"), []byte(text), 0o600),
		os.WriteFile(config, fmt.Appendf(nil, nginxMain, user, dir), 0o600))
	if err != nil {
		return nil, err
	}
	return f.startServer(ctx, path, "-p", dir, "-c", config, "-e", "stderr")
}

// startServer starts a server, and waits until it takes connections.
func (f *front) startServer(ctx context.Context, path string, args ...string) (func(), error) {
	server, err := processes.Server(ctx, f.name, f.address, path, args...)
	if err != nil {
		return nil, err
	}
	return server.End, nil
}

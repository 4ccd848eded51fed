package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"github.com/freshet-go/freshet/examples/internal/processes"
	"github.com/freshet-go/freshet/store/open"
	_ "github.com/freshet-go/freshet/store/redisstore" // for redis://…
)

// shared is the store of all processes.
type shared struct {
	url   string
	about string
	redis string // the path of the server that the example is to start for it, or ""
}

// newStore returns the store that is wished for: by its URL, or "files"; else Redis, where the
// path of its server is known, or files. Files are in dir.
func newStore(wish, dir, redis string) (*shared, error) {
	switch {
	case wish == "" && redis != "":
		return &shared{about: "a redis-server that this program has started", redis: redis}, nil
	case wish == "" || wish == "files":
		return &shared{url: "file://" + filepath.ToSlash(filepath.Join(dir, "store")),
			about: "files in a folder that goes at the end"}, nil
	}
	_, _, end, err := open.Backend(wish, open.Options{}) // asks no server yet
	if err != nil {
		return nil, fmt.Errorf("-store: %w; take files, or the URL of files or of a Redis", err)
	}
	return &shared{url: wish, about: "the one that -store names"}, end()
}

// startRedis starts the server, which keeps nothing on the disk.
func (s *shared) startRedis(ctx context.Context, dir string) (*processes.Process, error) {
	address, err := processes.FreeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	s.url = "redis://" + address
	return processes.Server(ctx, "redis-server", address, s.redis, "--bind", "127.0.0.1", "--port",
		port, "--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no")
}

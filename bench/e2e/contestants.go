package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// kind says how a contestant is drawn.
type kind string

const (
	floor kind = "floor" // the bare handler
	ours  kind = "ours"
	other kind = "other"
)

// contestant is one of those that are measured.
type contestant struct {
	name, label, what string
	kind              kind
	start             func(ctx context.Context, e *ensemble, r *running) error
	version           func(ctx context.Context, e *ensemble) string
}

// bareName and freshetName are the two that the report compares the others with.
const (
	bareName    = "bare"
	freshetName = "freshet"
	frontName   = "freshet-front"
	proxyName   = "freshet-proxy"
	rootName    = "freshet-root"
)

// contestants are all of them, in the order of the report.
var contestants = []contestant{
	{bareName, "bare handler", "net/http and a handler that has the page at hand and writes it " +
		"with the same fields: no cache, the floor of what goes through net/http", floor,
		goServer("bare", ""), goVersion},
	{freshetName, "Freshet, memory", "the middleware over memstore with 256 MiB", ours,
		goServer("freshet", ""), freshetVersion},
	{frontName, "Freshet, front", "the same with its hits answered from the connection, by package front", ours,
		goServer("front", ""), freshetVersion},
	{rootName, "Freshet, Root", "the middleware over memstore within `Cache.Root`, as the one with the front is", ours,
		goServer("root", ""), freshetVersion},
	{"freshet-redis", "Freshet, Redis + near", "the middleware over `redis://` as it comes, with " +
		"a near tier of 64 MiB in memory", ours, redisServer(""), freshetVersion},
	{"freshet-redis-far", "Freshet, Redis alone", "the middleware over `redis://…?near=0`: every " +
		"hit asks Redis", ours, redisServer("?near=0"), freshetVersion},
	{proxyName, "freshet proxy", "`freshet proxy` as it comes, in memory with 256 MiB, in front of an origin as nginx " +
		"and Varnish are", ours, startFreshetProxy, freshetVersion},
	{"gofiber", "gofiber cache", "fiber's own server (fasthttp) with its cache middleware in " +
		"memory, 256 MiB, storing headers", other, goServer("gofiber", ""), fiberVersion},
	{"nginx", "nginx proxy_cache", "one worker, cache in files with open_file_cache, keepalive " +
		"both ways, no access log", other, startNginx, nginxVersion},
	{"varnish", "Varnish", "`malloc,256m`, otherwise as it comes", other, startVarnish,
		varnishVersion},
}

// names is a line of help: what -only takes.
func names() string {
	all := make([]string, len(contestants))
	for i, c := range contestants {
		all[i] = c.name
	}
	return strings.Join(all, ",")
}

// choose returns the contestants that are named, in their own order.
func choose(only string) ([]contestant, error) {
	if only == "" {
		return contestants, nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(contestants, func(c contestant) bool { return c.name == name }) {
			return nil, fmt.Errorf("-only %s: there is no %q; there are %s", only, name, names())
		}
	}
	var chosen []contestant
	for _, c := range contestants {
		if slices.Contains(wanted, c.name) {
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

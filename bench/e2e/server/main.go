// Command server is one side of the end-to-end measurement: a server of one page of 1 KiB, made by
// a bare handler, or kept by a cache. It serves until it is ended, and tells on a second address,
// away from what is measured, how often its handler has run.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"sync/atomic"
)

func main() {
	kind := flag.String("kind", "bare", "what answers: `bare` (the handler itself), origin (the "+
		"same without what a cache adds), freshet, root (freshet within Root), front (root's hits "+
		"answered in front of net/http) or gofiber")
	storeURL := flag.String("store", "", "the `URL` of Freshet's store; empty: memory")
	listen := flag.String("listen", "127.0.0.1:0", "the `address` to serve the page on")
	control := flag.String("control", "127.0.0.1:0", "the `address` to tell on how often the "+
		"handler has run (/runs) and to take CPU profiles (/profile?seconds=5)")
	size := flag.Int("size", pageSize, "how many `bytes` the page has")
	flag.Parse()
	if err := run(*kind, *storeURL, *listen, *control, *size); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(kind, storeURL, listen, control string, size int) error {
	p := newPage(size)
	serve, err := p.server(context.Background(), kind, storeURL)
	if err != nil {
		return err
	}
	pages, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	controls, err := net.Listen("tcp", control)
	if err != nil {
		return err
	}
	go func() { log.Fatal(http.Serve(controls, controlled(&p.runs))) }()
	return serve(pages)
}

func controlled(runs *atomic.Int64) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/runs", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, fmt.Sprint(runs.Load()))
	})
	mux.HandleFunc("/profile", pprof.Profile)
	return mux
}

// Command httpstore is a server that keeps values over HTTP, in its memory: what a store of
// http+store:// or https+store:// needs.
//
//	HTTPSTORE_TOKEN=secret go run ./examples/httpstore -listen 127.0.0.1:8081
//	freshet health --store 'http+store://127.0.0.1:8081?allow=127.0.0.1&token=secret'
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/freshet-go/freshet/examples/httpstore/server"
	"github.com/freshet-go/freshet/store/memstore"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8081", "the `address` to listen at")
	bytes := flag.Int64("bytes", 256<<20, "how much memory the values may take, in `bytes`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen, *bytes, os.Getenv("HTTPSTORE_TOKEN")); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, listen string, bytes int64, token string) error {
	values := memstore.NewBackend(bytes)
	defer values.Close()
	s := &http.Server{
		Addr:    listen,
		Handler: server.New(values, server.Options{Token: token, MaxValue: bytes / 4}),

		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe() }()
	log.Printf("values are kept at http://%s", listen)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	patient, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.Shutdown(patient)
}

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v3"
	fibercache "github.com/gofiber/fiber/v3/middleware/cache"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/middleware/front"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
	"github.com/freshet-go/freshet/store/open"
	_ "github.com/freshet-go/freshet/store/redisstore"
)

const (
	pageSize  = 1 << 10   // unless -size says more
	storeSize = 256 << 20 // of every cache in this program
	etag      = `"0123456789abcdef"`
)

// page is what all contestants answer with.
type page struct {
	body   []byte
	fields [][2]string
	runs   atomic.Int64 // how often a handler has written it
}

func newPage(size int) *page {
	now := time.Now().UTC()
	return &page{
		body: make([]byte, size),
		fields: [][2]string{
			{"Content-Type", "text/html; charset=utf-8"},
			{"Content-Length", strconv.Itoa(size)},
			{"Cache-Control", "max-age=3600"},
			{"Date", now.Format(http.TimeFormat)},
			{"Etag", etag},
			{"Last-Modified", now.Add(-24 * time.Hour).Format(http.TimeFormat)},
			{"Accept-Ranges", "bytes"},
		},
	}
}

// origin writes the page without what a cache adds: its responses are stored.
func (p *page) origin(w http.ResponseWriter, r *http.Request) {
	p.runs.Add(1)
	h := w.Header()
	for _, f := range p.fields {
		h.Set(f[0], f[1])
	}
	if r.URL.Path == "/private" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(http.StatusOK)
	w.Write(p.body)
}

// bare writes the page with the fields that a hit has: the floor of everything that goes through
// net/http.
func (p *page) bare(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Age", "0")
	h.Set("Cache-Status", "Freshet; hit; ttl=3600")
	if r.Header.Get("If-None-Match") != etag {
		p.origin(w, r)
		return
	}
	p.runs.Add(1)
	for _, f := range p.fields {
		if f[0] != "Content-Type" && f[0] != "Content-Length" {
			h.Set(f[0], f[1])
		}
	}
	w.WriteHeader(http.StatusNotModified)
}

// fiber is origin for gofiber.
func (p *page) fiber(c fiber.Ctx) error {
	p.runs.Add(1)
	for _, f := range p.fields {
		c.Set(f[0], f[1])
	}
	if c.Path() == "/private" {
		c.Set("Cache-Control", "no-store")
	}
	return c.Send(p.body)
}

// server returns what serves the page on a listener.
func (p *page) server(
	ctx context.Context, kind, storeURL string,
) (func(net.Listener) error, error) {
	switch kind {
	case "bare":
		return served(http.HandlerFunc(p.bare)), nil
	case "origin":
		return served(http.HandlerFunc(p.origin)), nil
	case "front":
		cache := middleware.New(memstore.New(storeSize), middleware.Options{})
		app := cache.Root(cache.Handler(http.HandlerFunc(p.origin)))
		return func(l net.Listener) error {
			return front.Serve(&http.Server{Handler: app}, l, cache)
		}, nil
	case "root":
		cache := middleware.New(memstore.New(storeSize), middleware.Options{})
		return served(cache.Root(cache.Handler(http.HandlerFunc(p.origin)))), nil
	case "freshet":
		var responses store.Store = memstore.New(storeSize)
		if storeURL != "" {
			var err error
			if responses, err = open.URL(ctx, storeURL, open.Options{}); err != nil {
				return nil, err
			}
		}
		return served(middleware.New(responses, middleware.Options{}).Handler(
			http.HandlerFunc(p.origin))), nil
	case "gofiber":
		app := fiber.New()
		app.Use(fibercache.New(fibercache.Config{Expiration: time.Hour, MaxBytes: storeSize,
			StoreResponseHeaders: true}))
		app.Get("/*", p.fiber)
		return func(l net.Listener) error {
			return app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
		}, nil
	}
	return nil, fmt.Errorf("there is no -kind %q: bare, origin, front, root, freshet or gofiber", kind)
}

func served(h http.Handler) func(net.Listener) error {
	return func(l net.Listener) error { return (&http.Server{Handler: h}).Serve(l) }
}

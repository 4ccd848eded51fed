package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// tour makes requests and prints a line for each. After the first that fails it does nothing more,
// and err says why.
type tour struct {
	ctx    context.Context
	site   string
	host   string // asked for in place of the site's own; empty: that
	client http.Client
	app    *app
	out    io.Writer
	err    error
}

// clients is how many ask at once for one page that is not stored.
const clients = 200

const line = "%-27s  %-6s  %-45s %7s %5s\n"

func (t *tour) all() error {
	fmt.Fprintf(t.out, "A slow app (%v a page) behind Freshet, at %s\n\n", slow, t.site)
	fmt.Fprintf(t.out, line, "asked", "status", "Cache-Status", "time", "runs")

	first := t.ask("GET /tides/dover", "GET", "/tides/dover")
	t.ask("  the same again", "GET", "/tides/dover")
	t.ask("  with the ETag it got", "GET", "/tides/dover", "If-None-Match", first.Get("ETag"))
	t.ask("  as another host", "GET", "/tides/dover", "Host", "harbour.example")
	t.ask("GET /tides/dover?day=sunday", "GET", "/tides/dover?day=sunday")
	t.ask("POST /tides/dover", "POST", "/tides/dover")
	t.ask("GET /tides/dover", "GET", "/tides/dover")
	t.crowd("/tides/calais")
	t.ask("GET /wind", "GET", "/wind")
	t.wait(1200 * time.Millisecond)
	t.ask("  1.2 s later: stale", "GET", "/wind")
	t.wait(600 * time.Millisecond)
	t.ask("  0.6 s later: refreshed", "GET", "/wind")

	if t.err == nil {
		fmt.Fprintln(t.out, "\ntime: what the client waited. runs: how often a handler has done "+
			"its work so far.")
	}
	return t.err
}

// ask makes a request, with one more field and its value if any, and prints its line, which begins
// with say.
func (t *tour) ask(say, method, path string, field ...string) http.Header {
	began := time.Now()
	response := t.send(method, path, field...)
	if t.err != nil {
		return nil
	}
	t.print(say, response.StatusCode, strings.Join(response.Header.Values("Cache-Status"), ", "),
		time.Since(began))
	return response.Header
}

func (t *tour) print(asked string, status int, became string, took time.Duration) {
	waited := fmt.Sprintf("%d ms", took.Milliseconds())
	if took < 10*time.Millisecond {
		waited = fmt.Sprintf("%.1f ms", took.Seconds()*1000)
	}
	fmt.Fprintf(t.out, line, asked, fmt.Sprint(status), became, waited,
		fmt.Sprint(t.app.runs.Load()))
}

// crowd asks for a page that is not stored, all clients at once, and prints one line for them all.
func (t *tour) crowd(path string) {
	if t.err != nil {
		return
	}
	tours := make([]tour, clients)
	responses := make([]*http.Response, clients)
	var group sync.WaitGroup
	began := time.Now()
	for i := range tours {
		tours[i] = tour{ctx: t.ctx, site: t.site, host: t.host, client: t.client}
		group.Go(func() { responses[i] = tours[i].send("GET", path) })
	}
	group.Wait()
	took := time.Since(began)

	stored, collapsed, status := 0, 0, http.StatusOK
	for i, response := range responses {
		if t.err = tours[i].err; t.err != nil {
			return
		}
		if response.StatusCode != http.StatusOK {
			status = response.StatusCode
		}
		switch became := response.Header.Get("Cache-Status"); {
		case strings.Contains(became, "; collapsed"):
			collapsed++
		case strings.Contains(became, "; stored"):
			stored++
		}
	}
	became := fmt.Sprintf("%d × stored, %d × collapsed", stored, collapsed)
	if others := clients - stored - collapsed; others > 0 {
		became += fmt.Sprintf(", %d × hit", others)
	}
	t.print(fmt.Sprintf("%d at once: %s", clients, path), status, became, took)
}

// send makes a request and reads the whole response.
func (t *tour) send(method, path string, field ...string) *http.Response {
	if t.err != nil {
		return nil
	}
	request, err := http.NewRequestWithContext(t.ctx, method, t.site+path, nil)
	if err != nil {
		t.err = err
		return nil
	}
	request.Host = t.host
	if len(field) == 2 {
		request.Header.Set(field[0], field[1])
		if host := request.Header.Get("Host"); host != "" {
			request.Host = host // which net/http has in a place of its own
		}
	}
	response, err := t.client.Do(request)
	if err != nil {
		t.err = err
		return nil
	}
	defer response.Body.Close()
	_, t.err = io.Copy(io.Discard, response.Body)
	return response
}

func (t *tour) wait(d time.Duration) {
	if t.err != nil {
		return
	}
	select {
	case <-time.After(d):
	case <-t.ctx.Done():
		t.err = t.ctx.Err()
	}
}

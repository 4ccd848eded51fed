package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"
)

// requestFields are what clients send besides Host: as browsers do, with nothing personal.
var requestFields = []string{
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
	"Accept: text/html,application/xhtml+xml",
	"Accept-Encoding: gzip, deflate, br",
	"Accept-Language: en-GB,en;q=0.9",
}

// client is a client that waits for no answer longer than a cache may take.
var client = http.Client{Timeout: 10 * time.Second}

// checks is how often a contestant is asked, once it has stored the page.
const checks = 10

// check asks for the page, and fails unless the answers are right and the handler runs as it
// should: not at all when there is a cache. It returns the length of a response's head.
func (r *running) check(ctx context.Context) (head int, err error) {
	if r.ask.pages > 0 {
		if err := r.fill(ctx); err != nil {
			return 0, err
		}
	}
	if err := r.settle(ctx); err != nil {
		return 0, err
	}
	before, err := r.runs(ctx)
	if err != nil {
		return 0, err
	}
	for range checks {
		if head, err = r.get(ctx); err != nil {
			return 0, err
		}
	}
	after, err := r.runs(ctx)
	if err != nil {
		return 0, err
	}
	switch ran := after - before; {
	case r.kind == floor && ran != checks:
		return 0, fmt.Errorf("%s has no cache, yet its handler ran %d times for %d requests",
			r.name, ran, checks)
	case r.ask.runs && !r.ask.anew && ran != checks:
		return 0, fmt.Errorf("%s answers what no cache may: its handler ran %d times for %d requests",
			r.name, ran, checks)
	case r.kind != floor && !r.ask.runs && ran != 0:
		return 0, fmt.Errorf("%s does not answer from its cache: its handler ran %d times for %d "+
			"requests", r.name, ran, checks)
	}
	return head, nil
}

// settle asks until the handler does not run any more, or two seconds: a store may need a moment.
func (r *running) settle(ctx context.Context) error {
	for began, last := time.Now(), int64(-1); time.Since(began) < 2*time.Second; time.Sleep(20 * time.Millisecond) {
		if _, err := r.get(ctx); err != nil {
			return err
		}
		runs, err := r.runs(ctx)
		if err != nil || runs == last {
			return err
		}
		last = runs
	}
	return nil
}

// get asks for the page as wrk does.
func (r *running) get(ctx context.Context) (head int, err error) {
	request, err := http.NewRequestWithContext(ctx, "GET", r.url, nil)
	if err != nil {
		return 0, err
	}
	setFields(request, requestFields)
	setFields(request, r.ask.fields)
	response, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("%s does not answer: %w\n%s", r.name, err, r.main.output.String())
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s breaks off its answer: %w", r.name, err)
	case response.StatusCode != r.ask.status:
		return 0, fmt.Errorf("%s answers with %s, where %d %s is due", r.name, response.Status,
			r.ask.status, http.StatusText(r.ask.status))
	case len(body) != r.ask.length():
		return 0, fmt.Errorf("%s answers with %d bytes, where %d are due", r.name, len(body),
			r.ask.length())
	}
	dump, err := httputil.DumpResponse(response, false)
	return len(dump), err
}

// runs is how often the contestant's handler, or its origin's, has run.
func (r *running) runs(ctx context.Context) (int64, error) {
	text, err := get(ctx, r.control+"/runs", 10*time.Second)
	if err != nil {
		return 0, fmt.Errorf("%s: how often its handler has run: %w", r.name, err)
	}
	return strconv.ParseInt(string(text), 10, 64)
}

func get(ctx context.Context, url string, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers with %s", response.Status)
	}
	return io.ReadAll(response.Body)
}

func hostPort(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Host
}

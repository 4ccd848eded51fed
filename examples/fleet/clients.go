package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/freshet-go/freshet/examples/internal/processes"
	"github.com/freshet-go/freshet/freshettest"
)

// answer is what one client got.
type answer struct {
	from   *processes.Process
	status freshettest.Status // what its Cache-Status says
	body   string
	lost   bool // the connection ended before the answer came
	waited time.Duration
}

// clients sends clients for a page: count at each of the processes, all at once, each on a
// connection of its own. An answer other than 200 is an error.
func (t *tour) clients(
	ctx context.Context, path string, count int, at ...*processes.Process,
) ([]answer, error) {
	all, wrong := make([]answer, count*len(at)), make([]error, count*len(at))
	var each sync.WaitGroup
	for i := range all {
		each.Go(func() { all[i], wrong[i] = t.get(ctx, path, at[i%len(at)]) })
	}
	each.Wait()
	for _, err := range wrong {
		if err != nil {
			return nil, err
		}
	}
	return all, ctx.Err()
}

// sent is what clients got, or why that is not known.
type sent struct {
	answers []answer
	err     error
}

// send is clients in the background.
func (t *tour) send(
	ctx context.Context, path string, count int, at ...*processes.Process,
) <-chan sent {
	done := make(chan sent, 1)
	go func() {
		all, err := t.clients(ctx, path, count, at...)
		done <- sent{all, err}
	}()
	return done
}

// get is one client.
func (t *tour) get(ctx context.Context, path string, from *processes.Process) (answer, error) {
	a, began := answer{from: from}, time.Now()
	res, err := t.do(ctx, http.MethodGet, path, from)
	if err != nil {
		a.lost, a.waited = true, time.Since(began)
		return a, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	a.lost, a.waited = err != nil, time.Since(began)
	a.body, a.status = string(body), freshettest.StatusOf(res.Header)
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%s answered %s with %s: %s", from.Name, path, res.Status, body)
	}
	return a, nil
}

// do makes a request for this run's own host, so that nothing of an earlier run's counts.
func (t *tour) do(
	ctx context.Context, method, path string, at *processes.Process,
) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+at.Address+path, nil)
	if err != nil {
		return nil, err
	}
	r.Host = t.host
	return t.client.Do(r)
}

// row prints what a group of clients got, a number for each kind of answer.
func (t *tour) row(group string, all []answer) error {
	var stored, collapsed, hits, lost int
	var slowest time.Duration
	for _, a := range all {
		slowest = max(slowest, a.waited)
		switch {
		case a.lost:
			lost++
		case a.status.Hit:
			hits++
		case a.status.Collapsed:
			collapsed++
		case a.status.Stored:
			stored++
		default:
			return fmt.Errorf("%s answered, and has not stored the page: %+v", a.from.Name, a.status)
		}
	}
	fmt.Fprintf(t.out, "%-10s  %5d  %6d  %9d  %3d  %4d  %5.1f s\n", group, len(all), stored,
		collapsed, hits, lost, slowest.Seconds())
	return nil
}

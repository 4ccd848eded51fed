package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/freshet-go/freshet/examples/internal/processes"
)

// tour is what the program shows.
type tour struct {
	out    io.Writer
	client http.Client // with a Transport of its own
	front  *front
	apps   []*processes.Process
}

// show asks for a page, changes its price, and asks again.
func (t *tour) show(ctx context.Context) error {
	fmt.Fprintf(t.out, "Two processes of the app, A and B, over one store, and %s in front\n(%s)\n\n",
		t.front.name, t.front.about)
	if err := t.table(ctx); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "\nPOST to A: tea costs 3.20, and A invalidates the tag %q\n\n", tag)
	if err := t.change(ctx, "3.20"); err != nil {
		return err
	}
	fmt.Fprintln(t.out)
	return t.table(ctx)
}

// table asks the front twice, and each process once.
func (t *tour) table(ctx context.Context) error {
	const row = "%-10s %-9s %-8s %-6s %s\n"
	fmt.Fprintf(t.out, row, "GET from", "in front", "Freshet", "price", "made by")
	for _, from := range []struct{ name, address string }{
		{t.front.name, t.front.address}, {t.front.name, t.front.address},
		{t.apps[0].Name, t.apps[0].Address}, {t.apps[1].Name, t.apps[1].Address},
	} {
		res, err := t.get(ctx, from.address, from.address != t.front.address)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		price, madeBy, ok := strings.Cut(string(body), " ")
		if err != nil || res.StatusCode != 200 || !ok {
			return fmt.Errorf("%s answered %s: %s", from.name, res.Status, body)
		}
		inFront, freshet := res.Header.Get("X-Cache-Status"), "stored"
		status, _, _ := strings.Cut(res.Header.Get("Cache-Status"), ", ") // Freshet's, before that of the front
		switch {
		case inFront == "HIT":
			freshet = "-" // was not asked
		case strings.HasPrefix(status, "Freshet; hit"):
			freshet = "hit"
		case !strings.HasSuffix(status, "stored"):
			return fmt.Errorf("%s has not stored the page: %s", from.name, status)
		}
		if inFront == "" {
			inFront = "-"
		}
		fmt.Fprintf(t.out, row, from.name, inFront, freshet, price, madeBy)
	}
	return nil
}

// change posts the new price to A, and prints who has applied the invalidation, and when.
func (t *tour) change(ctx context.Context, price string) error {
	began := time.Now()
	res, err := t.do(ctx, http.MethodPost, t.apps[0].Address, "/prices/tea?price="+url.QueryEscape(price))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		who, what, _ := strings.Cut(lines.Text(), "\t")
		if strings.HasPrefix(what, "failed") || res.StatusCode != 200 {
			return fmt.Errorf("POST: %s", lines.Text())
		}
		if who == "in front" {
			who = t.front.name
		}
		fmt.Fprintf(t.out, "%7.1f ms  %-9s %s\n", float64(time.Since(began).Microseconds())/1000, who, what)
	}
	return lines.Err()
}

// get asks for the page, where it is stored if wanted: what one process has made the other one finds
// when it has come to the store.
func (t *tour) get(ctx context.Context, address string, stored bool) (*http.Response, error) {
	var fields []string
	if stored {
		fields = []string{"only-if-cached"}
	}
	for began := time.Now(); ; {
		res, err := t.do(ctx, http.MethodGet, address, "/prices/tea", fields...)
		if err != nil || !stored || res.StatusCode != http.StatusGatewayTimeout {
			return res, err
		}
		res.Body.Close()
		if time.Since(began) > 5*time.Second {
			return nil, errors.New("the page is not stored, although a client got it")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// do makes a request for the public host, with lines of Cache-Control.
func (t *tour) do(
	ctx context.Context, method, address, target string, control ...string,
) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+address+target, nil)
	if err != nil {
		return nil, err
	}
	r.Host = public
	if control != nil {
		r.Header["Cache-Control"] = control
	}
	return t.client.Do(r)
}

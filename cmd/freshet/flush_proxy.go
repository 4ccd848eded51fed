package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// readProxy reads where a proxy is reached.
func readProxy(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("allowed is an http or https URL with a host alone, such as " +
			"http://127.0.0.1:8080")
	}
	return u, nil
}

// flushProxy has a running proxy invalidate everything, by BAN *.
func (f *storeFlags) flushProxy(ctx context.Context, stdout, stderr io.Writer) int {
	at := f.proxy
	number, err := ban(ctx, at)
	if err != nil {
		fmt.Fprintf(stderr, "freshet flush: --proxy %s: %v\n", at, err)
		return exitFailed
	}
	if f.json {
		return printJSON(stdout, struct {
			Proxy  string `json:"proxy"`
			Number uint64 `json:"number"`
		}{at.String(), number})
	}
	fmt.Fprintf(stdout, "invalidated all that %s has stored, under the number %d\n", at, number)
	return exitOK
}

// ban sends BAN * and returns the number of the receipt. It goes to the proxy itself, whatever
// proxies the environment names, as they have addresses of their own.
func ban(ctx context.Context, at *url.URL) (number uint64, err error) {
	transport := &http.Transport{DisableKeepAlives: true}
	r := (&http.Request{
		Method: "BAN", Host: at.Host, Header: http.Header{"User-Agent": {"freshet"}},
		URL: &url.URL{Scheme: at.Scheme, Host: at.Host, Opaque: "*"},
	}).WithContext(ctx)
	res, err := transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var said struct {
		Number uint64
		Detail string
	}
	body := json.NewDecoder(io.LimitReader(res.Body, 64<<10))
	if err := body.Decode(&said); err != nil || res.StatusCode == http.StatusOK &&
		said.Number == 0 {
		return 0, fmt.Errorf("it answered %s, as no freshet proxy does", res.Status)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return said.Number, nil
	case http.StatusMethodNotAllowed:
		return 0, errors.New("it takes no purges: start it with --purge-from 127.0.0.1, or the " +
			"address that this machine has for it")
	}
	return 0, fmt.Errorf("it answered %s: %q", res.Status, said.Detail)
}

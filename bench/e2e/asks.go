package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ask is what the contestants are asked for.
type ask struct {
	name, title string
	says        string // what it is, for the report
	size        int    // of the body that is made
	path        string
	fields      []string // of the request, besides those of all
	status      int
	runs        bool // the handler runs for each request: the cache has no answer
	pages       int  // ... so many pages are asked for, by Zipf's law; 0: the one
	anew        bool // each request is for another page
	who         func(contestant) bool
}

const (
	pageAsk  = "page"
	pagePath = "/articles/1?page=1"
	pageETag = `"0123456789abcdef"`
)

// asks are all there are, in the order of the report. The first is the report's own.
var asks = []ask{
	{name: pageAsk, title: "A page of 1 KiB", says: "one page of 1 KiB, which is stored", size: 1 << 10,
		path: pagePath, status: http.StatusOK, who: func(contestant) bool { return true }},
	{name: "keys", title: "100,000 pages", says: "100,000 stored pages of 1 KiB, by Zipf's law with s = 1.1",
		size: 1 << 10, path: pagePath, status: http.StatusOK, pages: 100_000, who: local},
	{name: "304", title: "A 304", says: "a page of 1 KiB that the client has: If-None-Match with its ETag",
		size: 1 << 10, path: pagePath, fields: []string{"If-None-Match: " + pageETag},
		status: http.StatusNotModified,
		who:    func(c contestant) bool { return local(c) && c.name != "gofiber" }}, // which answers 200
	{name: "64KiB", title: "A page of 64 KiB", says: "one page of 64 KiB, which is stored", size: 64 << 10,
		path: pagePath, status: http.StatusOK, who: local},
	{name: "private", title: "What no cache answers", says: "a page of 1 KiB with no-store: its handler " +
		"runs for each request", size: 1 << 10, path: "/private", status: http.StatusOK, runs: true,
		who: inProcess},
	{name: "miss", title: "A miss that is stored", says: "another page of 1 KiB each time, which is stored",
		size: 1 << 10, path: pagePath, status: http.StatusOK, runs: true, anew: true, who: inProcess},
}

// length is that of a response's body.
func (a *ask) length() int {
	if a.status == http.StatusNotModified {
		return 0
	}
	return a.size
}

// local are the contestants without a server behind.
func local(c contestant) bool { return !strings.HasPrefix(c.name, "freshet-redis") }

// inProcess are those that run the handler themselves.
func inProcess(c contestant) bool {
	return local(c) && (c.kind != other || c.name == "gofiber") && c.name != proxyName
}

// chooseAsks returns those that are named, or all.
func chooseAsks(names string) ([]ask, error) {
	if names == "all" {
		return asks, nil
	}
	var chosen []ask
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(asks, func(a ask) bool { return a.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-ask %s: there is no %q; there are %s, and all", names, name, askNames())
		}
		chosen = append(chosen, asks[i])
	}
	return chosen, nil
}

func askNames() string {
	var all []string
	for _, a := range asks {
		all = append(all, a.name)
	}
	return strings.Join(all, ",")
}

// sampled is how many requests of an ask with many pages wrk goes through in turns.
const sampled = 1 << 16

// numbers are the pages' numbers in the order in which wrk asks for them.
func (a *ask) numbers() []uint64 {
	if a.pages == 0 {
		return nil
	}
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), 1.1, 1, uint64(a.pages-1))
	all := make([]uint64, sampled)
	for i := range all {
		all[i] = zipf.Uint64()
	}
	return all
}

// script writes what wrk runs to choose its requests into a folder, and returns its path, or
// nothing where it asks for one page. Each begins with another new page.
func (a *ask) script(dir string, began time.Time) (string, error) {
	var lua strings.Builder
	switch {
	case a.anew:
		fmt.Fprintf(&lua, "local n = 0\nfunction request()\n\tn = n + 1\n"+
			"\treturn wrk.format(nil, %q .. n)\nend\n", "/articles/"+strconv.FormatInt(began.UnixNano(), 36)+"-")
	case a.pages > 0:
		lua.WriteString("local pages = {")
		for i, n := range a.numbers() {
			if i%16 == 0 {
				lua.WriteByte('\n')
			}
			fmt.Fprintf(&lua, "%d,", n)
		}
		lua.WriteString("}\nlocal requests, n = {}, 0\nfunction init()\n\tfor i, page in ipairs(pages) do\n" +
			"\t\trequests[i] = wrk.format(nil, \"/articles/\" .. page)\n\tend\nend\n" +
			"function request()\n\tn = n % #requests + 1\n\treturn requests[n]\nend\n")
	default:
		return "", nil
	}
	path := filepath.Join(dir, a.name+".lua")
	return path, os.WriteFile(path, []byte(lua.String()), 0o644)
}

// fill asks for each page once.
func (r *running) fill(ctx context.Context) error {
	numbers := r.ask.numbers()
	slices.Sort(numbers)
	for _, n := range slices.Compact(numbers) {
		u := strings.TrimSuffix(r.url, r.ask.path) + "/articles/" + strconv.FormatUint(n, 10)
		request, err := http.NewRequestWithContext(ctx, "GET", u, nil)
		if err != nil {
			return err
		}
		setFields(request, requestFields)
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("%s does not answer: %w\n%s", r.name, err, r.main.output.String())
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			return fmt.Errorf("%s breaks off its answer: %w", r.name, err)
		}
	}
	return nil
}

func setFields(r *http.Request, fields []string) {
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
}

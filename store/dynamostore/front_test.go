package dynamostore

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// front stands before a server and does to single requests what that one never does by itself.
type front struct {
	url    string // of the front
	server string
	tb     testing.TB

	mu    sync.Mutex
	hook  hook
	asked []string // the operations
}

// hook answers a request in the server's place, or returns false. pass sends it to the server.
type hook func(operation string, body []byte, pass func() answer) (answer, bool)

// answer is what a client gets.
type answer struct {
	status int
	body   string
	date   string // of its header; empty: now
}

func refusal(status int, code string) answer {
	body, _ := json.Marshal(map[string]string{
		"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": "a reason for " + code})
	return answer{status: status, body: string(body)}
}

func before(tb testing.TB, address string) *front {
	f := &front{server: "http://" + address, tb: tb}
	s := httptest.NewServer(f)
	f.url = s.URL
	tb.Cleanup(s.Close)
	return f
}

// set has all later requests go through h; nil: to the server.
func (f *front) set(h hook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook, f.asked = h, nil
}

// once has the next request for an operation go through h.
func (f *front) once(operation string, h hook) {
	var first sync.Once
	f.set(func(op string, body []byte, pass func() answer) (a answer, ok bool) {
		if op == operation {
			first.Do(func() { a, ok = h(op, body, pass) })
		}
		return a, ok
	})
}

// operations are those asked for since set.
func (f *front) operations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	f.mu.Lock()
	h := f.hook
	f.asked = append(f.asked, operation)
	f.mu.Unlock()
	pass := func() answer { return f.pass(r, body) }
	a, ok := answer{}, false
	if h != nil {
		a, ok = h(operation, body, pass)
	}
	if !ok {
		a = pass()
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if a.date != "" {
		w.Header().Set("Date", a.date)
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

func (f *front) pass(r *http.Request, body []byte) answer {
	to, _ := http.NewRequest(r.Method, f.server+r.URL.Path, bytes.NewReader(body))
	to.Header = r.Header.Clone()
	to.Host = r.Host
	res, err := http.DefaultClient.Do(to)
	if err != nil {
		panic(http.ErrAbortHandler) // the test is over, or its server is
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, body: string(text)}
}

// fronted returns a Backend on a server behind a front, with its table.
func fronted(tb testing.TB, c Config) (*Backend, *front) {
	tb.Helper()
	f := before(tb, strings.TrimPrefix(c.Endpoint, "http://"))
	c.Endpoint = f.url
	return open(tb, c), f
}

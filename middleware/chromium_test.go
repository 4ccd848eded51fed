package middleware_test

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// Each read that a real Chromium sends is answered from what a client of another kind had stored,
// by one validation if it insists on a newer response (a reload, cache: "no-cache"), and by none if
// the operator has that ignored.
func TestChromiumIsServedFromTheStore(t *testing.T) {
	text, err := os.ReadFile("../internal/rules/testdata/chromium-156.http")
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	for _, part := range strings.Split(string(text), "\n\n")[1:] {
		kind, lines, _ := strings.Cut(strings.TrimSpace(part), "\n")
		if !strings.HasPrefix(lines, "GET ") && !strings.HasPrefix(lines, "HEAD ") {
			continue
		}
		reads++
		for _, ignores := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, ignored %v", strings.TrimPrefix(kind, "# "), ignores),
				func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						readOf(t, lines, ignores)
					})
				})
		}
	}
	if reads != 51 {
		t.Errorf("there are %d reads, want 51", reads)
	}
}

func overTheWire(t *testing.T, lines string) *http.Request {
	t.Helper()
	wire := strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readOf(t *testing.T, lines string, ignores bool) {
	r := overTheWire(t, lines)
	tag := cmp.Or(r.Header.Get("If-None-Match"), `"1"`)
	c := newCache(t)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", tag)
		// or else each other site has a copy of its own
		w.Header().Set("Access-Control-Allow-Origin", "*")
		http.ServeContent(w, r, "x.bin", time.Time{}, bytes.NewReader([]byte("stored")))
	}}
	h := c.With(policy.Policy{IgnoreClientDirectives: ignores})(o)
	h.ServeHTTP(httptest.NewRecorder(),
		overTheWire(t, "GET "+r.RequestURI+" HTTP/1.1\nHost: "+r.Host+
			"\nUser-Agent: curl/8.14.1\nAccept: */*"))
	time.Sleep(5 * time.Second)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	runs, outcome := int64(1), "Freshet; hit; ttl=55"
	if r.Header.Get("Cache-Control") != "" && !ignores {
		runs, outcome = 2, "Freshet; fwd=request; fwd-status=304; stored"
	}
	want(t, "Cache-Status", w.Result().Header.Get("Cache-Status"), outcome)
	want(t, "runs", o.runs.Load(), runs)
	want(t, "a 304", w.Code == http.StatusNotModified, r.Header.Get("If-None-Match") != "")
	got, _ := io.ReadAll(w.Result().Body)
	whole := "stored"
	switch {
	case r.Method == "HEAD", w.Code == http.StatusNotModified:
		whole = ""
	case r.Header.Get("Range") == "bytes=0-2":
		whole = "sto"
	}
	want(t, "body", string(got), whole)
}

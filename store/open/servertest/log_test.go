package servertest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/open"
)

// childURL is the variable that makes this test's program an app over the store that it names.
const childURL = "FRESHET_TEST_APP_STORE"

// child is a user's app, which sets up no log. It asks itself for pages until its standard input
// ends, and says on standard output what came of it, whenever that changes.
func child(url string) {
	s, err := open.URL(context.Background(), url, open.Options{})
	if err != nil {
		panic(err)
	}
	c := middleware.New(s, middleware.Options{
		StoreTimeout: time.Minute, // of a busy machine
	})
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		io.WriteString(w, "a page")
	}))
	ended := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
	for n, last := 0, ""; ; n++ {
		select {
		case <-ended:
			c.Shutdown(context.Background())
			s.Close()
			return
		case <-time.After(2 * time.Millisecond):
		}
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", fmt.Sprint("/new/", n), nil))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/other", nil))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/page", nil))
		now := "miss"
		switch status := w.Header().Get("Cache-Status"); {
		case strings.Contains(status, "hit"):
			now = "hit"
		case strings.Contains(status, "store-error"):
			now = "store-error"
		}
		if now != last {
			fmt.Println(now)
			last = now
		}
	}
}

// A server that is killed and comes back is two lines on an app's standard error, whatever the
// client below has to say: one when it goes and one when it is back.
func TestAnOutageIsTwoLinesOnStandardError(t *testing.T) {
	for _, k := range serverKinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel() // most of the time passes in waiting
			server := k.start(t)
			migrated(t, server.URL)
			join := "?"
			if strings.Contains(server.URL, "?") {
				join = "&"
			}
			app := exec.Command(os.Args[0])
			app.Env = append(os.Environ(), childURL+"="+server.URL+join+
				"near=0&guard_retry=100ms&guard_timeout=1m&guard_set_timeout=1m")
			var said bytes.Buffer
			app.Stderr = &said
			in, err := app.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := app.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := app.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			until := func(want string) {
				t.Helper()
				for lines.Scan() {
					if lines.Text() == want {
						return
					}
				}
				t.Errorf("the app ended before it said %q", want)
			}
			until("hit")
			server.Kill()
			until("store-error")
			// longer than the journal is not asked, and many requests
			time.Sleep(1500 * time.Millisecond)
			server.Start()
			until("hit")
			time.Sleep(2500 * time.Millisecond) // ... than it is not asked after a failure
			in.Close()
			io.Copy(io.Discard, out)
			if err := app.Wait(); err != nil {
				t.Error(err)
			}
			log := strings.Split(strings.TrimSpace(said.String()), "\n")
			if len(log) != 2 || !strings.Contains(log[0],
				"is unavailable: requests do without it") || !strings.Contains(log[1],
				"is available again") {
				t.Errorf("standard error has %d lines:\n%s\nwant two: one when the server goes, "+
					"and one when it is back", len(log), said.String())
			}
		})
	}
}

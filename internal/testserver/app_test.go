package testserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// sayWho is the app of these tests: it answers with its name and the number of its process.
func sayWho(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(os.Stderr, "asked for", r.URL.Path)
	fmt.Fprint(w, os.Getenv("WHO"), " ", os.Getpid())
}

// An app is a process of its own, which is killed, started again and paused as any server is, and
// ends in order with the test.
func TestApps(t *testing.T) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(ctx context.Context, s *Server) (string, error) {
		r, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/page", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(r)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return string(text), err
	}
	says := func(s *Server, name string) {
		t.Helper()
		want := fmt.Sprint(name, " ", s.Pid())
		if got, err := ask(t.Context(), s); got != want {
			t.Errorf("it says %q, %v; want %q", got, err, want)
		}
	}
	var ended *Server
	t.Run("two", func(t *testing.T) {
		a, b := App(t, "WHO=a"), App(t, "WHO=b")
		says(a, "a")
		says(b, "b")
		before := a.Pid()
		a.Kill()
		if got, err := ask(t.Context(), a); err == nil {
			t.Errorf("a dead app says %q", got)
		}
		a.Start()
		says(a, "a")
		if a.Pid() == before {
			t.Error("it was not started again")
		}
		a.Pause()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if got, err := ask(ctx, a); err == nil {
			t.Errorf("a paused app says %q", got)
		}
		says(b, "b")
		a.Resume()
		says(a, "a")
		if log := a.Output(); strings.Count(log, "asked for /page\n") < 3 {
			t.Errorf("its log is %q", log)
		}
		ended = b
	})
	if state := ended.process.command.ProcessState; !state.Success() {
		t.Errorf("with the test, it ended by %v", state)
	}
}

package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
)

// A change that the upstream has got, and whose answer did not come, may have been made: its client
// left, or the upstream hung up or was silent. The page is asked for anew.
func TestAChangeWhoseAnswerDoesNotCome(t *testing.T) {
	for _, how := range []string{"the client leaves", "the upstream hangs up", "the upstream is silent"} {
		t.Run(how, func(t *testing.T) {
			var version atomic.Int64
			got, end := make(chan struct{}), make(chan struct{})
			s := serve(t, proxy.Options{Timeout: 200 * time.Millisecond}, func(w http.ResponseWriter,
				r *http.Request) {
				if r.Method == http.MethodGet {
					w.Header().Set("Cache-Control", "max-age=60")
					fmt.Fprint(w, "version ", version.Load())
					return
				}
				io.Copy(io.Discard, r.Body)
				version.Add(1)
				close(got)
				if how == "the upstream hangs up" {
					panic(http.ErrAbortHandler)
				}
				<-end
			})
			defer close(end)
			page := func() string {
				res, err := s.client.Get(s.server.URL + "/page")
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				b, _ := io.ReadAll(res.Body)
				return string(b)
			}
			page()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if how == "the client leaves" {
				go func() {
					<-got
					leave()
				}()
			}
			r, _ := http.NewRequestWithContext(ctx, "POST", s.server.URL+"/page", nil)
			if res, err := s.client.Do(r); err == nil {
				res.Body.Close()
			}
			for until := time.Now().Add(20 * time.Second); page() != "version 1"; {
				if !time.Now().Before(until) {
					t.Fatal("the page of before the change is served still")
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
}

// A change that no upstream could be sent has changed nothing: what is stored stands in.
func TestAChangeThatWasNotSent(t *testing.T) {
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Connection", "close") // by one that is idle, something might have been sent
		io.WriteString(w, "page")
	})
	ask := func(method string) *http.Response {
		r, _ := http.NewRequest(method, s.server.URL+"/page", nil)
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res
	}
	ask("GET")
	s.origin.Close()
	if got := ask("POST").StatusCode; got != http.StatusBadGateway {
		t.Errorf("status %d", got)
	}
	if got := ask("GET").StatusCode; got != http.StatusOK {
		t.Errorf("the page is gone: status %d", got)
	}
}

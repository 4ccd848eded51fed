package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/freshettest"
)

// patience is how long a client waits for an answer before it leaves.
const patience = 10 * time.Second

// answer is what a client got.
type answer struct {
	visit
	waited time.Duration
	what   what
}

// what is a kind of answer.
type what int

const (
	hit    what = iota // a page out of the store, of the last minute
	made               // a page that the handler made, for this client or for another one
	stale              // a page that was older than a minute
	failed             // an answer of 500 or more
	none               // nothing: the client lost its patience
	kinds
)

// played is what came of a day.
type played struct {
	setUp   setUp
	answers []answer // in the order of visits
	runs    []aRun
}

// play has a day pass under a policy, in virtual time.
func play(t *testing.T, d day, visits []visit, s setUp) *played {
	result := &played{setUp: s, answers: make([]answer, len(visits))}
	synctest.Test(t, func(t *testing.T) {
		service := newService(d, s.policy)
		began := service.db.began
		var clients sync.WaitGroup
		for i, p := range d.phases {
			if p.release > 0 {
				clients.Go(func() {
					time.Sleep(time.Duration(i)*d.each - p.release)
					if err := service.release(); err != nil {
						t.Error(err)
					}
				})
			}
		}
		for i, v := range visits {
			time.Sleep(time.Until(began.Add(v.at)))
			clients.Go(func() { result.answers[i] = service.ask(v) })
		}
		clients.Wait()
		if err := service.close(); err != nil {
			t.Error(err)
		}
		result.runs = service.db.runs
	})
	return result
}

// ask is a client.
func (s *service) ask(v visit) answer {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	asked := time.Now()
	got := s.get(ctx, v.path)
	a := answer{visit: v, waited: time.Since(asked)}
	switch {
	case ctx.Err() != nil:
		a.what = none
	case got.status >= 500:
		a.what = failed
	case got.age() > lifetime:
		a.what = stale
	case freshettest.StatusOf(got.header).Hit:
		a.what = hit
	default:
		a.what = made
	}
	return a
}

// get asks for a page. The service is in this process: there is no network between.
func (s *service) get(ctx context.Context, path string) *response {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://news.example"+path, nil)
	if err != nil {
		panic(err) // the paths are this program's own
	}
	r.RequestURI = path // as a server has it
	w := &response{header: http.Header{}}
	s.app.ServeHTTP(w, r)
	return w
}

// response is an http.ResponseWriter that keeps what a client gets.
type response struct {
	header http.Header
	status int
	body   []byte
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

// age is how old a page is, by its own words.
func (w *response) age() time.Duration {
	_, made, _ := strings.Cut(string(w.body), madeAt)
	at, err := time.Parse(time.RFC3339Nano, made)
	if err != nil {
		return 0 // the page of an error
	}
	return time.Since(at)
}

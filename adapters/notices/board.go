package notices

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// Board adds its [Fields] to the responses of a handler. The zero Board has the zero Fields. It is
// safe for concurrent use: [Board.Set] changes the next response.
type Board struct {
	posted atomic.Pointer[posted]   // nil: the zero Fields
	draw   func() (percent float64) // from 0 up to 100; nil: by lot
	_      [0]func()                // not to be compared
}

// posted are Fields with the texts that they become.
type posted struct {
	fields     Fields
	backoff    []string // nil: none
	percentage float64
	retry      []string // nil: none
	soft, hard []string // Alert; nil: the service does not end
	gone       []byte   // the body of a 410
}

var byDefault = prepare(Fields{})

// Set replaces the fields. Fields that are not allowed
// change nothing, and the error says which, with what is allowed.
func (b *Board) Set(f Fields) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.Backoff != nil {
		f.Backoff = new(*f.Backoff) // the caller's may change
	}
	b.posted.Store(prepare(f))
	return nil
}

// Fields returns the fields as they are now.
func (b *Board) Fields() Fields {
	f := b.now().fields
	if f.Backoff != nil {
		f.Backoff = new(*f.Backoff)
	}
	return f
}

// Silent reports whether the board adds nothing to responses with a status below 400.
func (b *Board) Silent() bool {
	p := b.now()
	return p.backoff == nil && p.soft == nil
}

func (b *Board) now() *posted {
	if p := b.posted.Load(); p != nil {
		return p
	}
	return byDefault
}

func prepare(f Fields) *posted {
	p := &posted{fields: f, percentage: f.BackoffPercentage}
	if f.Backoff != nil {
		p.backoff = seconds(*f.Backoff)
	}
	if p.percentage == 0 {
		p.percentage = 100
	}
	switch {
	case f.RetryAfter == 0:
		p.retry = seconds(defaultRetryAfter)
	case f.RetryAfter > 0:
		p.retry = seconds(f.RetryAfter)
	}
	if !f.EOS.IsZero() {
		p.soft, p.hard = []string{alert("soft-eol", &f)}, []string{alert("hard-eol", &f)}
		p.gone = goneBody()
	}
	return p
}

func seconds(d time.Duration) []string {
	return []string{strconv.FormatInt(int64(d/time.Second), 10)}
}

// Handler wraps app, in which the cache is, or the cache itself. Mount it inside Cache.Root, which
// sees what everybody else writes, and inside what answers by the request's Origin (CORS), so that
// browsers see a 410, too; and outside everything else.
func (b *Board) Handler(app http.Handler) http.Handler {
	return b.Outer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if retry := b.now().retry; retry != nil {
			w = &writer{ResponseWriter: w, retry: retry}
		}
		app.ServeHTTP(w, r)
	}))
}

// Outer is Handler without the Retry-After. That costs a ResponseWriter around each response, which
// an app spares where one Cache makes all of them, whose Options.OnHeader is [Board.OnHeader].
func (b *Board) Outer(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := b.now()
		h := w.Header()
		if p.backoff != nil && b.percent() < p.percentage {
			h["Backoff"] = p.backoff
		}
		if p.soft != nil {
			if !time.Now().Before(p.fields.EOS) {
				p.answerGone(w)
				return
			}
			h["Alert"] = p.soft
		}
		app.ServeHTTP(w, r)
	})
}

// OnHeader gives a 503 that has no Retry-After one, as its header goes out: for Options.OnErrorHeader
// of a Cache within [Board.Outer].
func (b *Board) OnHeader(status int, h http.Header) {
	if status != http.StatusServiceUnavailable || len(h["Retry-After"]) > 0 {
		return
	}
	if retry := b.now().retry; retry != nil {
		h["Retry-After"] = retry
	}
}

func (b *Board) percent() float64 {
	if b.draw != nil {
		return b.draw()
	}
	return 100 * rand.Float64()
}

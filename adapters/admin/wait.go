package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
)

// maxWait is the longest that a purge may wait for other processes: by then one that is cut off is
// taken for gone (store.LeaseTime).
const maxWait = time.Minute

// memberAnswer is a process that follows the journal: Applied is up to which number it has applied
// the invalidations, and Age for how many seconds it has not been heard.
type memberAnswer struct {
	Name    string  `json:"name"`
	Applied uint64  `json:"applied"`
	Age     float64 `json:"age"`
}

func membersOf(all []store.Member) []memberAnswer {
	answers := make([]memberAnswer, 0, len(all))
	for _, m := range all {
		answers = append(answers, memberAnswer{m.Name, m.Applied, m.Age.Seconds()})
	}
	return answers
}

// waited is what became of waiting for other processes, and for the caches in front.
type waited struct {
	Everywhere bool           `json:"everywhere"` // each live process has applied the purge
	Why        string         `json:"why,omitempty"`
	Behind     []memberAnswer `json:"behind,omitempty"` // those that have not, as far as is known
	InFront    *inFront       `json:"in_front,omitempty"`
}

// inFront says that the caches in front have not taken the purge.
type inFront struct {
	Why  string       `json:"why"`
	Owed []owedAnswer `json:"owed,omitempty"` // those that have not, as far as is known
}

// owedAnswer is a cache in front that has not taken so many names, of this purge and of those
// before it.
type owedAnswer struct {
	Target string    `json:"target"`
	Names  int       `json:"names"`
	Since  time.Time `json:"since"` // when the oldest of them was asked for
	Error  string    `json:"error,omitempty"`
}

// owing is what an error of middleware.Receipt.WaitInFront may say of each cache in front that has
// not taken the invalidation, as that of cdn.Outbox does.
type owing interface {
	error
	Each(yield func(target string, names int, since time.Time, last error) bool)
}

// readWait reads for how long a purge is to wait: ?wait=2s. 0: it says nothing of it.
func readWait(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > maxWait {
		return 0, fmt.Errorf("wait=%.40s: allowed is a time of at most %v, such as 2s or 500ms", text,
			maxWait)
	}
	return d, nil
}

// await waits for up to d until each process has applied what the receipt is of, and the caches in
// front have taken it.
func await(ctx context.Context, r middleware.Receipt, d time.Duration) *waited {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	w := &waited{}
	err := r.Wait(ctx)
	var behind *middleware.BehindError
	switch {
	case err == nil:
		w.Everywhere = true
	case errors.As(err, &behind):
		w.Behind = membersOf(behind.Members)
		fallthrough
	default:
		w.Why = err.Error()
	}
	if err := r.WaitInFront(ctx); err != nil {
		w.InFront = &inFront{err.Error(), owedOf(err)}
	}
	return w
}

// owedOf returns what an error says of each cache in front.
func owedOf(err error) (all []owedAnswer) {
	var each owing
	if !errors.As(err, &each) {
		return nil
	}
	each.Each(func(target string, names int, since time.Time, last error) bool {
		o := owedAnswer{Target: target, Names: names, Since: since.UTC()}
		if last != nil {
			o.Error = last.Error()
		}
		all = append(all, o)
		return true
	})
	return all
}

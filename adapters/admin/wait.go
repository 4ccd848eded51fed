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

// waited is what became of waiting for other processes.
type waited struct {
	Everywhere bool           `json:"everywhere"` // each live process has applied the purge
	Why        string         `json:"why,omitempty"`
	Behind     []memberAnswer `json:"behind,omitempty"` // those that have not, as far as is known
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

// await waits for up to d until each process has applied what the receipts are of.
func await(ctx context.Context, receipts []middleware.Receipt, d time.Duration) *waited {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for _, r := range receipts {
		err := r.Wait(ctx)
		var behind *middleware.BehindError
		switch {
		case errors.As(err, &behind):
			return &waited{Why: err.Error(), Behind: membersOf(behind.Members)}
		case err != nil:
			return &waited{Why: err.Error()}
		}
	}
	return &waited{Everywhere: true}
}

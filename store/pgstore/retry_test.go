package pgstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Connections that the server ends, all at once and while calls are under way, fail no call.
func TestConnectionsThatTheServerEnds(t *testing.T) {
	const callers = 6
	url := database(t)
	b := open(t, url+"&sweep=0")
	j := b.Journal("ended:").(*journal)
	var group sync.WaitGroup
	var calls [callers]atomic.Int64
	done := make(chan struct{})
	for i := range callers {
		group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				key := fmt.Sprint("k", i, "-", n%20)
				err := b.Set(t.Context(), key, []byte("v"), time.Hour)
				_, err2 := b.Get(t.Context(), key)
				_, err3 := j.Append(t.Context(), store.Mark{Kind: store.MarkTag, Name: key})
				_, _, err4 := j.Since(t.Context(), 1<<60)
				err5 := j.Renew(t.Context(), store.Member{ID: key})
				if err := errors.Join(err, err2, err3, err4, err5); err != nil {
					t.Error(err)
				}
				calls[i].Add(1)
			}
		})
	}
	for range 10 {
		admin(t, url, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE application_name = 'freshet' AND datname = current_database()`)
		var at [callers]int64
		for i := range calls {
			at[i] = calls[i].Load()
		}
		for i := range calls { // each has a new connection, which may be ended in its turn
			eventually(t, "the calls go on", func() bool { return calls[i].Load() >= at[i]+2 })
		}
	}
	close(done)
	group.Wait()
}

package pgstore

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store/internal/pause"
)

// swept is what this process's sweep has done so far, for Health.
type swept struct {
	sync.Mutex
	rows int64
	err  error // of the last time
}

func (s *swept) describe(to map[string]string) {
	s.Lock()
	defer s.Unlock()
	to["swept"] = strconv.FormatInt(s.rows, 10)
	if s.err != nil {
		to["sweep_error"] = s.err.Error()
	}
}

// sweepAll removes what has expired, again and again until ctx is done, not at the same moments as
// other processes.
func (b *Backend) sweepAll(ctx context.Context) {
	every := b.config.Sweep
	timer := time.NewTimer(rand.N(every))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		rows, err := b.sweepOnce(ctx)
		b.swept.Lock()
		b.swept.rows, b.swept.err = b.swept.rows+rows, err
		b.swept.Unlock()
		timer.Reset(every - every/10 + rand.N(every/5))
	}
}

// sweepOnce removes what has expired, 1,000 rows at a time with a rest between, so that no call
// waits for it. It does nothing while another process sweeps.
func (b *Backend) sweepOnce(ctx context.Context) (rows int64, err error) {
	const rest = 20 * time.Millisecond
	for {
		n, err := b.exec(ctx, "sweep", "", b.sql.sweep, batch)
		rows += n
		if err != nil || n < batch {
			return rows, err
		}
		if pause.For(ctx, rest) != nil {
			return rows, nil
		}
	}
}

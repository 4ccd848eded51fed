package admin

import (
	"maps"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
)

// statsAnswer is the answer of /stats. Times are in seconds.
type statsAnswer struct {
	Now     time.Time         `json:"now"`
	Began   time.Time         `json:"began"`
	Series  []seriesAnswer    `json:"series"`
	Times   map[string]spread `json:"times"` // hit, fill, backend, age
	Runs    runsAnswer        `json:"runs"`
	Journal journalAnswer     `json:"journal"`
	Tiers   []tierAnswer      `json:"tiers"`
}

type seriesAnswer struct {
	Resource string  `json:"resource"`
	Result   string  `json:"result"`
	Reason   string  `json:"reason"`
	Requests uint64  `json:"requests"`
	Bytes    uint64  `json:"bytes"`
	Saved    float64 `json:"saved"`
}

// spread says how times spread. The quantiles are upper bounds of buckets.
type spread struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
}

type runsAnswer struct {
	Fills     int   `json:"fills"`
	FillBytes int64 `json:"fill_bytes"`
	Readers   int   `json:"readers"`
	ReadBytes int64 `json:"read_bytes"`
	Refreshes int   `json:"refreshes"`
}

// journalAnswer is the state of the journal. Lag is since it answered last: 0 where it is of this
// process alone, and -1 where it has never answered. When a Lag is greater than MaxLag, nothing stored
// is used; 0 is none.
type journalAnswer struct {
	Shared  bool    `json:"shared"`
	InTouch bool    `json:"in_touch"`
	Number  uint64  `json:"number"`
	Lag     float64 `json:"lag"`     // in seconds
	MaxLag  float64 `json:"max_lag"` // in seconds
	Unsent  int     `json:"unsent"`

	// Applied is up to which number this process has applied all, and Behind how many numbers are
	// known beyond it, for BehindFor seconds, which MaxLag bounds like Lag.
	Applied   uint64  `json:"applied"`
	Behind    uint64  `json:"behind"`
	BehindFor float64 `json:"behind_for"`
	// Members are the processes that follow it. Entries with a number below Floor are not used until
	// those in Awaits have been heard; 0: all are used.
	Members []memberAnswer `json:"members"`
	Floor   uint64         `json:"floor"`
	Awaits  []memberAnswer `json:"awaits"`
}

// tierAnswer has -1 for what the tier does not know.
type tierAnswer struct {
	Name     string `json:"name"`
	Entries  int64  `json:"entries"`
	Bytes    int64  `json:"bytes"`
	MaxBytes int64  `json:"max_bytes"`
	Evicted  int64  `json:"evicted"`
	Expired  int64  `json:"expired"`
	Hits     int64  `json:"hits"`
	Misses   int64  `json:"misses"`
	Calls    int64  `json:"calls"`
	Failed   int64  `json:"failed"`
	Rejected int64  `json:"rejected"`
	Breaker  string `json:"breaker"`
	// JournalLost is since when the journal on its server fails; absent: it answers.
	JournalLost time.Time `json:"journal_lost,omitzero"`

	Reclaimed      int64 `json:"reclaimed"`
	ReclaimedBytes int64 `json:"reclaimed_bytes"`
	DeadBytes      int64 `json:"dead_bytes"`

	// EncryptionFaults are by cause, as metrics have them.
	EncryptionFaults map[string]int64 `json:"encryption_faults"`
}

func (d *Door) stats(w http.ResponseWriter, r *http.Request) {
	now, s := time.Now(), d.cache.Stats()
	a := statsAnswer{
		Now: now.UTC(), Began: d.began.UTC(), Series: []seriesAnswer{}, Tiers: []tierAnswer{},
		Runs:    runsOf(&s),
		Journal: journalOf(&s.Journal),
	}
	var hit, fill, backend, age metrics.Histogram
	for _, s := range d.watch.meter.Snapshot().Series {
		a.Series = append(a.Series, seriesAnswer{
			s.Resource, string(s.Result), string(s.Reason), s.Requests, s.Bytes, s.Saved.Seconds(),
		})
		if s.Result == metrics.Hit || s.Result == metrics.Stale {
			hit.Add(&s.Took)
		}
		fill.Add(&s.Fill)
		backend.Add(&s.Backend)
		age.Add(&s.Age)
	}
	a.Times = map[string]spread{
		"hit": spreadOf(&hit), "fill": spreadOf(&fill), "backend": spreadOf(&backend),
		"age": spreadOf(&age),
	}
	for _, t := range s.Tiers {
		a.Tiers = append(a.Tiers, tierOf(&t))
	}
	answer(w, http.StatusOK, a)
}

func runsOf(s *middleware.Stats) runsAnswer {
	return runsAnswer{s.Fills, s.FillBytes, s.Readers, s.ReadBytes, s.Refreshes}
}

func journalOf(j *middleware.JournalStats) journalAnswer {
	a := journalAnswer{j.Shared, j.InTouch, j.Number, j.Lag.Seconds(), j.MaxLag.Seconds(), j.Unsent,
		j.Applied, j.Behind, j.BehindFor.Seconds(), membersOf(j.Members), j.Floor,
		membersOf(j.Awaits)}
	if j.Lag < 0 {
		a.Lag = -1
	}
	return a
}

func tierOf(t *store.TierStats) tierAnswer {
	return tierAnswer{
		t.Name, t.Entries, t.Bytes, t.MaxBytes, t.Evicted, t.Expired, t.Hits, t.Misses, t.Calls,
		t.Failed,
		t.Rejected, t.Breaker, t.JournalLost.UTC(), t.Reclaimed, t.ReclaimedBytes, t.DeadBytes,
		maps.Collect(t.EncryptionFaults.Causes),
	}
}

func spreadOf(h *metrics.Histogram) spread {
	s := spread{Count: h.Count, P50: h.Quantile(0.5).Seconds(), P90: h.Quantile(0.9).Seconds(),
		P99: h.Quantile(0.99).Seconds()}
	if h.Count > 0 {
		s.Mean = h.Sum.Seconds() / float64(h.Count)
	}
	return s
}

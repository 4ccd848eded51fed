package door

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// The types of this file are not those of adapters/admin, though a test finds what they do not have in
// common. What the two agree on is the JSON of admin.Version: the app may have been built from another
// commit, so that a client reads what it needs and leaves the rest, and admin is free to change how it
// makes an answer. Exported there, they would be API of every app that has a door, for one command.

// Stats is the answer of /stats. Times are in seconds.
type Stats struct {
	Now     time.Time         `json:"now"`
	Began   time.Time         `json:"began"`
	Series  []Series          `json:"series"`
	Times   map[string]Spread `json:"times"` // hit, fill, backend, age
	Runs    Runs              `json:"runs"`
	Journal Journal           `json:"journal"`
	Tiers   []Tier            `json:"tiers"`
}

// Series counts the requests for a resource that had the same result and reason.
type Series struct {
	Resource string  `json:"resource"`
	Result   string  `json:"result"`
	Reason   string  `json:"reason"`
	Requests uint64  `json:"requests"`
	Bytes    uint64  `json:"bytes"`
	Saved    float64 `json:"saved"`
}

// Spread says how times spread. The quantiles are upper bounds of buckets.
type Spread struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
}

// Runs is what is under way.
type Runs struct {
	Fills     int   `json:"fills"`
	FillBytes int64 `json:"fill_bytes"`
	Readers   int   `json:"readers"`
	ReadBytes int64 `json:"read_bytes"`
	Refreshes int   `json:"refreshes"`
}

// Journal is the state of the journal of invalidations. Lag is since it answered last, less than 0
// where it never did; beyond MaxLag nothing stored is used, 0 where the app does not say.
type Journal struct {
	Shared  bool    `json:"shared"`
	InTouch bool    `json:"in_touch"`
	Number  uint64  `json:"number"`
	Lag     float64 `json:"lag"`
	MaxLag  float64 `json:"max_lag"`
	Unsent  int     `json:"unsent"`
	// up to which number all is applied; how many are known beyond it, and for how long
	Applied   uint64  `json:"applied"`
	Behind    uint64  `json:"behind"`
	BehindFor float64 `json:"behind_for"`
	// the processes that follow it, and those that must be heard before entries below Floor are used
	Members []Member `json:"members"`
	Floor   uint64   `json:"floor"`
	Awaits  []Member `json:"awaits"`
}

// Member is a process that follows the journal, which was heard Age seconds ago.
type Member struct {
	Name    string  `json:"name"`
	Applied uint64  `json:"applied"`
	Age     float64 `json:"age"`
}

// Tier is a tier of the store. It has -1 for what the tier does not know.
type Tier struct {
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
	// since when the journal on its server fails; zero: it answers, or the app does not say
	JournalLost time.Time `json:"journal_lost"`

	Reclaimed      int64 `json:"reclaimed"`
	ReclaimedBytes int64 `json:"reclaimed_bytes"`
	DeadBytes      int64 `json:"dead_bytes"`

	EncryptionFaults map[string]int64 `json:"encryption_faults"` // by cause
}

// Top is the answer of /top.
type Top struct {
	Misses []Page `json:"misses"`
	Served []Page `json:"served"`
}

// Page is a page, how often it came, and how long handlers took for it or would have taken, in
// seconds.
type Page struct {
	Page  string  `json:"page"`
	Count uint64  `json:"count"`
	Took  float64 `json:"took"`
}

// Event is a line of /events. Times are in seconds.
type Event struct {
	Time     time.Time `json:"time"`
	Method   string    `json:"method"`
	Host     string    `json:"host"`
	Path     string    `json:"path"`
	Status   int       `json:"status"`
	Bytes    int64     `json:"bytes"`
	Took     float64   `json:"took"`
	Result   string    `json:"result"`
	Reason   string    `json:"reason"`
	Cache    string    `json:"cache"`
	Resource string    `json:"resource"`
	Key      string    `json:"key"`
	Age      float64   `json:"age"`
	Fill     float64   `json:"fill"`
	Backend  float64   `json:"backend"`
	Dropped  int       `json:"dropped"` // events before this one that came too fast
}

// MaxPages is the greatest n of Client.Top.
const MaxPages = 256

// Stats asks for the counters. It returns them, and the answer as it came.
func (c *Client) Stats(ctx context.Context) (*Stats, []byte, error) {
	text, err := c.Get(ctx, "stats", nil)
	if err != nil {
		return nil, nil, err
	}
	s, err := read(c, text, func(s *Stats) bool { return !s.Now.IsZero() && s.Times != nil })
	return s, text, err
}

// Top asks for the n pages that cost most, and the n that were served most: 1 to MaxPages. It
// returns them, and the answer as it came.
func (c *Client) Top(ctx context.Context, n int) (*Top, []byte, error) {
	text, err := c.Get(ctx, "top", url.Values{"n": {strconv.Itoa(n)}})
	if err != nil {
		return nil, nil, err
	}
	t, err := read(c, text, func(t *Top) bool { return t.Misses != nil && t.Served != nil })
	return t, text, err
}

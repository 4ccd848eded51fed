package simulate

// Counts are what became of requests.
type Counts struct {
	Requests int64 `json:"requests"`
	Hits     int64 `json:"hits"` // answered without a run of the handler of their own

	// of the hits: with a stale response, while a new one was fetched
	Stale     int64 `json:"stale"`
	Collapsed int64 `json:"collapsed"` // of the hits: along with a request that came before

	Misses int64 `json:"misses"` // that the handler answered, after the cache had looked
	// runs of the handler that said only that what is stored still holds
	Revalidated int64 `json:"revalidated"`
	// of the misses: answered with a stale response in place of an error
	StoodIn   int64 `json:"stood_in"`
	Passed    int64 `json:"passed"`    // that the cache has nothing to do with
	Refreshes int64 `json:"refreshes"` // runs of the handler in the background

	CacheBytes  int64 `json:"cache_bytes"`  // of bodies, from the cache to clients
	OriginBytes int64 `json:"origin_bytes"` // of bodies, from the handler
}

// OriginRequests is how often the handler ran.
func (c *Counts) OriginRequests() int64 { return c.Misses + c.Passed + c.Refreshes }

// HitRatio is the part of all requests that were hits, from 0 to 1.
func (c *Counts) HitRatio() float64 {
	if c.Requests == 0 {
		return 0
	}
	return float64(c.Hits) / float64(c.Requests)
}

// Add adds other counts.
func (c *Counts) Add(o *Counts) {
	c.Requests += o.Requests
	c.Hits += o.Hits
	c.Stale += o.Stale
	c.Collapsed += o.Collapsed
	c.Misses += o.Misses
	c.Revalidated += o.Revalidated
	c.StoodIn += o.StoodIn
	c.Passed += o.Passed
	c.Refreshes += o.Refreshes
	c.CacheBytes += o.CacheBytes
	c.OriginBytes += o.OriginBytes
}

// counts returns the counts of a request's group.
func (s *Simulator) counts(q *request) *Counts {
	for int(q.group) >= len(s.groups) {
		s.groups = append(s.groups, Counts{})
	}
	return &s.groups[q.group]
}

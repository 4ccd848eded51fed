package rules

import "time"

// Defaults of a policy's fields, as their docs have them.
const (
	DefaultRetention            = 10 * time.Minute
	DefaultHeuristicMax         = 24 * time.Hour
	DefaultHeuristicDocumentMax = time.Minute
	DefaultMaxBody              = 16 << 20
	DefaultMaxWait              = 5 * time.Second
)

// ClockTolerance is how far the clocks of processes that share a store may disagree. What was
// received, by the clock of the process that stored it, later than this from now is not used.
const ClockTolerance = 10 * time.Second

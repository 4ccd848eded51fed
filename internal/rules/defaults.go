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

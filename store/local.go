package store

// Local is an ability of stores that answer from this process's own memory: their callers need no
// deadline and lose no time by storing before they answer a client. As finds it behind wrappers: one
// that adds a wait of its own answers false for itself.
type Local interface{ Local() bool }

package store

// Local is an ability of stores that answer from this process's own memory: their callers need no
// deadline and lose no time by storing before they answer a client.
type Local interface{ Local() bool }

package store

// Local is the ability of a store to answer from this process's own memory: its callers need no
// deadline and lose no time by storing before they answer a client. A wrapper that may wait returns
// false, because As finds the ability behind wrappers.
type Local interface{ Local() bool }

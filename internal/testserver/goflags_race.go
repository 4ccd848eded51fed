//go:build race

package testserver

// goFlags: see GoFlags.
var goFlags = []string{"-race"}

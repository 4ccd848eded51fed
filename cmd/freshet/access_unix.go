//go:build unix

package main

import "syscall"

// mayWrite returns why this process may not make files in a folder.
func mayWrite(folder string) error { return syscall.Access(folder, 2|1) } // W_OK and X_OK

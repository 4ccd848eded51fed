package testserver

import "slices"

// GoFlags returns the arguments of the go command with the flags by which this test was built, so
// that a test which builds or vets a program compiles no package anew.
func GoFlags(command string, args ...string) []string {
	return slices.Concat([]string{command}, goFlags, args)
}

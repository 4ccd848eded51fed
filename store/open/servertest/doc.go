// Package servertest holds the tests of package open with real drivers and servers, and no code.
// They are not beside what they test, so that an app that imports package open does not get the
// modules of all drivers into its go.sum: `go mod tidy` looks at the tests of the packages that an
// app imports.
package servertest

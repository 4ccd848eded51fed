// Package browsertest holds tests and no code: they look at the operator's page of package admin in
// headless Chromium, as an operator does. It is a module of its own, so that nobody who uses the
// door has a driver of browsers in the module graph.
//
// The pictures in docs are of the page as the tests see it:
//
//	go test -run TestPictures -pictures
package browsertest

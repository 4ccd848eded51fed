//go:build !linux

package testserver

import "errors"

var errNoLimit = errors.New("this system has no prlimit")

// LimitFiles fails: only Linux limits another process.
func (s *Server) LimitFiles(int64) { s.fail("limit the files of", errNoLimit) }

package main

import (
	"os"
	"time"
)

// lookEvery is how often what uses a file looks whether that has changed.
const lookEvery = time.Second

// fileState tells whether a file has changed.
type fileState struct {
	changed time.Time
	size    int64
	info    os.FileInfo // for os.SameFile
}

// stateOf looks at a file. The state of one that is not there is the zero value.
func stateOf(name string) fileState {
	info, err := os.Stat(name)
	if err != nil {
		return fileState{}
	}
	return fileState{info.ModTime(), info.Size(), info}
}

func (s fileState) same(other fileState) bool {
	return s.changed.Equal(other.changed) && s.size == other.size &&
		(s.info == nil) == (other.info == nil) && (s.info == nil || os.SameFile(s.info, other.info))
}

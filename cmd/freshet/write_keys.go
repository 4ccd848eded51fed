package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// writeKeys are the keys of --read-your-writes-key-file, which are read anew where the file has
// changed. It is safe for concurrent use.
type writeKeys struct {
	file string
	log  *slog.Logger

	mu    sync.Mutex
	keys  [][]byte  // in use
	state fileState // of the file when it was last read
	use   func([][]byte) error
}

// newWriteKeys returns the keys of the flags, which check has read.
func newWriteKeys(f *writeFlags, log *slog.Logger) *writeKeys {
	return &writeKeys{file: f.file, log: log, keys: f.keys, state: f.state}
}

// serve has use take the keys, now and whenever they change.
func (k *writeKeys) serve(use func([][]byte) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.use = use
	return use(k.keys)
}

// run looks at the file once a second, until ctx is done.
func (k *writeKeys) run(ctx context.Context) {
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			k.look()
		}
	}
}

// look reads the file if it has changed.
func (k *writeKeys) look() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if is := stateOf(k.file); !is.same(k.state) {
		k.reload(is)
	}
}

// reread reads the file, whether or not it has changed.
func (k *writeKeys) reread() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reload(stateOf(k.file))
}

// reload takes the file's keys into use, unless one is wrong. Its caller holds mu.
func (k *writeKeys) reload(is fileState) {
	k.state = is // before it is read: what changes meanwhile is seen the next time
	keys, err := readWriteKeys(k.file)
	if err == nil && k.use != nil {
		err = k.use(keys)
	}
	if err != nil {
		k.log.Error("freshet proxy: the keys of clients' writes that were read before stay in use",
			"error", err)
		return
	}
	k.keys = keys
	k.log.Info("freshet proxy: the keys of clients' writes were read anew", "file", k.file, "keys",
		len(keys))
	for _, warning := range openToAll("read-your-writes-key-file", k.file) {
		k.log.Warn("freshet proxy: " + warning)
	}
}

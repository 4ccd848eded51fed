package filestore

import (
	"github.com/fsnotify/fsnotify"
)

// listen has this process read the journal as soon as its file changes, as far as the system tells of
// that, until stop is called. Where it tells nothing, as on some file systems, or when too many
// processes listen already, or the folder is removed, watchers look by themselves, as they do anyway.
func (j *journal) listen() (stop func()) {
	nothing := func() {}
	if makeFolder(j.folder()) != nil {
		return nothing
	}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nothing
	}
	if events.Add(j.folder()) != nil {
		events.Close()
		return nothing
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		j.hear(events)
	}()
	return func() {
		events.Close()
		<-ended
	}
}

// hear reads what is new after each event of the journal's file, until events is closed. Of events
// that have come meanwhile, one look does for all.
func (j *journal) hear(events *fsnotify.Watcher) {
	path := j.path()
	for {
		select {
		case e, more := <-events.Events:
			if !more {
				return
			}
			if e.Name == path && e.Op != fsnotify.Chmod {
				j.readNews()
			}
		case _, more := <-events.Errors: // events were lost, perhaps
			if !more {
				return
			}
			j.readNews()
		}
	}
}

// readNews reads what is new in the file. Where it cannot, the next Since finds out why.
func (j *journal) readNews() {
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case <-j.backend.done:
	default:
		_ = j.refresh()
	}
}

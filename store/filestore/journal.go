package filestore

import (
	"context"
	"errors"
	"hash/crc32"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
	"github.com/freshet-go/freshet/store/internal/keys"
)

const (
	journalsName = "~journals"

	// journalPatience is how long a call waits for the lock on the journals.
	journalPatience = 5 * time.Second
)

// journal is a file, and what this process has read of it. The process that holds the lock on its
// folder appends to it. It replaces the file by another when it forgets marks and when it cannot
// rely on it: then the new one begins at a number above all others, and Since returns
// MarkEverything.
//
// It does not force records to the disk, unless Config.Fsync says so or the system does not report
// when it started: it does not rely on a journal from before that.
type journal struct {
	backend *Backend
	prefix  string
	members int // how many it has at most

	mu      sync.Mutex
	file    *os.File // kept open so that its inode is no other file's
	id      identity
	end     int64 // of what has been read: whole records
	size    int64 // of the file when it was last looked at
	begun   beginning
	marks   []store.Numbered  // numbers without gaps, the first of them begun.base+1
	later   map[uint64]string // the records of those that are not known here, by their numbers
	known   uint64            // the greatest number ever seen, in this file or one before it
	changed chan struct{}     // closed when marks have come
}

// JournalName implements [store.NamedJournal]: by the folder and the prefix.
func (j *journal) JournalName() string {
	return keys.JournalName("file:"+j.backend.config.Path, j.prefix)
}

// Journal implements [store.Journaler]. The journal is a [store.Membership].
func (b *Backend) Journal(prefix string) store.Journal {
	b.mu.Lock()
	defer b.mu.Unlock()
	j := b.journals[prefix]
	if j == nil {
		j = &journal{backend: b, prefix: prefix, members: store.MaxMembers,
			changed: make(chan struct{})}
		b.journals[prefix] = j
	}
	return j
}

func (j *journal) folder() string { return j.backend.config.Path + "/" + journalsName }
func (j *journal) path() string   { return j.folder() + "/" + j.prefix + mark }
func (j *journal) head() uint64   { return j.begun.base + uint64(len(j.marks)) }

// begin returns why an operation cannot begin, or nil.
func (j *journal) begin(ctx context.Context, op string) error {
	if err := j.backend.open(ctx, op, j.prefix); err != nil {
		return err
	}
	return driver.CheckPrefix(op, j.prefix)
}

// Append implements [store.Journal].
func (j *journal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	if err := driver.CheckMarks("append", j.prefix, what); err != nil {
		return 0, err
	}
	if len(what) == 0 {
		_, head, _, err := j.since(ctx, "append", ^uint64(0))
		return head, err
	}
	if err := j.begin(ctx, "append"); err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.locked(ctx, func() error { return j.append(what) }); err != nil {
		return 0, fail("append", j.prefix, err)
	}
	return j.head(), nil
}

// Since implements [store.Journal].
func (j *journal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	marks, head, _, err := j.since(ctx, "since", number)
	return marks, head, err
}

// since returns what Since does, and a channel that is closed when this process has seen more.
func (j *journal) since(
	ctx context.Context, op string, number uint64,
) (marks []store.Numbered, head uint64, changed <-chan struct{}, err error) {
	if err := j.begin(ctx, op); err != nil {
		return nil, 0, nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.refresh(); err != nil {
		// Missing, or not to be relied on: the holder of the lock knows which, and begins a new
		// one.
		if err := j.locked(ctx, func() error { return nil }); err != nil {
			return nil, 0, nil, fail(op, j.prefix, err)
		}
	}
	if number < j.begun.base {
		marks = append(marks, history.Forgotten(j.begun.base))
		number = j.begun.base
	}
	if head = j.head(); number < head {
		marks = append(marks, j.marks[number-j.begun.base:]...)
	}
	return marks, head, j.changed, nil
}

// release closes the journal's file.
func (j *journal) release() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forget()
}

func (j *journal) forget() {
	if j.file != nil {
		j.file.Close()
		j.file = nil
	}
}

// locked does something while no other process changes journals, and with all of this one read. If
// that cannot be relied on, another is begun first.
func (j *journal) locked(ctx context.Context, do func() error) error {
	if err := makeFolder(j.folder()); err != nil {
		return err
	}
	dir, err := os.OpenFile(j.folder(), os.O_RDONLY|onlyFolder, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := lock(ctx, dir, true, journalPatience); err != nil {
		return err
	}
	err = j.refresh()
	if errors.Is(err, errDoubt) || errors.Is(err, os.ErrNotExist) || err == errStrange {
		err = j.replace(beginning{base: history.Begin(j.known)}, nil)
	}
	if err == nil {
		err = do()
	}
	return err
}

// refresh reads what is new in the file. errDoubt says that marks may have been lost.
func (j *journal) refresh() error {
	id, err := lookAt(j.path())
	if err != nil {
		return &os.PathError{Op: "look", Path: j.path(), Err: err}
	}
	if !id.regular {
		return errStrange
	}
	if j.file == nil || id.inode != j.id.inode || id.device != j.id.device {
		return j.load()
	}
	j.size = id.size
	switch {
	case id.size == j.end:
		return nil
	case id.size < j.end:
		return errDoubt // somebody has cut it
	}
	return j.readOn()
}

// load reads the whole file.
func (j *journal) load() error {
	j.forget()
	f, err := os.OpenFile(j.path(), os.O_RDWR|noFollow, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() ||
		identifyInfo(info).owner != j.backend.owner.Load()) {
		err = errStrange
	}
	head := make([]byte, journalHeaderLen)
	if err == nil {
		if n, _ := f.ReadAt(head, 0); n < len(head) {
			err = errDoubt
		}
	}
	var begun beginning
	if err == nil {
		begun, err = parseBeginning(head)
	}
	if err != nil {
		f.Close()
		return err
	}
	j.file, j.id, j.end, j.begun = f, identifyInfo(info), journalHeaderLen, begun
	j.marks, j.later = nil, make(map[uint64]string)
	j.size = info.Size()
	known := j.known
	err = j.readOn()
	if j.known = max(known, j.head()); err == nil && j.head() < known || !begun.synced &&
		begun.boot != bootSum() {
		err = errDoubt // marks are missing; or what was last written may not have reached the disk
	}
	if err != nil {
		j.forget()
	}
	return err
}

func bootSum() uint32 { return crc32.Checksum([]byte(bootID()), castagnoli) }

// readOn reads the records from where it last ended.
func (j *journal) readOn() error {
	b := make([]byte, j.size-j.end)
	if _, err := j.file.ReadAt(b, j.end); err != nil {
		return errDoubt // cut meanwhile
	}
	p, err := parseRecords(b, j.head())
	maps.Copy(j.later, p.later)
	j.take(p.marks, int64(p.taken))
	return err
}

// take notes marks that are in the file.
func (j *journal) take(marks []store.Numbered, bytes int64) {
	if len(marks) == 0 {
		return
	}
	j.marks = append(j.marks, marks...)
	j.end += bytes
	j.known = max(j.known, j.head())
	close(j.changed)
	j.changed = make(chan struct{})
}

// append records marks. The lock is held, and all that is in the file has been read.
func (j *journal) append(what []store.Mark) error {
	number, end := j.head(), j.end
	var b []byte
	marks := make([]store.Numbered, len(what))
	for i, m := range what {
		number++
		marks[i] = store.Numbered{Mark: m, Number: number}
		b = appendRecord(b, marks[i])
	}
	// Behind what has been read there may be a record that is not complete. What is, is never cut
	// off: others may have seen it.
	var err error
	if j.size != end {
		err = j.file.Truncate(end)
	}
	if err == nil {
		_, err = j.file.WriteAt(b, end)
	}
	if err == nil && (j.begun.synced || j.backend.config.Fsync) {
		err = j.backend.fsync(j.file)
	}
	if err != nil {
		if j.refresh() == nil {
			j.file.Truncate(j.end)
		}
		return err
	}
	for i := range marks {
		marks[i].Name = strings.Clone(marks[i].Name) // it may be a part of something big
	}
	j.take(marks, int64(len(b)))
	if len(j.marks) > history.MaxMarks || j.end > history.MaxBytes {
		j.compact()
	}
	return nil
}

// compact forgets the oldest quarter of the marks, or as many as the bytes need: those of the
// records, not of the names alone. When it fails nothing is lost.
func (j *journal) compact() {
	n, bytes := 0, j.end
	for len(j.marks)-n > history.MaxMarks*3/4 || bytes > history.MaxBytes*3/4 {
		bytes -= j.recordSize(j.marks[n])
		n++
	}
	j.replace(beginning{base: j.begun.base + uint64(n)}, j.marks[n:])
}

// recordSize is the length of the record of a mark that is in the journal.
func (j *journal) recordSize(n store.Numbered) int64 {
	if record, later := j.later[n.Number]; later {
		return int64(len(record))
	}
	return int64(recordLen + len(n.Name))
}

// record appends the record of a mark that is in the journal, as it is there.
func (j *journal) record(b []byte, n store.Numbered) []byte {
	if record, later := j.later[n.Number]; later {
		return append(b, record...)
	}
	return appendRecord(b, n)
}

// replace makes another file the journal. The lock is held.
func (j *journal) replace(begun beginning, marks []store.Numbered) error {
	begun.synced, begun.boot = j.backend.config.Fsync || bootID() == "", bootSum()
	b := appendBeginning(nil, begun)
	for _, m := range marks {
		b = j.record(b, m)
	}
	temp, err := newTemp(j.folder())
	if err != nil {
		return err
	}
	_, err = temp.Write(b)
	if err == nil && begun.synced {
		err = j.backend.fsync(temp)
	}
	if err == nil {
		err = rename(temp.Name(), j.path())
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	temp.Close()
	if err == nil && begun.synced {
		err = j.backend.syncFolder(j.folder())
	}
	if err != nil {
		return err
	}
	err = j.load()
	close(j.changed)
	j.changed = make(chan struct{})
	return err
}

package filestore

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// Each member of a journal is a file in a folder beside the journal's file, named after the member's
// ID. It is replaced when the member renews, so that its mtime is when the lease began. Ages are
// between that and the mtime of a file that was just made: by the clock of the file system, whatever
// the clocks of the machines that use it say.
//
// Numbers being big-endian, a file has:
//
//	 0  5  FRMB, version 1
//	 5  8  the number that the member has applied
//	13  4  CRC32C of the 13 bytes before and of the name
//	17     name
//
// A file that is cut or damaged is nobody's: a process that lives has written the whole. In a later
// version the ID is the name, and the mtime when the lease began, as here. What its member has
// applied is not known: see history.LaterMember.
const (
	memberMagic  = "FRMB\x01"
	memberLen    = 17
	memberMost   = 4 << 10 // of a file, in every version
	membersName  = mark + "members"
	clockSetBack = time.Second // by so much a file is ahead when the clock was
)

var _ store.Membership = (*journal)(nil)

func (j *journal) membersFolder() string       { return j.folder() + "/" + j.prefix + membersName }
func (j *journal) memberPath(id string) string { return j.membersFolder() + "/" + id + mark }

// Renew implements [store.Membership].
func (j *journal) Renew(ctx context.Context, m store.Member) error {
	const op = "renew"
	if err := j.begin(ctx, op); err != nil {
		return err
	}
	if err := driver.CheckMember(j.prefix, m); err != nil {
		return err
	}
	if _, err := lookAt(j.memberPath(m.ID)); errors.Is(err, syscall.ENOENT) { // it joins
		all, err := j.look(ctx)
		if err != nil {
			return fail(op, j.prefix, err)
		}
		if len(all) >= j.members {
			return driver.Full(j.prefix, j.members)
		}
	}
	return fail(op, j.prefix, j.writeMember(ctx, m))
}

// writeMember replaces a member's file while nobody removes what has ended: who does has seen the
// file that is replaced.
func (j *journal) writeMember(ctx context.Context, m store.Member) error {
	for _, folder := range []string{j.folder(), j.membersFolder()} {
		if err := makeFolder(folder); err != nil {
			return err
		}
	}
	dir, err := j.lockMembers(ctx, false, journalPatience)
	if err != nil {
		return err
	}
	defer dir.Close()
	temp, err := newTemp(j.membersFolder())
	if err != nil {
		return err
	}
	_, err = temp.Write(appendMember(nil, m))
	if err == nil {
		err = rename(temp.Name(), j.memberPath(m.ID))
	}
	if err != nil {
		os.Remove(temp.Name())
		temp.Close()
		return err
	}
	return temp.Close() // a file system may say only now that it has no room
}

// lockMembers opens the folder of the members and locks it.
func (j *journal) lockMembers(
	ctx context.Context, exclusive bool, patience time.Duration,
) (*os.File, error) {
	dir, err := os.OpenFile(j.membersFolder(), os.O_RDONLY|onlyFolder, 0)
	if err != nil {
		return nil, err
	}
	if err := lock(ctx, dir, exclusive, patience); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// Members implements [store.Membership]. It reads the files of all members, and removes those whose
// lease has ended.
func (j *journal) Members(ctx context.Context) ([]store.Member, error) {
	const op = "members"
	if err := j.begin(ctx, op); err != nil {
		return nil, err
	}
	all, err := j.look(ctx)
	if err != nil {
		return nil, fail(op, j.prefix, err)
	}
	return all, nil
}

// Leave implements [store.Membership].
func (j *journal) Leave(ctx context.Context, id string) error {
	const op = "leave"
	if err := j.begin(ctx, op); err != nil {
		return err
	}
	if (store.Member{ID: id}).Validate() != nil {
		return nil // nobody is on the list under it
	}
	err := os.Remove(j.memberPath(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return fail(op, j.prefix, err)
}

// memberFile is a member's file as it was found.
type memberFile struct {
	store.Member
	whole bool
	identity
}

// look returns the members, and removes what has ended or was never finished.
func (j *journal) look(ctx context.Context) (all []store.Member, err error) {
	names, err := readNames(j.membersFolder())
	if err != nil || len(names) == 0 {
		return nil, err
	}
	var found []memberFile
	var temps []string
	for _, name := range names {
		if strings.HasPrefix(name, mark) {
			temps = append(temps, name)
			continue
		}
		f, ok, err := j.readMember(name)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		if ok {
			found = append(found, f)
		}
	}
	now, err := j.fileTime()
	if err != nil {
		return nil, err
	}
	for _, name := range temps {
		sweepTemp(j.membersFolder()+"/"+name, now)
	}
	var ended []memberFile
	for _, f := range found {
		switch f.Age = now.Sub(time.Unix(0, f.modified)); {
		case f.Age >= store.LeaseTime:
			ended = append(ended, f)
			continue
		case f.Age < -clockSetBack: // the lease begins anew: it must end some time
			os.Chtimes(j.memberPath(f.ID), now, now)
		}
		if f.Age = max(f.Age, 0); f.whole {
			all = append(all, f.Member)
		}
	}
	j.removeMembers(ended)
	return all, nil
}

// readMember reads a file in the folder of the members; ok is false if it is no member's.
func (j *journal) readMember(name string) (f memberFile, ok bool, err error) {
	f.ID, ok = strings.CutSuffix(name, mark)
	if !ok || f.Validate() != nil {
		return f, false, nil
	}
	id := f.ID
	b, identity, err := readFile(j.memberPath(id), j.backend.owner.Load(), memberMost, memberMost)
	switch {
	case errors.Is(err, syscall.ENOENT), err == errStrange:
		return f, false, nil
	case err != nil:
		return f, false, &os.PathError{Op: "read", Path: j.memberPath(id), Err: errUnreadable{err}}
	}
	f.Member, f.whole = parseMember(b, id)
	f.identity = identity
	return f, true, nil
}

// fileTime returns what the file system's clock says.
func (j *journal) fileTime() (time.Time, error) {
	temp, err := newTemp(j.membersFolder())
	if err != nil {
		return time.Time{}, err
	}
	info, err := temp.Stat()
	os.Remove(temp.Name())
	temp.Close()
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// removeMembers removes files that are still as they were found. While another process renews or
// removes, it leaves that to the next look.
func (j *journal) removeMembers(ended []memberFile) {
	if len(ended) == 0 {
		return
	}
	dir, err := j.lockMembers(waitsForNobody, true, 0)
	if err != nil {
		return
	}
	defer dir.Close()
	for _, f := range ended {
		path := j.memberPath(f.ID)
		if id, err := lookAt(path); err == nil && id.same(f.identity) {
			os.Remove(path)
		}
	}
}

func appendMember(b []byte, m store.Member) []byte {
	b = append(b, memberMagic...)
	b = binary.BigEndian.AppendUint64(b, m.Applied)
	sum := crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, []byte(m.Name))
	return append(binary.BigEndian.AppendUint32(b, sum), m.Name...)
}

// parseMember reads the file of the member with that ID.
func parseMember(b []byte, id string) (m store.Member, ok bool) {
	if isLater(b, memberMagic) {
		return history.LaterMember(id), true
	}
	m.ID = id
	if len(b) < memberLen || string(b[:len(memberMagic)]) != memberMagic {
		return m, false
	}
	m.Applied, m.Name = binary.BigEndian.Uint64(b[len(memberMagic):]), string(b[memberLen:])
	sum := crc32.Update(crc32.Checksum(b[:memberLen-4], castagnoli), castagnoli, b[memberLen:])
	return m, sum == binary.BigEndian.Uint32(b[memberLen-4:]) && m.Validate() == nil
}

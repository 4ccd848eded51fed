package filestore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Health implements [store.Backend]. It makes the folder if it is missing, writes a small file,
// reads it and removes it. Its details are path, files, bytes and max_bytes, as this process counts
// them.
func (b *Backend) Health(ctx context.Context) (store.Health, error) {
	if err := b.open(ctx, "health", ""); err != nil {
		return store.Health{Backend: "file"}, err
	}
	start := time.Now()
	err := b.prepare()
	return store.Health{
		Backend: "file",
		Latency: time.Since(start),
		Details: map[string]string{
			"path":      b.config.Path,
			"files":     strconv.FormatInt(b.count.files.Load(), 10),
			"bytes":     strconv.FormatInt(b.count.total(), 10),
			"max_bytes": strconv.FormatInt(b.config.MaxBytes, 10),
		},
	}, driver.Fail("health", "", kindOf(err), err)
}

// probe writes a file, reads it and removes it. It notes whose the file is: on some file systems
// another's than the process's.
func (b *Backend) probe() (err error) {
	f, err := newTemp(b.config.Path)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if removed := os.Remove(f.Name()); err == nil {
			err = removed
		}
	}()
	wrote := []byte("a probe of filestore's\n")
	if _, err := f.Write(wrote); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b.owner.Store(identifyInfo(info).owner)
	read, err := os.ReadFile(f.Name())
	if err == nil && !bytes.Equal(read, wrote) {
		err = errors.New("what was read is not what was written")
	}
	return err
}

package filestore

import (
	"context"
	"os"

	"github.com/freshet-go/freshet/store"
)

var _ store.ValueSweeper = (*Backend)(nil)

// reclaimBatch is how many files SweepValues looks into between rests.
const reclaimBatch = 200

// SweepValues implements [store.ValueSweeper]. It opens every file. What it cannot read it leaves.
func (b *Backend) SweepValues(
	ctx context.Context, prefix string, n int, dead func(head []byte, size int64) bool,
	rest func(context.Context) error,
) (swept store.Swept, err error) {
	if err := b.open(ctx, "sweep", ""); err != nil {
		return swept, err
	}
	for _, f := range b.folders {
		keys, err := b.keys(ctx, "sweep", f, prefix)
		if err != nil {
			return swept, err
		}
		for _, key := range keys {
			if swept.Seen%reclaimBatch == 0 {
				if err := rested(ctx, rest); err != nil {
					return swept, fail("sweep", "", err)
				}
			}
			swept.Seen++
			if size, gone := b.reclaim(f, key, n, dead); gone {
				swept.Removed++
				swept.RemovedBytes += size
			}
		}
	}
	b.tell(lockPatience)
	return swept, nil
}

func rested(ctx context.Context, rest func(context.Context) error) error {
	if rest != nil {
		if err := rest(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// reclaim removes the value under key if dead says so of its first n bytes.
func (b *Backend) reclaim(
	f *folder, key string, n int, dead func(head []byte, size int64) bool,
) (size int64, gone bool) {
	before := int64(headerLen + len(key))
	file, id, err := readFile(f.file(key), b.owner.Load(), b.largest(), before+int64(n))
	if err == nil {
		_, err = parseHeader(file, key)
	}
	if err != nil || !dead(file[before:], id.size-before) {
		return 0, false
	}
	b.discard(f, key, id)
	_, err = os.Lstat(f.file(key))
	return onDisk(id.size), os.IsNotExist(err)
}

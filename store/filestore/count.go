package filestore

import "sync/atomic"

// count is what the files take on the disk, as far as this process knows: what its index holds,
// what other processes have added or removed besides, by their own word (see ledger), and what is
// being written.
type count struct {
	files    atomic.Int64 // in the index
	indexed  atomic.Int64 // bytes of the files in the index
	foreign  atomic.Int64 // bytes that others have added since, less those that they have removed
	reserved atomic.Int64 // bytes of what is being written
	// bytes that this process has added, less removed, and not yet written to the ledger
	unsaid atomic.Int64
	// a scan makes the index anew: the ledger need not have what it holds so far
	scanning atomic.Bool
}

func (c *count) total() int64 {
	return max(c.indexed.Load()+c.foreign.Load(), 0) + c.reserved.Load()
}

// own counts what this process has added or removed.
func (c *count) own(d int64) {
	c.indexed.Add(d)
	c.unsaid.Add(d)
}

// learned counts a change of others' that the index has learned of: the ledger had it. In doubt it
// counts too much, until the next scan.
func (c *count) learned(d int64) {
	c.indexed.Add(d)
	if d < 0 || !c.scanning.Load() {
		c.foreign.Add(-d)
	}
}

// onDisk is what a file counts: its blocks of 4 KiB, and 512 bytes for its name and inode.
func onDisk(size int64) int64 { return (size+4095)&^4095 + 512 }

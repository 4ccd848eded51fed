// Package liveheap tells tests what is in use on the heap.
package liveheap

import "runtime"

// Bytes returns how many bytes of the heap are in use, after a garbage collection.
func Bytes() int64 {
	runtime.GC()
	runtime.GC() // which frees what the first one has found to be of no use, and finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

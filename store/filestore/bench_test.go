package filestore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// The same value is read by os.ReadFile from a file of its own, and by Get: at most 1.5 times as
// long.
func BenchmarkGet(b *testing.B) {
	value := bytes.Repeat([]byte("0123456789abcdef"), 256)
	fs := scanned(b, open(b, Config{Path: b.TempDir()}))
	set(b, fs, "key", value)
	plain := filepath.Join(b.TempDir(), "file")
	if err := os.WriteFile(plain, value, 0o600); err != nil {
		b.Fatal(err)
	}
	b.Run("os.ReadFile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got, err := os.ReadFile(plain); err != nil || len(got) != len(value) {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("filestore", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got, err := fs.Get(b.Context(), "key"); err != nil || len(got) != len(value) {
				b.Fatal(len(got), err)
			}
		}
	})
}

// Beside what the least that a safe write can do costs: a temporary file and a rename.
func BenchmarkSet(b *testing.B) {
	value := bytes.Repeat([]byte("0123456789abcdef"), 256)
	folder := b.TempDir()
	b.Run("os.WriteFile and os.Rename", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			path := filepath.Join(folder, fmt.Sprint(i%1000))
			if err := os.WriteFile(path+".tmp", value, 0o600); err != nil {
				b.Fatal(err)
			}
			if err := os.Rename(path+".tmp", path); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, fsync := range []bool{false, true} {
		b.Run(fmt.Sprint("filestore, fsync ", fsync), func(b *testing.B) {
			fs := scanned(b, open(b, Config{Path: b.TempDir(), Fsync: fsync}))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				set(b, fs, fmt.Sprint("key-", i%1000), value)
			}
		})
	}
	b.Run("filestore, always full", func(b *testing.B) {
		fs := scanned(b, open(b, Config{Path: b.TempDir(), MaxBytes: 4 << 20}))
		for i := 0; b.Loop(); i++ {
			set(b, fs, fmt.Sprint("key-", i), value)
		}
	})
}

// How long a folder of 50,000 files takes to be read at the start.
func BenchmarkScan(b *testing.B) {
	const files = 50_000
	folder := b.TempDir()
	fs := scanned(b, open(b, Config{Path: folder}))
	for i := range files {
		set(b, fs, fmt.Sprint("key-", i), []byte("value"))
	}
	fs.Close()
	for b.Loop() {
		fs := scanned(b, open(b, Config{Path: folder}))
		if n := fs.count.files.Load(); n != files {
			b.Fatalf("%d files; want %d", n, files)
		}
		b.StopTimer()
		fs.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/files, "ns/file")
}

//go:build openbsd || dragonfly

package filestore

import "syscall"

const noAtime = 0

func times(st *syscall.Stat_t) (used, modified, changed int64) {
	return st.Atim.Nano(), st.Mtim.Nano(), st.Ctim.Nano()
}

func bootID() string { return "" }

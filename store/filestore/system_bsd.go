//go:build darwin || freebsd || netbsd

package filestore

import "syscall"

const noAtime = 0

func times(st *syscall.Stat_t) (used, modified, changed int64) {
	return st.Atimespec.Nano(), st.Mtimespec.Nano(), st.Ctimespec.Nano()
}

func bootID() string { return "" }

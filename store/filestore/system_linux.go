package filestore

import (
	"os"
	"strings"
	"sync"
	"syscall"
)

const noAtime = syscall.O_NOATIME

func times(st *syscall.Stat_t) (used, modified, changed int64) {
	return st.Atim.Nano(), st.Mtim.Nano(), st.Ctim.Nano()
}

// bootID returns another text each time the machine starts, or none if the system does not say.
var bootID = sync.OnceValue(func() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
})

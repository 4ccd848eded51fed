package servertest

import (
	"syscall"
	"time"
)

// nap sleeps for less than the millisecond that time.Sleep takes at least in an idle program.
func nap(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	syscall.Nanosleep(&t, nil)
}

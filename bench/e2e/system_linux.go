package main

import (
	"os/exec"
	"syscall"
)

// inOwnGroup keeps a command, with all it starts, from signals that are meant for us, and has it
// asked to end when we are killed.
func inOwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

func signalGroup(cmd *exec.Cmd, s syscall.Signal) { syscall.Kill(-cmd.Process.Pid, s) }

// spaceIn is how many bytes we may still write in a folder.
func spaceIn(dir string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0
	}
	return int64(s.Bavail) * int64(s.Bsize)
}

//go:build unix && !linux

package testserver

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Here a server outlives a test binary that is killed.
func attributes(as *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: credential(as)}
}

// descendants are the processes that pid started, and those that they started.
func descendants(pid int) (below []int) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil
	}
	children := make(map[int][]int)
	for line := range strings.Lines(string(out)) {
		var child, parent int
		if _, err := fmt.Sscan(line, &child, &parent); err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	below = append(below, children[pid]...)
	for i := 0; i < len(below); i++ {
		below = append(below, children[below[i]]...)
	}
	return below
}

// state is the first letter of what ps says the process does; 0 when there is none.
func state(pid int) byte {
	out, _ := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
	if text := strings.TrimSpace(string(out)); text != "" {
		return text[0]
	}
	return 0
}

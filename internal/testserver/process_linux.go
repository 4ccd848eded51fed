package testserver

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

func attributes(as *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL,
		Credential: credential(as)}
}

// descendants are the processes that pid started, and those that they started.
func descendants(pid int) (below []int) {
	children := make(map[int][]int)
	folders, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, folder := range folders {
		if child, err := strconv.Atoi(folder.Name()); err == nil {
			_, parent := stat(child)
			children[parent] = append(children[parent], child)
		}
	}
	below = append(below, children[pid]...)
	for i := 0; i < len(below); i++ {
		below = append(below, children[below[i]]...)
	}
	return below
}

// state is the letter that /proc/pid/stat has for what the process does; 0 when there is none.
// state is a process's state, as ps shows it. One of which a thread still runs has not stopped.
func state(pid int) byte {
	letter, _ := stat(pid)
	if letter != 'T' {
		return letter
	}
	threads := "/proc/" + strconv.Itoa(pid) + "/task/"
	all, _ := os.ReadDir(threads)
	for _, each := range all {
		if letter, _ := statOf(threads + each.Name()); letter != 'T' && letter != 0 {
			return letter
		}
	}
	return 'T'
}

func stat(pid int) (state byte, parent int) { return statOf("/proc/" + strconv.Itoa(pid)) }

func statOf(folder string) (state byte, parent int) {
	text, err := os.ReadFile(folder + "/stat")
	if err != nil {
		return 0, 0
	}
	// The second field is the program's name in parentheses, and may hold anything.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0, 0
	}
	parent, _ = strconv.Atoi(string(fields[1]))
	return fields[0][0], parent
}

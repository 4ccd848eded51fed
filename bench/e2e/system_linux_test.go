package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// What was started ends with all that it has started, and the folder goes, also when nothing asks
// nicely.
func TestTheEndLeavesNothing(t *testing.T) {
	e := &ensemble{dir: t.TempDir() + "/all", cores: cores{server: -1, load: -1}}
	if err := os.Mkdir(e.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := startProcess(-1, e.dir, "sh", "-c", "trap '' TERM; sleep 1000 & echo $!; wait; "+
		"sleep 1000")
	if err != nil {
		t.Fatal(err)
	}
	e.started = append(e.started, p)
	for began := time.Now(); p.output.String() == ""; time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("the shell does not start")
		}
	}
	child := p.output.String()
	e.end()
	for began := time.Now(); ; time.Sleep(time.Millisecond) { // it has been killed, and dies when it is its turn
		state, err := os.ReadFile("/proc/" + child + "/stat")
		if err != nil || strings.Contains(string(state), ") Z ") {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the child still runs: %s", state)
		}
	}
	if _, err := os.Stat(e.dir); err == nil {
		t.Error("the folder is still there")
	}
}

// The time of a process that has ended counts for the one that started it.
func TestCPUTimeHasThatOfChildren(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done").Run(); err != nil {
		t.Fatal(err)
	}
	after, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after-before < 20*time.Millisecond {
		t.Errorf("a child has counted to 300,000 in %v of CPU time", after-before)
	}
	if took, err := cpuTime(1 << 30); err == nil {
		t.Errorf("no such process, and it took %v", took)
	}
}

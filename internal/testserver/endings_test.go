//go:build unix

package testserver

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// victims says to a copy of this test binary what it is to do, and to leave undone.
const victims = "FRESHET_TESTSERVER_VICTIM"

func again(t *testing.T, test, task string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
	command.Env = append(os.Environ(), victims+"="+task)
	return command
}

func TestMainFailsForAGoroutineLeftBehind(t *testing.T) {
	if os.Getenv(victims) == "goroutine" {
		SharedMemcached(t)
		go func() { time.Sleep(time.Hour) }()
		return
	}
	Require(t, "memcached")
	out, err := again(t, "TestMainFailsForAGoroutineLeftBehind", "goroutine").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "left goroutines behind") ||
		!strings.Contains(string(out), "time.Sleep") {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "testserver.run") {
		t.Errorf("a shared server is left behind:\n%s", out)
	}
}

// A killed PostgreSQL leaves nothing at work, not even what is in the middle of a query and does
// not look up.
func TestKillReachesAllProcesses(t *testing.T) {
	s := Postgres(t)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	busy := make(chan error)
	go func() { busy <- s.sql(ctx, "freshet", "DO $$ BEGIN LOOP END LOOP; END $$") }()
	if err := until(ctx, nil, func() error {
		return s.sql(ctx, "freshet", `DO $$ BEGIN
			ASSERT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%LOOP END LOOP%' AND pid <> pg_backend_pid());
		END $$`)
	}); err != nil {
		t.Fatal("the query does not run: ", err)
	}
	s.Pause()
	below := descendants(s.Pid())
	if len(below) < 6 {
		t.Errorf("%d processes, not five of its own and the query", len(below))
	}
	t.Cleanup(func() {
		for _, pid := range below {
			if alive(pid) {
				t.Errorf("process %d of PostgreSQL lived on", pid)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	for _, pid := range below {
		if !stopped(pid) {
			t.Errorf("process %d of PostgreSQL is not paused", pid)
		}
	}
	s.Kill()
	for _, pid := range below {
		if alive(pid) {
			t.Fatalf("process %d of PostgreSQL lives on", pid)
		}
	}
	if err := <-busy; err == nil {
		t.Error("the query was answered")
	}
}

package testserver

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"testing"
)

// Only Linux ends a process with its parent.
func TestServersEndWithAKilledTest(t *testing.T) {
	if os.Getenv(victims) == "servers" {
		for _, s := range []*Server{Redis(t), Memcached(t), Postgres(t)} {
			fmt.Println("victim", s.Pid(), s.Dir)
			for _, pid := range descendants(s.Pid()) {
				fmt.Println("victim", pid, s.Dir)
			}
		}
		fmt.Println("victims all")
		<-t.Context().Done()
	}
	for _, program := range []string{"redis-server", "memcached", "postgres"} {
		Require(t, program)
	}
	command := again(t, "TestServersEndWithAKilledTest", "servers")
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for lines := bufio.NewScanner(stdout); lines.Scan() && lines.Text() != "victims all"; {
		var pid int
		var dir string
		if n, _ := fmt.Sscanf(lines.Text(), "victim %d %s", &pid, &dir); n == 2 {
			pids = append(pids, pid)
			t.Cleanup(func() { freeMemory(dir); os.RemoveAll(dir) })
		}
	}
	if len(pids) < 8 {
		t.Errorf("%d processes, PostgreSQL alone has 6", len(pids))
	}
	_ = command.Process.Kill()
	_ = command.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), settle)
	defer cancel()
	if err := until(ctx, nil, func() error {
		for _, pid := range pids {
			if alive(pid) {
				return fmt.Errorf("process %d outlives the test that started it", pid)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

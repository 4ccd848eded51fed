// Command check runs the benchmarks of this module and fails when a figure is worse than what is promised of it. A
// ratio is judged by its rounds: it fails when three quarters of them are worse than the promise, so that a machine
// that is busy for a while does not decide. Allocations are counted, and need no such care.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	time := flag.String("time", "3s", "how long each benchmark runs: go test's -benchtime")
	pattern := flag.String("bench", "Hit|Echo|Answer|Miss|Pass|Far|Near", "which benchmarks run: go test's -bench")
	flag.Parse()
	if err := run(*pattern, *time); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func run(pattern, time string) error {
	var printed bytes.Buffer
	c := exec.Command("go", "test", "-run", "^$", "-bench", pattern, "-benchtime", time, ".")
	c.Stdout, c.Stderr = io.MultiWriter(os.Stdout, &printed), os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("the benchmarks failed: %w", err)
	}
	worse, judged := 0, 0
	for lines := bufio.NewScanner(&printed); lines.Scan(); {
		r, ok := read(lines.Text())
		if !ok {
			continue
		}
		judged++
		for _, fault := range judge(r) {
			worse++
			fmt.Println("WORSE", r.name+":", fault)
		}
	}
	switch {
	case judged == 0:
		return fmt.Errorf("no benchmark matches %q", pattern)
	case worse > 0:
		return fmt.Errorf("%d figures are worse than promised", worse)
	}
	fmt.Println("all figures are as promised")
	return nil
}

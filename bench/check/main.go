// Command check runs the benchmarks of this module, says what they reach of what we set out for,
// and fails when a figure is worse than what is promised of it. A ratio is judged by its rounds: it
// is worse when three quarters of them are, so that a machine that is busy for a while does not
// decide. Allocations are counted, and need no such care.
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

// turn is one call of go test.
type turn struct{ pattern, time string }

// turns run everything that is promised something: what is short for a while, and what fills
// memories once.
var turns = []turn{
	{"Hit|Observed|Root|Echo|Answer|Miss|FirstByte|Pass|Far|Near", "3s"},
	{"Crowd|Stream", "7x"},
	{"Million/hit", "2s"},
	{"Million/gc|MemoryBound|Page|Crawler", "1x"},
}

func main() {
	time := flag.String("time", "3s", "with -bench: how long each benchmark runs: go test's "+
		"-benchtime")
	pattern := flag.String("bench", "", "which benchmarks run: go test's -bench; all when empty")
	flag.Parse()
	if *pattern != "" {
		turns = []turn{{*pattern, *time}}
	}
	if err := check(turns); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func check(turns []turn) error {
	var printed bytes.Buffer
	for _, t := range turns {
		c := exec.Command("go", "test", "-run", "^$", "-bench", t.pattern, "-benchtime", t.time,
			"-timeout", "30m", ".")
		c.Stdout, c.Stderr = io.MultiWriter(os.Stdout, &printed), os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("the benchmarks failed: %w", err)
		}
	}
	worse, short, judged := 0, 0, 0
	say := func(what string, r result, why any) { fmt.Printf("%-5s %s: %v\n", what, r.name, why) }
	fmt.Println()
	for lines := bufio.NewScanner(&printed); lines.Scan(); {
		r, ok := read(lines.Text())
		if !ok {
			continue
		}
		verdicts, fault := judge(r)
		if fault != "" {
			worse++
			say("WORSE", r, fault)
		}
		for _, v := range verdicts {
			judged++
			switch {
			case !v.kept:
				worse++
				say("WORSE", r, v)
			case !v.reached:
				short++
				say("short", r, v)
			default:
				say("ok", r, v)
			}
		}
	}
	fmt.Printf("%d figures; %d are short of what was asked, %d are worse than promised\n", judged,
		short, worse)
	switch {
	case judged == 0 && worse == 0:
		return fmt.Errorf("no benchmark matches")
	case worse > 0:
		return fmt.Errorf("%d figures are worse than promised", worse)
	}
	return nil
}

// Command badday has one service live through a bad half an hour, nine times: with a TTL alone, and
// then with one field of the policy more each time. A crowd comes, the database is slow, fails,
// hangs and is well again. The program prints what clients got and how often the handler ran, and
// draws it.
//
//	go run ./examples/badday
//	go run ./examples/badday -svg badday.svg
//
// The half an hour passes in virtual time, so that it takes seconds, and each run prints the same.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
)

func main() {
	flags := flag.NewFlagSet("badday", flag.ExitOnError)
	svg := flags.String("svg", "", "draw what clients saw into a `FILE`")
	seed := flags.Uint64("seed", 1, "of the requests: another `NUMBER`, other clients")
	flags.Parse(os.Args[1:])
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "badday: %q: only flags are allowed: see -help\n", flags.Arg(0))
		os.Exit(2)
	}
	inVirtualTime(func(t *testing.T) error { return run(t, *seed, *svg, os.Stdout) })
}

// run plays the days, prints the table, and draws the picture if it has a file.
func run(t *testing.T, seed uint64, svg string, out io.Writer) error {
	d := badDay()
	all := playAll(t, d, d.visits(seed), setUps())
	if err := table(out, d, all); err != nil || svg == "" {
		return err
	}
	return os.WriteFile(svg, picture(d, all), 0o644)
}

// playAll plays a day under each policy.
func playAll(t *testing.T, d day, visits []visit, sets []setUp) []*played {
	all := make([]*played, len(sets))
	t.Run("day", func(t *testing.T) {
		for i, s := range sets {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				all[i] = play(t, d, visits, s)
			})
		}
	})
	return all
}

// inVirtualTime calls f, and ends the program. The clock that stands still while there is work is
// that of testing/synctest, which is for tests alone: so the program is one test.
func inVirtualTime(f func(*testing.T) error) {
	testing.Init()
	flag.CommandLine.Parse(nil) // its flags are those of tests
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "badday", F: func(t *testing.T) {
		switch err := f(t); {
		case t.Failed(): // package testing says why
		case err != nil:
			fmt.Fprintln(os.Stderr, "badday:", err)
			os.Exit(1)
		default:
			os.Exit(0)
		}
	}}}, nil, nil)
}

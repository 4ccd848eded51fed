package main

import (
	"fmt"
	"slices"
	"strings"
)

// report is report.md.
func (r *results) report() string {
	var s strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	say("# End to end: a page of 1 KiB from each cache\n")
	say("%s, on %s with %s. Each contestant is a server on one core that answers the same page "+
		"from its cache;", r.Date, r.Machine.CPU, plural(r.Machine.Cores, "core"))
	say("wrk, on another core, asks it over loopback through %d connections that never pause. "+
		"They take turns of %v, in", r.Settings.Connections, r.Settings.Time)
	say("%s. \"Beside bare\" is the ratio to the bare handler, which has no cache, in the same "+
		"round. Shown are medians, and in", plural(r.Settings.Rounds, "round"))
	say("parentheses the least and the greatest.\n")
	say("%s", r.table())
	for _, p := range r.pictures() {
		say("![%s. %s](%s)\n", p.title, p.describe(), p.file)
	}
	say("## What this means\n")
	for _, sentence := range r.meaning() {
		say("- %s", sentence)
	}
	if len(r.More) > 0 {
		say("\n## Other requests\n\nThe same contestants, in turns of %v and %s for each.", r.Settings.Time,
			plural(r.Settings.few(), "round"))
	}
	for i := range r.More {
		m := &r.More[i]
		say("\n### %s\n\nAsked for is %s.\n\n%s", m.ask.title, m.ask.says, m.table())
	}
	if failed := r.allFailures(); len(failed) > 0 {
		say("\n## Failed\n\nThese turns count for nothing above:\n")
		for _, f := range failed {
			say("- %s", f)
		}
	}
	say("\n## What was run\n")
	say("```sh\n%s\n```\n", r.Settings.Command)
	say("%s\nwrk has one thread; each turn is warmed up for %v first, and each round begins with "+
		"another", r.Pinned, r.Settings.WarmUp)
	say("contestant. Go servers have `GOMAXPROCS=1`. CPU time is user and system time of all the " +
		"contestant's processes,")
	say("from `/proc`. Before the first round each contestant was asked %d times, and its "+
		"handler did not run (the bare one ran", checks)
	say("each time); during the rounds it may not run either. wrk sends Host and %d more fields, "+
		"as browsers do.", len(requestFields))
	files := "on disk"
	if r.FilesInMemory {
		files = "in memory (tmpfs)"
	}
	say("nginx's cache and Varnish's log are files %s.\n", files)
	say("| contestant | version | what it is | head of a response |\n|---|---|---|--:|")
	for _, e := range r.Contestants {
		say("| %s | %s | %s | %d bytes |", e.Label, e.Version, e.What, e.HeadBytes)
	}
	say("\n| the machine | |\n|---|---|")
	for _, row := range r.machineRows() {
		say("| %s | %s |", row[0], row[1])
	}
	say("\n[results.json](results.json) has every turn.")
	s.WriteString(r.profileSection())
	return s.String()
}

// table is the main table.
func (r *measured) table() string {
	var s strings.Builder
	s.WriteString("| | CPU µs per request | beside bare | requests/s | p50 ms | p99 ms | p99 " +
		"beside bare |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, e := range r.Contestants {
		m := e.Summary
		if m.Turns == 0 {
			fmt.Fprintf(&s, "| %s | failed | | | | | |\n", e.Label)
			continue
		}
		cpu, p99 := "", ""
		switch {
		case e.Name == bareName:
			cpu, p99 = "1", "1"
		case m.Compared > 0:
			cpu, p99 = ratio(m.CPURatio), ratio(m.P99Ratio)
		}
		fmt.Fprintf(&s, "| %s | %s (%s to %s) | %s | %s | %s | %s | %s |\n", e.Label,
			oneDecimal(m.CPUMicros.Median), oneDecimal(m.CPUMicros.Least),
			oneDecimal(m.CPUMicros.Greatest),
			cpu, thousands(m.PerSecond.Median), milliseconds(m.P50Micros.Median),
			milliseconds(m.P99Micros.Median), p99)
	}
	return s.String()
}

func ratio(s spread) string {
	return fmt.Sprintf("%.2f × (%.2f to %.2f)", s.Median, s.Least, s.Greatest)
}

func (r *results) machineRows() [][2]string {
	rows := [][2]string{
		{"CPU", r.Machine.CPU}, {"cores", fmt.Sprint(r.Machine.Cores)},
		{"memory", r.Machine.Memory},
		{"kernel", r.Machine.Kernel}, {"system", r.Machine.System}, {"Go", r.Machine.Go},
		{"load average before", r.Machine.Load},
	}
	for name, version := range r.Tools {
		rows = append(rows, [2]string{name, version})
	}
	slices.SortStableFunc(rows[7:], func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return rows
}

// allFailures are those of all asks.
func (r *results) allFailures() []string {
	failed := r.failures()
	for i := range r.More {
		for _, f := range r.More[i].failures() {
			failed = append(failed, r.More[i].Ask+": "+f)
		}
	}
	return failed
}

// plural is "1 round" or "5 rounds".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (r *results) profileSection() string {
	if r.Profile == nil {
		return ""
	}
	var s strings.Builder
	fmt.Fprintf(&s, "\n## Where Freshet's time goes\n\nA CPU profile of Freshet in memory, over "+
		"%.0f s in a round of its own:\n`go tool pprof %s` shows all of it.\n",
		r.Profile.Seconds, pprofFile)
	for _, t := range []struct {
		says  string
		lines []top
	}{{"by the time in the function itself", r.Profile.Flat},
		{"by the time in the function and in all that it calls", r.Profile.Cum}} {
		fmt.Fprintf(&s, "\nThe top %d, %s:\n\n| itself | | with what it calls | | function "+
			"|\n|--:|--:|--:|--:|---|\n", len(t.lines), t.says)
		for _, l := range t.lines {
			fmt.Fprintf(&s, "| %s | %s | %s | %s | `%s` |\n", l.Flat, l.FlatPercent, l.Cum,
				l.CumPercent, l.Function)
		}
	}
	return s.String()
}

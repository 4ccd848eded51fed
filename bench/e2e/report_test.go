package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// example is a measurement of two rounds, in which Varnish failed.
func example() *results {
	r := &results{
		Date: "2026-11-21", Pinned: cores{server: 1, load: 0}.String(),
		Machine: machine{CPU: "AMD EPYC", Cores: 2, Memory: "15.6 GiB", Kernel: "6.1.0",
			System: "Debian GNU/Linux 12", Go: "go1.26.0 linux/amd64", Load: "0.02"},
		Settings: settings{Rounds: 2, Time: 5 * time.Second, WarmUp: time.Second, Connections: 32,
			Command: "cd bench && go run ./e2e -rounds 2"},
		Tools: map[string]string{"wrk": "4.1.0"},
		Profile: &profile{Seconds: 5, pprof: []byte("profile"),
			Flat: []top{{"runtime.nanotime", "40ms", "0.8%", "40ms", "0.8%"}},
			Cum:  []top{{"net/http.(*conn).serve", "0", "0%", "4900ms", "98%"}}},
	}
	cpu := map[string]float64{"bare": 10, "freshet": 12, "freshet-front": 4, "freshet-redis-far": 30, "nginx": 6,
		"varnish": 8}
	for _, c := range contestants {
		micros, ok := cpu[c.name]
		if !ok {
			continue
		}
		r.Contestants = append(r.Contestants, entry{Name: c.name, Label: c.label, What: c.what,
			Kind: c.kind, Version: "1.2.3", HeadBytes: 287})
		for round := 1; round <= 2; round++ {
			m := micros * float64(round)
			t := turn{Round: round, Contestant: c.name, CPUMicros: m, PerSecond: 1e6 / m,
				P50Micros: 300 * m, P99Micros: 500 * m, Busy: 0.99}
			switch c.name {
			case "varnish":
				t.Failed = "3 socket errors"
			case "freshet-redis-far":
				t.BehindMicros, t.Busy = 21.5, 0.8
			}
			r.Rounds = append(r.Rounds, t)
		}
	}
	r.summarize()
	more := measured{Ask: "304", ask: &asks[2], Contestants: slices.Clone(r.Contestants[:2]),
		Rounds: []turn{{Round: 1, Contestant: "bare", CPUMicros: 8, PerSecond: 9,
			P50Micros: 9, P99Micros: 9}, {Round: 1, Contestant: "freshet",
			CPUMicros: 8, Failed: "9 answers were not 2xx"}}}
	more.summarize()
	r.More = append(r.More, more)
	return r
}

func TestTheReport(t *testing.T) {
	said := example().report()
	for _, want := range []string{
		"| Freshet, memory | 18.0 (12.0 to 24.0) | 1.20 × (1.20 to 1.20) |",
		"| bare handler | 15.0 (10.0 to 20.0) | 1 |",
		"| Varnish | failed |",
		"- varnish in round 2: 3 socket errors",
		"costs 1.20 times what the bare handler costs",
		"nginx proxy_cache 0.50 times",
		"in front of net/http, a hit costs 0.40 times what the bare handler costs**, where nginx " +
			"proxy_cache takes 0.60 times:",
		"### A 304\n\nAsked for is a page of 1 KiB that the client has: If-None-Match with its ETag.",
		"| bare handler | 8.0 (8.0 to 8.0) | 1 |",
		"- 304: freshet in round 1: 9 answers were not 2xx",
		"Redis takes 21.5 µs",
		"Freshet, Redis alone (80 % of its core)",
		"cd bench && go run ./e2e -rounds 2\n",
		"| CPU | AMD EPYC |", "| kernel | 6.1.0 |", "| wrk | 4.1.0 |",
		"](cpu.svg)", "](throughput.svg)", "](p99.svg)",
		"| 0 | 0% | 4900ms | 98% | `net/http.(*conn).serve` |",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	for _, no := range []string{"NaN", "Inf", "%!", "busy with something else"} {
		if strings.Contains(said, no) {
			t.Errorf("the report says %q", no)
		}
	}
	if t.Failed() {
		t.Log("\n" + said)
	}
}

// Without the bare handler there is nothing to compare with, and without Freshet no profile.
func TestTheReportOfOneContestant(t *testing.T) {
	r := example()
	r.Profile, r.Contestants = nil, r.Contestants[3:4]
	r.Rounds = []turn{{Round: 1, Contestant: "nginx", CPUMicros: 6, PerSecond: 1e5, P50Micros: 1,
		P99Micros: 2, Busy: 1}}
	r.Machine.Load = "3.50"
	r.summarize()
	said := r.report()
	if strings.Contains(said, " × (") || strings.Contains(said, "pprof") ||
		strings.Contains(said, "NaN") || strings.Contains(said, "A hit in memory") {
		t.Errorf("it compares with nothing:\n%s", said)
	}
	if !strings.Contains(said, "busy with something else") {
		t.Error("it does not say that the machine was busy")
	}
}

func TestWhatIsWritten(t *testing.T) {
	r, parent := example(), t.TempDir()
	folder, err := r.write(parent)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(parent, "2026-11-21-amd-epyc-2-cores"); folder != want {
		t.Errorf("it is in %s, want %s", folder, want)
	}
	absolute := regexp.MustCompile(`(?m)(^|[\s"'(|=` + "`" + `])/[a-z]+/`)
	host, _ := os.Hostname()
	for _, name := range []string{"report.md", "results.json", "cpu.svg", "throughput.svg",
		"p99.svg", pprofFile} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Error(err)
		}
		if found := absolute.Find(content); found != nil {
			t.Errorf("%s has an absolute path: %q", name, found)
		}
		if len(host) > 3 && strings.Contains(string(content), host) {
			t.Errorf("%s has the host's name", name)
		}
	}
	var again results
	content, _ := os.ReadFile(filepath.Join(folder, "results.json"))
	if err := json.Unmarshal(content, &again); err != nil || len(again.Rounds) != len(r.Rounds) ||
		again.Contestants[1].Summary != r.Contestants[1].Summary {
		t.Errorf("results.json does not say what was measured: %v", err)
	}
	r.Profile = nil
	if _, err := r.write(parent); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, pprofFile)); err == nil {
		t.Error("the profile of an earlier report is still there")
	}
}

func TestNumbersAreShown(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 12345.6: "12,346",
		1234567: "1,234,567"} {
		if got := thousands(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// measurement is the rounds of those that run.
type measurement struct {
	settings
	ensemble *ensemble
	wrk      string
	running  []*running
	out      io.Writer
}

// turn is what one contestant did in one round. Failed says why it does not count; empty: it does.
type turn struct {
	Round        int     `json:"round"`
	Turn         int     `json:"turn"` // its place in the round
	Contestant   string  `json:"contestant"`
	Requests     int64   `json:"requests"`
	Seconds      float64 `json:"seconds"`
	PerSecond    float64 `json:"requests_per_second"`
	CPUSeconds   float64 `json:"cpu_seconds"`
	CPUMicros    float64 `json:"cpu_us_per_request"`
	BehindMicros float64 `json:"redis_cpu_us_per_request"`
	Busy         float64 `json:"core_busy"` // CPU time by time passed
	P50Micros    float64 `json:"p50_us"`
	P99Micros    float64 `json:"p99_us"`
	SocketErrors int64   `json:"socket_errors"`
	Non2xx       int64   `json:"non_2xx"`
	HandlerRuns  int64   `json:"handler_runs"`
	Failed       string  `json:"failed,omitempty"`
}

// rounds gives everyone a turn in each round. Each round begins with another contestant, so that
// nobody always follows the same neighbour's warm machine from the same place.
func (m *measurement) rounds(ctx context.Context, rounds int) ([]turn, error) {
	var turns []turn
	for round := range rounds {
		for place := range m.running {
			r := m.running[(round+place)%len(m.running)]
			t, err := m.turn(ctx, r)
			if err != nil {
				return nil, err
			}
			t.Round, t.Turn, t.Contestant = round+1, place+1, r.name
			turns = append(turns, t)
			m.say(t, rounds)
		}
	}
	return turns, nil
}

func (m *measurement) say(t turn, rounds int) {
	what := fmt.Sprintf("%6.1f µs CPU/request  %9s requests/s  p50 %6.2f ms  p99 %6.2f ms",
		t.CPUMicros, thousands(t.PerSecond), t.P50Micros/1000, t.P99Micros/1000)
	if t.Failed != "" {
		what = "failed: " + t.Failed
	}
	fmt.Fprintf(m.out, "round %d of %d  %-20s %s\n", t.Round, rounds, t.Contestant, what)
}

// turn warms a contestant up and measures it.
func (m *measurement) turn(ctx context.Context, r *running) (turn, error) {
	if _, err := m.load(ctx, r, m.WarmUp); err != nil {
		return turn{}, err
	}
	before, err := r.counters(ctx)
	if err != nil {
		return turn{}, err
	}
	l, err := m.load(ctx, r, m.Time)
	if err != nil {
		return turn{}, err
	}
	after, err := r.counters(ctx)
	if err != nil {
		return turn{}, err
	}
	return judged(r.kind == floor || r.ask.runs, l, before, after), nil
}

// judged is a turn, from what wrk said and what was counted before and after. runs: the handler may
// run.
func judged(runs bool, l load, before, after counters) turn {
	cpu, behind := (after.cpu - before.cpu).Seconds(), (after.behind - before.behind).Seconds()
	t := turn{
		Requests: l.requests, Seconds: l.took.Seconds(), PerSecond: l.perSecond,
		CPUSeconds: cpu, Busy: cpu / l.took.Seconds(),
		P50Micros: micros(l.p50), P99Micros: micros(l.p99),
		SocketErrors: l.errors, Non2xx: l.non2xx, HandlerRuns: after.runs - before.runs,
	}
	if l.requests > 0 {
		t.CPUMicros, t.BehindMicros = cpu/float64(l.requests)*1e6, behind/float64(l.requests)*1e6
	}
	switch {
	case l.requests == 0:
		t.Failed = "no request was answered"
	case l.errors > 0:
		t.Failed = fmt.Sprintf("%d socket errors", l.errors)
	case l.non2xx > 0:
		t.Failed = fmt.Sprintf("%d answers were not 2xx", l.non2xx)
	case !runs && t.HandlerRuns > 0:
		t.Failed = fmt.Sprintf("its handler ran %d times: those were no hits", t.HandlerRuns)
	}
	return t
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// counters are what only ever grows.
type counters struct {
	cpu, behind time.Duration
	runs        int64
}

func (r *running) counters(ctx context.Context) (c counters, err error) {
	if c.runs, err = r.runs(ctx); err != nil {
		return c, err
	}
	if r.behind != nil {
		if c.behind, err = cpuTime(r.behind.pid()); err != nil {
			return c, fmt.Errorf("%s: CPU time of what is behind it: %w", r.name, err)
		}
	}
	if c.cpu, err = cpuTime(r.main.pid()); err != nil {
		return c, fmt.Errorf("%s: its CPU time: %w\n%s", r.name, err, r.main.output.String())
	}
	return c, nil
}

// load has wrk ask a contestant for a while.
func (m *measurement) load(ctx context.Context, r *running, d time.Duration) (load, error) {
	args := []string{"--latency", "-t", "1", "-c", strconv.Itoa(m.Connections), "-d",
		strconv.Itoa(int(d.Seconds()))}
	for _, f := range slices.Concat(requestFields, r.ask.fields) {
		args = append(args, "-H", f)
	}
	script, err := r.ask.script(m.ensemble.dir, time.Now())
	if err != nil {
		return load{}, err
	}
	if script != "" {
		args = append(args, "-s", script)
	}
	p, err := startProcess(m.ensemble.cores.load, m.ensemble.dir, m.wrk, append(args, r.url)...)
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w", err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.stop()
		return load{}, ctx.Err()
	}
	return parseWrk(p.output.String())
}

package simulate

import (
	"context"
	"errors"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/freshet-go/freshet/internal/accesslog"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// Alternative is settings with a name.
type Alternative struct {
	Name string
	Settings
}

// Outcome is what became of a log under one alternative.
type Outcome struct {
	Name   string
	Total  Counts
	Groups []Group // in the order of their first requests
	// how often a run of the handler brought nothing to keep, by the engine's reason
	Why map[policy.Reason]int64
}

// Result is what became of a log.
type Result struct {
	From, To    time.Time // of the first and the last request
	Outcomes    []Outcome // in the order of the alternatives
	Bytes       int64     // that the log says were sent
	Unreadable  int64     // requests with a target that is no URL
	Logged      int64     // requests of which the log says whether a cache answered them
	LoggedHits  int64     // ... and that one did
	Users       int64     // requests of a user whom the log names
	Purges      int64     // PURGE and BAN, which freshet proxy answers itself: no requests
	UnknownSize int64     // 304s of responses whose size the log did not say before
	UnknownType int64     // responses that a rule by type governs, and whose type nobody knows
	Knows       Knows
}

// Knows says which of what matters the log has, in any of its records.
type Knows struct{ Header, Cookies, Types, Durations bool }

// Replay replays records, which next returns in the order of time, under each of the alternatives
// at once. byRule groups requests by the TTLs and rules of the first alternative instead of by path. The
// error is that of ctx, or of next but io.EOF.
func Replay(
	ctx context.Context, next func() (*accesslog.Record, error), all []Alternative, byRule bool,
) (*Result, error) {
	p := newPlayers(all, byRule)
	err := p.feed(ctx, next)
	p.close()
	if err != nil {
		return nil, err
	}
	return p.outcomes(all), nil
}

// players are the simulators, each in its goroutine, and what feeds them.
type players struct {
	result     Result
	groups     *groups
	rules      *governor // of the first alternative; nil: it has no rules
	readers    []*reader
	simulators []*Simulator
	reads      []int // by simulator: its reader
	channels   []chan []request
	running    sync.WaitGroup
}

const (
	batchSize = 512
	batches   = 4 // that wait for one simulator at most
)

func newPlayers(all []Alternative, byRule bool) *players {
	p := &players{groups: newGroups(nil)}
	if byRule {
		p.groups = newGroups(&all[0].Settings)
	}
	if all[0].Settings.Rules != nil {
		p.rules = newGovernor(&all[0].Settings)
	}
	var of []*Settings
	for i := range all {
		s := &all[i].Settings
		place := -1
		for j, other := range of {
			if s.readsAs(other) {
				place = j
			}
		}
		if place < 0 {
			place = len(of)
			of = append(of, s)
			p.readers = append(p.readers, newReader(s))
		}
		p.reads = append(p.reads, place)
		p.play(NewSimulator(s))
	}
	return p
}

func (p *players) play(s *Simulator) {
	channel := make(chan []request, batches)
	p.simulators, p.channels = append(p.simulators, s), append(p.channels, channel)
	p.running.Go(func() {
		for batch := range channel {
			for i := range batch {
				s.serve(&batch[i])
			}
		}
	})
}

// feed reads the log to its end.
func (p *players) feed(ctx context.Context, next func() (*accesslog.Record, error)) error {
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		read := make([][]request, len(p.readers))
		err := p.batch(read, next)
		for i, channel := range p.channels {
			if batch := read[p.reads[i]]; len(batch) > 0 {
				channel <- batch
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// batch reads a few records, for each of the readers.
func (p *players) batch(read [][]request, next func() (*accesslog.Record, error)) error {
	for i := range read {
		read[i] = make([]request, 0, batchSize)
	}
	for len(read[0]) < batchSize {
		rec, err := next()
		if err != nil {
			return err
		}
		if rec.Method == "PURGE" || rec.Method == "BAN" {
			p.result.Purges++
			continue
		}
		r := httpRequest(rec)
		if r == nil {
			p.result.Unreadable++
			continue
		}
		group := p.groups.of(r)
		for i, reader := range p.readers {
			read[i] = append(read[i], reader.read(rec, r, group))
		}
		p.note(rec, &read[0][len(read[0])-1])
	}
	return nil
}

// note takes note of what a record tells of its log.
func (p *players) note(rec *accesslog.Record, q *request) {
	r := &p.result
	if r.From.IsZero() {
		r.From = rec.Time
	}
	r.To = rec.Time
	r.Bytes += rec.Bytes
	if hit, known := rec.Hit(); known {
		r.Logged++
		if hit {
			r.LoggedHits++
		}
	}
	if rec.User != "" {
		r.Users++
	}
	if rec.Status == 304 && q.plan == rules.PlanLookup && q.whole == 0 {
		r.UnknownSize++
	}
	if rec.Status == 200 && q.plan == rules.PlanLookup && q.contentType() == "" && p.rules != nil &&
		byType(p.rules.of(q.http)) {
		r.UnknownType++
	}
	r.Knows.Header = r.Knows.Header || len(rec.Response) > 0
	r.Knows.Types = r.Knows.Types || rec.ContentType != ""
	r.Knows.Durations = r.Knows.Durations || rec.Took > 0 || rec.Origin > 0
	r.Knows.Cookies = r.Knows.Cookies || accesslog.Get(rec.Request, "Cookie") != ""
}

// close waits until all that was read has been played, and ends the stores.
func (p *players) close() {
	for _, channel := range p.channels {
		close(channel)
	}
	p.running.Wait()
	for _, s := range p.simulators {
		s.Close()
	}
}

func (p *players) outcomes(all []Alternative) *Result {
	for i, s := range p.simulators {
		out := Outcome{Name: all[i].Name, Why: maps.Clone(s.why)}
		for place := range s.groups {
			if s.groups[place].Requests == 0 {
				continue
			}
			out.Groups = append(out.Groups, Group{p.groups.name(place), s.groups[place]})
			out.Total.Add(&s.groups[place])
		}
		p.result.Outcomes = append(p.result.Outcomes, out)
	}
	return &p.result
}

package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// state is what became of a probe.
type state uint8

const (
	failed state = iota
	well
	notApplicable
)

// json returns the state as the answer has it: true, false, or nil for null.
func (s state) json() *bool {
	if s == notApplicable {
		return nil
	}
	return new(s == well)
}

// prober runs one probe, one run at a time.
type prober struct {
	name    string
	probe   Probe
	timeout time.Duration
	log     *slog.Logger

	mu   sync.Mutex
	now  *run // nil: none
	told bool // the log has heard that the probe fails
}

// run is one run of a probe.
type run struct {
	over  chan struct{} // closed when the run has a state: it returned, or its deadline passed
	state state         // to be read then
}

// ask returns the state of the run that is on, or of a new one. A run that has passed its deadline
// and not returned yet has a state already, so that a server which hangs costs one run, and only
// those who asked before its deadline wait.
func (p *prober) ask(ctx context.Context) state {
	r := p.begin()
	select {
	case <-r.over:
		return r.state
	case <-ctx.Done():
		return failed
	}
}

func (p *prober) begin() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		p.now = &run{over: make(chan struct{})}
		go p.run(p.now)
	}
	return p.now
}

// run runs the probe and gives r its state. It belongs to nobody who asks: they may leave.
func (p *prober) run(r *run) {
	ctx, cancel := context.WithTimeout(context.Background(), p.timeout)
	defer cancel()
	returned := make(chan error, 1)
	go p.call(ctx, returned)
	select {
	case err := <-returned:
		p.end() // first: who asks after an answer gets a newer one
		p.settle(r, err)
	case <-ctx.Done():
		p.settle(r, fmt.Errorf("no answer within %v", p.timeout))
		<-returned
		p.end()
	}
}

// call calls the probe, and sends what came of it however it ended. A panic is an error.
func (p *prober) call(ctx context.Context, returned chan<- error) {
	err := errors.New("the probe ended its goroutine")
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the probe panicked: %v", v)
		}
		returned <- err
	}()
	err = p.probe(ctx)
}

// settle gives r its state, and tells the log where that is another one than before.
func (p *prober) settle(r *run, err error) {
	switch {
	case err == nil:
		r.state = well
	case errors.Is(err, ErrNotApplicable):
		r.state = notApplicable
	}
	defer close(r.over)
	p.mu.Lock()
	before := p.told
	p.told = r.state == failed
	p.mu.Unlock()
	switch {
	case r.state == failed && !before:
		p.log.Error("heartbeat: "+p.name+" fails", "error", err)
	case r.state != failed && before:
		p.log.Info("heartbeat: " + p.name + " works again")
	}
}

// end makes way for the next run.
func (p *prober) end() {
	p.mu.Lock()
	p.now = nil
	p.mu.Unlock()
}

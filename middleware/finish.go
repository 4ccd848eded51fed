package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
)

// finish serves the leader's client and stores what is to be stored.
func (n *run) finish() {
	if n.finished {
		return
	}
	n.finished = true
	if n.rec.failed != 0 {
		n.x.c.failedLate(n.x.r, n.rec.status, n.rec.failed)
		if n.x.around != nil {
			n.x.around.NoStore() // it sees a page that ends as it should
		}
	}
	switch n.state {
	case streaming:
		n.finishStream()
	case passing:
		n.finishPassed()
	case piping:
	default:
		n.behind = !n.x.c.local && n.kept != nil && len(n.kept.Body) <= HoldBack
		switch {
		case n.behind:
			n.departs()
		case n.kept == nil, bare(n.x.w):
			n.store()
		default:
			n.after.stores = true
		}
		n.deliverOwn()
		if n.saving != nil { // a client of so little need not wait for the store
			http.NewResponseController(n.x.w).Flush()
			n.awaitSaved()
		}
		n.afterAll()
		if n.behind && n.saving == nil && !n.after.last {
			http.NewResponseController(n.x.w).Flush()
			n.save(n.kept)
		}
	}
}

// saveBehind stores what has departed for a store on a server while its client is sent the
// response, so that neither waits for the other. It is called when the header has been sent.
// Nothing of the request is touched: the index was stored when the entry departed.
func (n *run) saveBehind() {
	if !n.behind || n.saving != nil || n.coming == nil || n.coming != n.kept {
		return
	}
	e, saving := n.kept, make(chan struct{})
	n.saving = saving
	go func() {
		defer close(saving)
		defer func() { recover() }() // of the operator's log: no server's recovery is here
		n.save(e)
	}()
}

// awaitSaved waits until what saveBehind began has ended, which the store's deadline bounds.
func (n *run) awaitSaved() {
	if n.saving != nil {
		<-n.saving
	}
}

// store stores a response that is whole.
func (n *run) store() {
	n.save(n.kept)
	n.f.Retire()
}

// finishStream ends the body for all readers, stores it, and waits until the leader's own client
// has been served: its connection must not be let go before.
func (n *run) finishStream() {
	if n.rec.cut() || n.refused || n.said.failure() != nil || n.f.Broken() {
		n.out.Stored, n.out.Detail = false, reasonCut
		n.x.c.brokeOff(n.x.r, n.said.failure())
		n.abort()
	}
	if n.rec.failed != 0 { // its readers get what they would get without a cache
		n.f.Retire()
		n.f.Hush()
		n.keepFromOthers(reasonCut)
	}
	body, whole := n.f.Whole()
	whole = whole && n.kept != nil && n.said.silent() == ""
	if whole {
		e := *n.kept // which those who read along have
		e.Header, e.Tags = e.Header.Clone(), n.tags()
		n.kept = n.complete(&e, body)
		if !n.after.held {
			n.depart(n.kept)
		}
	}
	if whole && !n.x.c.local {
		n.f.Flush() // nobody waits for the store with the last of it
	}
	if n.said.silent() != "" {
		n.f.Hush()
	}
	n.f.End(false, n.sharedTrailers())
	switch {
	case whole && n.after.held:
		n.after.stores = true
	case whole:
		n.save(n.kept)
	case n.kept == nil:
	case n.said.silent() != "":
		n.out.Stored, n.out.Detail = false, n.said.silent()
	default:
		n.out.Stored, n.out.Detail = false, reasonTooLarge
	}
	n.f.Retire()
	switch {
	case !n.after.held:
		if n.kept != nil {
			n.f.HandOver(n.kept.Key)
		}
		if n.kept != nil || n.rec.status == http.StatusPartialContent {
			n.letPartsGo()
		}
	case !whole:
		n.kept = nil
	}
	err := n.served()
	n.afterAll()
	switch {
	case err == nil:
		n.x.sendTrailers(without(n.rec.trailers(), nil))
	case err != errNoBody && n.x.mayBeTaken():
		panic(http.ErrAbortHandler)
	}
}

// served waits until the leader's client has been served, and returns why it did not get all of the
// body.
func (n *run) served() error {
	err := <-n.pumped
	var p *panicked
	if errors.As(err, &p) {
		n.x.c.lost(n.x.r, p.value, p.stack)
	}
	return err
}

// errNoBody is why a client whose response has no body got none.
var errNoBody = errors.New("freshet: the response has no body for this client")

// panicked is the panic of an outer handler's writer in the goroutine that writes a body.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprint("freshet: a writer panicked: ", p.value) }

// abort ends a body that is not complete, so that it cannot look complete to anyone.
func (n *run) abort() {
	n.f.Decide(fill.Answer{Stage: fill.StageFailed, Why: reasonLost})
	n.f.End(true, nil)
	n.f.Retire()
	if n.pumped != nil {
		n.served()
	}
	panic(http.ErrAbortHandler)
}

// pump serves the leader's client, under the header, while the handler goes on; made says that the
// cache made its Last-Modified. Only the body is written from beside
// it: whatever outer handlers do when the header is sent, and the header itself, belong to the
// goroutine of the request.
func (n *run) pump(header http.Header, made bool) {
	n.pumped = make(chan error, 1)
	if lease := n.lease; lease != nil {
		time.AfterFunc(streamsFor, func() { lease.end(false) })
	}
	n.dropRemoved()
	if !n.x.begin(n.rec.status, header, made, -1, &n.promised) {
		n.orAlone()
		n.pumped <- errNoBody
		return
	}
	n.decideAround()
	rd := n.ownReader()
	body := n.x.body()
	n.streamed = body.sent
	if n.after.held && !n.goOn() {
		n.push(body, rd)
	}
	go func() {
		err := fill.ErrCut
		defer func() {
			if v := recover(); v != nil { // of a writer outside of ours
				err = &panicked{v, debug.Stack()}
			}
			rd.Leave()
			n.pumped <- err
		}()
		err = body.stream(rd)
	}()
}

// ownReader returns the place in the body for the leader's client. A run in the background has none:
// what it writes to handlers outside waits for those who read along, and they do not wait for it.
func (n *run) ownReader() *fill.Reader {
	enter := n.f.Enter
	if n.x.refresh != nil && n.x.around == nil {
		enter = n.f.Attend
	}
	rd, _ := enter()
	return rd
}

func (n *run) finishPassed() {
	for name, values := range n.rec.trailers() {
		n.x.w.Header()[http.TrailerPrefix+name] = values
	}
	if n.said.failure() != nil && !n.lost && n.rec.written > 0 {
		n.x.c.brokeOff(n.x.r, n.said.failure())
		panic(http.ErrAbortHandler) // it broke off: nobody may take it for whole
	}
	if n.said.silent() != "" {
		n.kept = nil
	}
	if n.afterAll(); !n.after.last {
		n.save(n.kept)
	}
	n.handsAll()
}

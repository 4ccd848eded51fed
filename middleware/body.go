package middleware

import (
	"context"
	"net/http"
	"slices"
)

// body writes the body of one response, and touches nothing else of the client's. Of a run whose response streams it
// does so in a goroutine beside the handler's.
type body struct {
	w   http.ResponseWriter
	ctx context.Context // the request's
}

func (x *exchange) body() body { return body{w: x.w, ctx: x.r.Context()} }

// stream writes the body as it comes. It returns an error when the client did not get all of it.
func (b body) stream(f *fill, rd *reader) error {
	flusher := http.NewResponseController(b.w)
	for {
		p, err := f.next(b.ctx, rd)
		if err != nil {
			return err
		}
		if len(p.bytes) > 0 {
			if _, err := b.w.Write(p.bytes); err != nil {
				if cause := context.Cause(b.ctx); cause != nil {
					return cause
				}
				return err
			}
		}
		if p.flush {
			flusher.Flush()
		}
		if p.ended {
			return nil
		}
	}
}

// trailer sets the fields that come behind a body that was streamed.
func (x *exchange) trailer(f *fill) {
	f.mu.Lock()
	trailer := f.trailer
	f.mu.Unlock()
	if len(trailer) == 0 {
		return
	}
	client := x.w.Header()
	declared := client["Trailer"]
	for name, values := range trailer {
		if !slices.ContainsFunc(declared, func(list string) bool { return lists(list, name) }) {
			name = http.TrailerPrefix + name
		}
		client[name] = values
	}
}

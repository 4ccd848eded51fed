package attacktest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// streams: responses that do not end. They are nobody else's, and end with their clients.
func streams() (all []Attack) {
	for _, kind := range []string{"text/event-stream", "text/event-stream; charset=utf-8",
		"TEXT/EVENT-STREAM"} {
		for _, says := range []string{"", "max-age=60", "public, s-maxage=60"} {
			all = append(all, Attack{Class: "streams",
				Name: fmt.Sprintf("%s, %q: clients that leave", kind, says), needs: theOrigin,
				run: func(a *arena) string {
					return a.abandon(kind, says)
				}})
			all = append(all, Attack{Class: "streams", Name: fmt.Sprintf("%s, %q: another's events",
				kind, says), needs: theOrigin, run: func(a *arena) string {
				return a.eavesdrop(kind, says)
			}})
		}
	}
	all = append(all, Attack{Class: "streams", Name: "a body without end, whose clients leave",
		needs: theOrigin, run: func(a *arena) string {
			return a.abandon("application/octet-stream", "max-age=60")
		}})
	return all
}

// abandon opens a stream twenty times and leaves. No handler may be left.
func (a *arena) abandon(kind, says string) string {
	block := []byte(strings.Repeat("data: x\n\n", 1<<10))
	page := a.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		if says != "" {
			w.Header().Set("Cache-Control", says)
		}
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	for range 20 {
		c := a.dial()
		c.send(a.request("GET", page))
		http.ReadResponse(c.in, nil)
		c.Close()
	}
	for deadline := time.Now().Add(patience); a.site.Origin.runs(page).Load() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Sprintf("%d runs of the handler go on without a client",
				a.site.Origin.runs(page).Load())
		}
	}
	return ""
}

// eavesdrop opens a stream beside that of a victim. Each must be a run of its own.
func (a *arena) eavesdrop(kind, says string) string {
	var runs atomic.Int64
	stop := make(chan struct{})
	a.later(func() { close(stop) })
	page := a.serve(func(w http.ResponseWriter, r *http.Request) {
		n := runs.Add(1)
		w.Header().Set("Content-Type", kind)
		if says != "" {
			w.Header().Set("Cache-Control", says)
		}
		fmt.Fprintf(w, "data: run %d\n\n", n)
		http.NewResponseController(w).Flush()
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	})
	events := map[string]bool{}
	for range 2 {
		c := a.dial()
		a.later(func() { c.Close() })
		c.send(a.request("GET", page))
		res, err := http.ReadResponse(c.in, nil)
		a.must(err)
		var event [len("data: run 1\n\n")]byte
		_, err = io.ReadFull(res.Body, event[:])
		a.must(err)
		events[string(event[:])] = true
	}
	if len(events) != 2 {
		return fmt.Sprintf("two clients got the events of one: %v", events)
	}
	return ""
}

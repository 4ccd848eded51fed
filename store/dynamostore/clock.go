package dynamostore

import (
	"net/http"
	"sync/atomic"
	"time"
)

// A clock is this machine's, or the server's where the two differ much. The Date of an answer is a
// whole second, cut off, and some of a second old: what differs by less than tolerated may be that.
type clock struct {
	offset atomic.Int64 // nanoseconds to add
	heard  atomic.Int64 // when a Date was read last, in nanoseconds of the Unix clock
}

const (
	tolerated  = 2 * time.Second
	dateEvery  = time.Second
	halfSecond = 500 * time.Millisecond // by which a Date is late, on average
)

// now returns the time, to the millisecond of the Unix clock.
func (c *clock) now() int64 {
	return time.Now().Add(time.Duration(c.offset.Load())).UnixMilli()
}

// hear learns from the Date of an answer that came at a time. It looks at one a second at most.
func (c *clock) hear(date string, at time.Time) {
	last := c.heard.Load()
	if since := at.UnixNano() - last; 0 <= since && since < int64(dateEvery) ||
		!c.heard.CompareAndSwap(last, at.UnixNano()) {
		return
	}
	server, err := http.ParseTime(date)
	if err != nil {
		return
	}
	c.offset.Store(int64(correction(time.Duration(c.offset.Load()), server.Sub(at))))
}

// correction returns the offset to use, by the one in use and by how far ahead of this machine's
// clock a Date was. It changes the offset only where the Date cannot be explained by it.
func correction(offset, ahead time.Duration) time.Duration {
	ahead += halfSecond
	switch {
	case ahead.Abs() < tolerated:
		return 0
	case offset != 0 && (ahead-offset).Abs() < tolerated:
		return offset
	}
	return ahead
}

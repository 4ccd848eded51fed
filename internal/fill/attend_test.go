package fill

import (
	"testing"
	"testing/synctest"
)

// The writer of a body that is not kept waits for clients, and for what is no client's only where
// there is none of them.
func TestTheWriterWaitsForClients(t *testing.T) {
	for _, client := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			g := groupOf(1<<20, 1<<20)
			f := g.New(Start{})
			own, _ := f.Attend()
			var rd *Reader
			if client {
				rd, _ = f.Enter()
			}
			wrote := make(chan error, 1)
			go func() { wrote <- f.Write(t.Context(), make([]byte, 4*window)) }()
			read := func(rd *Reader) (n int, err error) {
				for n < 4*window {
					p, err := rd.Next(t.Context())
					if err != nil {
						return n, err
					}
					n += len(p.Bytes)
				}
				return n, nil
			}
			if !client {
				n, err := read(own)
				want(t, "bytes", n, 4*window)
				want(t, "error", err, nil)
			} else {
				if _, err := own.Next(t.Context()); err != nil {
					t.Error(err)
				}
				go own.Next(t.Context()) // as fast as it comes
				synctest.Wait()
				want(t, "it waits for the client", len(wrote), 0)
				n, err := read(rd)
				want(t, "the client's bytes", n, 4*window)
				want(t, "error", err, nil)
				rd.Leave()
			}
			f.End(false, nil)
			want(t, "written", <-wrote, nil)
			synctest.Wait()
			own.Leave()
			f.Release()
			idle(t, g)
		})
	}
}

// Those who wait for a run tell it when the last of them has left, once, unless it goes on without.
func TestWhoTellsThatNobodyReads(t *testing.T) {
	for _, s := range []struct {
		story        string
		client, keep bool
		told, atOnce int
	}{
		{"nobody has come", false, false, 1, 1},
		{"the last one leaves", true, false, 1, 0},
		{"it goes on", true, true, 0, 0},
	} {
		g := groupOf(1<<20, 1<<20)
		f := g.New(Start{})
		own, _ := f.Attend()
		rd := own
		if s.client {
			rd, _ = f.Enter()
		}
		told := 0
		f.WhenUnread(func() { told++ })
		want(t, s.story+": at once", told, s.atOnce)
		if s.keep {
			f.Keep()
		}
		rd.Leave()
		rd.Leave()
		own.Leave()
		want(t, s.story+": told", told, s.told)
		f.Release()
		idle(t, g)
	}
}

package middleware

import (
	"fmt"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/spool"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// refused answers a change with 503 whose invalidation would not reach other processes, before its
// handler runs, and reports whether it did. Options.Strict knows what became of the last call to
// the journal, up to a second ago; Options.StrictInvalidation has the journal take a mark now.
func (w *unsafeWriter) refused() bool {
	x := &w.x
	o := &x.c.options
	switch {
	case o.Strict && x.c.journal.Lost(time.Now()):
	case o.StrictInvalidation && !x.askedOutside():
		if w.asked = x.c.journal.Takes(); w.asked {
			return false
		}
	default:
		return false
	}
	x.unavailable(reasonJournal)
	return true
}

// askedOutside reports whether a mount of the same Cache around this one, or Changes, has asked the
// journal for this request.
func (x *exchange) askedOutside() bool {
	outer := x.watcher()
	return outer != nil && outer.asked
}

// tellUnsent says in the header h, before it goes out, that other processes do not know yet of the
// change that the response tells of. Changes says so, too, which adds nothing otherwise.
func (w *unsafeWriter) tellUnsent(status int, h http.Header) {
	c := w.x.c
	if w.marked > 0 || len(w.marks) == 0 || c.options.ReadOnly {
		return
	}
	w.out.Detail = reasonUnsent
	if w.quiet {
		h["Cache-Status"] = after(h["Cache-Status"], c.statusField(&policy.Outcome{
			Fwd: policy.FwdMethod, FwdStatus: status, Detail: reasonUnsent}))
	}
}

// openSpool returns the spool of Options.SpoolFolder, or nil where nothing is ever to be spooled.
func (c *Cache) openSpool(journal store.Journal) *spool.Spool {
	folder := c.options.SpoolFolder
	if folder == "" || journal == nil || c.options.ReadOnly {
		return nil
	}
	name := ""
	if n, ok := store.As[store.NamedJournal](journal); ok {
		name = n.JournalName()
	}
	s, err := spool.Open(folder, name)
	if err != nil {
		panic("freshet: New: Options.SpoolFolder: " + err.Error())
	}
	return s
}

// leavesUnsent returns an error if the journal did not take all invalidations.
func (c *Cache) leavesUnsent() error {
	unsent := c.journal.Status(time.Now()).Unsent
	if unsent == 0 || c.options.ReadOnly {
		return nil
	}
	if c.journal.Spooled() {
		folder := c.journal.Spool.Folder()
		c.journal.Spool.Close()
		c.options.Log.Warn("freshet: the process ends with invalidations that the journal has not "+
			"taken: the next process with this spool sends them, and until then others use what "+
			"these cover", "invalidations", unsent, "spool", folder)
		return fmt.Errorf("freshet: Cache.Shutdown: what the process has invalidated and not sent is "+
			"spooled in %s for the next one, %d in number: %w", folder, unsent, ErrUnsent)
	}
	c.options.Log.Error("freshet: the process ends with invalidations that the journal has not "+
		"taken: other processes, and the next one, use what these covered; invalidate it again",
		"invalidations", unsent)
	return fmt.Errorf("freshet: Cache.Shutdown: what the process has invalidated and not sent is lost, "+
		"%d in number: %w", unsent, ErrUnsent)
}

package middleware

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/writetoken"
)

// written is what a client shows of its own change (Options.ReadYourWrites). It is not modified
// once its request has looked for what is stored. A nil one is that of a client that shows nothing.
type written struct {
	text  string // the token
	token writetoken.Token
	// nothing stored may be used: nobody can say whether it is older than the change
	unknown bool
}

// takeWrite takes the token off a request, so that it is in no key, in no variant and with no
// handler that answers others as well, and returns what it says, or nil. The request is r itself
// when it shows none.
func (c *Cache) takeWrite(r *http.Request) (*http.Request, *written) {
	if c.writes == nil {
		return r, nil
	}
	var text string
	if name := c.options.ReadYourWrites.Field; name == "" {
		r, text = rules.TakeCookie(r, c.writes.Name)
	} else if values := r.Header[name]; len(values) > 0 {
		as := *r
		as.Header = maps.Clone(r.Header)
		delete(as.Header, name)
		if r = &as; len(values) == 1 {
			text = values[0]
		}
	}
	if text == "" {
		return r, nil
	}
	return r, c.writtenBy(text)
}

// arrivedCookies returns the cookies that the request arrived with, without the token.
func (x *exchange) arrivedCookies() []string {
	h := x.arrival.header
	if c := x.c; c.writes != nil && c.options.ReadYourWrites.Field == "" {
		r, _ := rules.TakeCookie(&http.Request{Header: h}, c.writes.Name)
		h = r.Header
	}
	return h["Cookie"]
}

// writtenBy returns what a token says, or nil. Without a journal that others share, nothing that is
// stored is older than what this process has invalidated.
func (c *Cache) writtenBy(text string) *written {
	if c.writes == nil || !c.journal.Shared() {
		return nil
	}
	token, ok := c.writes.Verify(text, time.Now())
	if !ok {
		return nil
	}
	return &written{text: text, token: token}
}

// learnWrite finds out whether this process knows of the client's change. A request for a part of a
// page is its client's as well: the run around it has taken the token.
func (x *exchange) learnWrite() {
	if x.c.writes == nil {
		return
	}
	if x.wrote == nil && x.around != nil && x.around.run != nil {
		if outer := &x.around.run.x; outer.wrote != nil {
			x.wrote = x.c.writtenBy(outer.wrote.text)
		}
	}
	if w := x.wrote; w != nil {
		w.unknown = w.token.Unsent > time.Now().Unix() || !x.c.sees(w.token.Number)
	}
}

// sees reports whether every mark of the journal up to number has been applied here, and asks the
// journal where it does not know.
func (c *Cache) sees(number uint64) bool {
	return c.journal.Sees(number) || c.journal.Reach(number) && c.journal.Sees(number)
}

// unseen reports whether nothing stored may be used, nor a run that has begun before, because
// nobody can say whether it is older than the client's change.
func (w *written) unseen() bool { return w != nil && w.unknown }

// mayRead reports whether the client may read along with f: all that was invalidated up to its
// change was known when the run began, so that it was made of nothing older.
func (w *written) mayRead(f *fill.Fill) bool {
	return w == nil || w.token.Number <= f.Start.Number
}

// tellWrite puts the token of the change into the header h of its answer, which then is its
// client's alone. owed: the journal lacked marks of this process before it was given those of this
// change.
func (w *unsafeWriter) tellWrite(h http.Header, owed bool) {
	x := &w.x
	c := x.c
	if c.writes == nil || !c.journal.Shared() {
		return
	}
	now := time.Now()
	token := writetoken.Token{Number: w.marked}
	if owed || w.marked <= w.before { // or the journal was lost, and gives numbers twice
		token = writetoken.Token{Unsent: c.writes.End(now)}
	} else if _, earlier := c.takeWrite(x.r); earlier != nil {
		token.Unsent = c.stillUnsent(earlier.token, now)
	}
	text := c.writes.Sign(token, now)
	rules.KeepPrivate(h)
	if name := c.options.ReadYourWrites.Field; name != "" {
		h[name] = []string{text}
		return
	}
	name := c.writes.Name
	// of another Cache inside that has the same journal, whose number is smaller
	others := slices.DeleteFunc(slices.Clone(h["Set-Cookie"]), func(line string) bool {
		return strings.HasPrefix(line, name+"=")
	})
	line := name + "=" + text + "; Path=/; Max-Age=" +
		strconv.FormatInt(int64((c.writes.Life+time.Second-1)/time.Second), 10) +
		"; HttpOnly; SameSite=Lax"
	if x.req.PublicHTTPS() {
		line += "; Secure"
	}
	h["Set-Cookie"] = append(others, line)
}

// stillUnsent returns until when other processes may lack marks of an earlier change of the client,
// whose token the next one takes the place of.
func (c *Cache) stillUnsent(earlier writetoken.Token, now time.Time) int64 {
	switch {
	case earlier.Unsent > now.Unix():
		return earlier.Unsent
	case !c.sees(earlier.Number):
		return earlier.Expires
	}
	return 0
}

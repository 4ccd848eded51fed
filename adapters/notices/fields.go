// Package notices tells clients what an operator wants them to know just now: that the server is
// under load (Backoff), when to come back after a 503 (Retry-After), and that the service ends or
// has ended (Alert, 410). The names and values of the fields are Kinto's.
//
// A [Board] is middleware that stands outside the cache. What it says is made anew for each
// response, on hits too, and is stored with none of them, so that a change shows on the next
// request without a purge.
package notices

import (
	"errors"
	"fmt"
	"net/url"
	"time"
	"unicode/utf8"
)

// Fields are what an operator tells clients. The zero value has a 503 say Retry-After: 30, and says
// nothing else.
type Fields struct {
	// Backoff asks clients to send nothing for so long, though they were answered: Backoff: 10. In
	// whole seconds, up to 2^31; 0 seconds are a value, and are sent. Default (nil): no such field.
	Backoff *time.Duration
	// BackoffPercentage is the probability, in percent, that a response has the Backoff: so that
	// not all clients stay away. It is drawn for each request. At most 100. Default (0): 100;
	// negative: none has it.
	BackoffPercentage float64
	// RetryAfter is the Retry-After of a 503 that has none. In whole seconds, up to 2^31. Default
	// (0): 30 seconds; negative: none.
	RetryAfter time.Duration

	// EOS is when the service ends. Before it, each response has an Alert: {"code":"soft-eol",…}.
	// From then on each request is answered with 410 and {"code":"hard-eol",…}, also where a
	// page is stored. Default (the zero time): it does not end.
	EOS time.Time
	// EOSMessage and EOSURL are the "message" and "url" of an Alert: a text for users, of up to
	// 1024 bytes, and the absolute http or https URL of a page that says more. Default: none.
	EOSMessage, EOSURL string
}

const (
	defaultRetryAfter = 30 * time.Second
	maxSeconds        = 1 << 31 * time.Second
	maxMessage        = 1024
)

// check says all that is wrong with the fields, a line each.
func (f *Fields) check() error {
	var wrong []error
	refuse := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("notices: "+format, args...))
	}
	if f.Backoff != nil && !isWholeSeconds(*f.Backoff) {
		refuse("Backoff is %v: allowed is a whole number of seconds from 0 to %d", *f.Backoff,
			maxSeconds/time.Second)
	}
	if !(f.BackoffPercentage <= 100) { // not a number either
		refuse("BackoffPercentage is %v: allowed is up to 100, 0 for the default of 100, and "+
			"less than 0 for never",
			f.BackoffPercentage)
	}
	if f.RetryAfter > 0 && !isWholeSeconds(f.RetryAfter) {
		refuse("RetryAfter is %v: allowed is a whole number of seconds up to %d, 0 for the "+
			"default of %v, and "+
			"less than 0 for none", f.RetryAfter, maxSeconds/time.Second, defaultRetryAfter)
	}
	if err := checkMessage(f.EOSMessage); err != nil {
		refuse("EOSMessage: %w", err)
	}
	if err := checkURL(f.EOSURL); err != nil {
		refuse("EOSURL is %.80q: %w", f.EOSURL, err)
	}
	return errors.Join(wrong...)
}

func isWholeSeconds(d time.Duration) bool { return d >= 0 && d <= maxSeconds && d%time.Second == 0 }

func checkMessage(text string) error {
	if len(text) > maxMessage || !utf8.ValidString(text) {
		return fmt.Errorf("allowed are up to %d bytes of UTF-8", maxMessage)
	}
	return nil
}

func checkURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
		len(text) > maxMessage {
		return fmt.Errorf("allowed is an absolute http or https URL of up to %d bytes", maxMessage)
	}
	return nil
}

package notices

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/settings"
)

// Keys returns the names of the settings that [FromSettings] reads, for settings.Loader.Keys.
func Keys() []string {
	return []string{"backoff", "backoff_percentage", "retry_after_seconds", "eos", "eos_message",
		"eos_url"}
}

// FromSettings reads the fields from settings that were loaded with [Keys]:
//
//	backoff             = 10      ; whole seconds; 0 is sent, too. Not set: no Backoff
//	backoff_percentage  = 50      ; of the responses, from 0 to 100. Not set: 100
//	retry_after_seconds = 30      ; of a 503 without one, from 1 to 2147483648; 0: none. Not set: 30
//	eos                 = 2027-03-31
//	eos_message         = We move to another place.
//	eos_url             = https://example.com/moved
//
// eos is a date, which begins at midnight UTC, or a time such as 2027-03-31T12:00:00Z or
// 2027-03-31T12:00:00+02:00; one without a zone is in UTC. A setting without a value counts as not
// set. The error says all that is wrong, a line each, with the setting, its value, where it was set
// and what is allowed.
func FromSettings(s *settings.Settings) (Fields, error) {
	var f Fields
	var wrong []error
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	var err error
	f.Backoff, err = settings.Get(s, "backoff", nil, optional(func(text string) (*time.Duration,
		error) {
		d, err := wholeSeconds(text)
		return &d, err
	}))
	note(err)
	f.BackoffPercentage, err = settings.Get(s, "backoff_percentage", 0, optional(percentage))
	note(err)
	f.RetryAfter, err = settings.Get(s, "retry_after_seconds", 0, optional(retryAfter))
	note(err)
	f.EOS, err = settings.Get(s, "eos", time.Time{}, optional(date))
	note(err)
	f.EOSMessage, err = settings.Get(s, "eos_message", "", func(text string) (string, error) {
		return text, checkMessage(text)
	})
	note(err)
	f.EOSURL, err = settings.Get(s, "eos_url", "", func(text string) (string, error) {
		text = strings.TrimSpace(text)
		return text, checkURL(text)
	})
	note(err)
	if err := errors.Join(wrong...); err != nil {
		return Fields{}, err
	}
	return f, nil
}

// optional returns a parser for which an empty value is none.
func optional[T any](parse func(string) (T, error)) func(string) (T, error) {
	return func(text string) (value T, err error) {
		if text = strings.TrimSpace(text); text == "" {
			return value, nil
		}
		return parse(text)
	}
}

func wholeSeconds(text string) (time.Duration, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > uint64(maxSeconds/time.Second) {
		return 0, fmt.Errorf("allowed is a whole number of seconds from 0 to %d",
			maxSeconds/time.Second)
	}
	return time.Duration(n) * time.Second, nil
}

// percentage reads a percentage, in which 0 is never; see Fields.BackoffPercentage.
func percentage(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f < 0 || f > 100 {
		return 0, errors.New("allowed is a number from 0 to 100")
	}
	if f == 0 {
		return -1, nil
	}
	return f, nil
}

// retryAfter reads a Retry-After, in which 0 is none; see Fields.RetryAfter.
func retryAfter(text string) (time.Duration, error) {
	d, err := wholeSeconds(text)
	if err == nil && d == 0 {
		return -1, nil
	}
	return d, err
}

func date(text string) (time.Time, error) {
	for _, layout := range []string{
		time.RFC3339, time.DateOnly, "2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04",
	} {
		if t, err := time.Parse(layout, text); err == nil && !t.IsZero() {
			return t, nil
		}
	}
	return time.Time{}, errors.New("allowed is a date such as 2027-03-31, or a time such as " +
		"2027-03-31T12:00:00Z")
}

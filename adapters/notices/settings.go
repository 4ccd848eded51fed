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
	for _, key := range Keys() {
		_, err := settings.Get(s, key, struct{}{}, func(text string) (struct{}, error) {
			return struct{}{}, f.Set(key, text)
		})
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return Fields{}, err
	}
	return f, nil
}

// Set sets the field that one of [Keys] stands for, from the text of a setting, as [FromSettings]
// reads it; an empty text is the default. The error says what is allowed, and then nothing changes.
// It panics where there is no such key.
func (f *Fields) Set(key, text string) error {
	switch key {
	case "backoff":
		return read(&f.Backoff, text, func(text string) (*time.Duration, error) {
			d, err := wholeSeconds(text)
			return &d, err
		})
	case "backoff_percentage":
		return read(&f.BackoffPercentage, text, percentage)
	case "retry_after_seconds":
		return read(&f.RetryAfter, text, retryAfter)
	case "eos":
		return read(&f.EOS, text, date)
	case "eos_message":
		if err := checkMessage(text); err != nil {
			return err
		}
		f.EOSMessage = text
		return nil
	case "eos_url":
		return read(&f.EOSURL, text, func(text string) (string, error) {
			return text, checkURL(text)
		})
	}
	panic("notices: Fields.Set: there is no key " + strconv.Quote(key))
}

// read sets a field, for which an empty text is the default.
func read[T any](field *T, text string, parse func(string) (T, error)) (err error) {
	var value T
	if text = strings.TrimSpace(text); text != "" {
		value, err = parse(text)
	}
	if err == nil {
		*field = value
	}
	return err
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

// Package option reads the options in the query of a driver's URL, and checks the numbers of its
// Config, in the same words for every driver.
package option

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Readers has a function for each option by its name, which reads the option's value. One that
// reads a secret must not fail: the error shows the value.
type Readers map[string]func(value string) error

// Read reads the options of a query, each with its reader. An option that has none, or is given
// twice, is an error.
func (r Readers) Read(query string) error {
	options, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the options are malformed: name=value&name=value is allowed, " +
			"with % before two hexadecimal digits only")
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		read, values := r[name], options[name]
		switch {
		case read == nil:
			return &Unknown{Name: name, Known: slices.Sorted(maps.Keys(r))}
		case len(values) > 1:
			return fmt.Errorf("option %s is given %d times: once is allowed", name, len(values))
		}
		if err := read(values[0]); err != nil {
			return fmt.Errorf("option %s=%.40q: %w", name, values[0], err)
		}
	}
	return nil
}

// Unknown is the error about an option that a driver does not know. Package open adds what options
// there are for every driver, and which one was likely meant.
type Unknown struct {
	Name  string
	Known []string // the driver's
	Help  string   // in the place of Known in the text
}

func (e *Unknown) Error() string {
	if e.Help != "" {
		return fmt.Sprintf("unknown option %.40q; %s", e.Name, e.Help)
	}
	return fmt.Sprintf("unknown option %.40q: allowed are %s", e.Name, strings.Join(e.Known, ", "))
}

// UnknownOption returns the option, and those that the driver knows.
func (e *Unknown) UnknownOption() (name string, known []string) { return e.Name, e.Known }

// Into returns a reader that stores in to what parse makes of a value.
func Into[T any](to *T, parse func(value string) (T, error)) func(value string) error {
	return func(value string) error {
		v, err := parse(value)
		if err == nil {
			*to = v
		}
		return err
	}
}

// Text takes any value.
func Text(value string) (string, error) { return value, nil }

// Number parses whole numbers of at least least. Where 0 in a Config is the default, a least of 1
// refuses a 0 in the URL, which cannot be meant so.
func Number(least int) func(value string) (int, error) {
	return func(value string) (int, error) {
		n, err := strconv.Atoi(value)
		if err != nil || n < least {
			return 0, fmt.Errorf("a whole number, %d or more, is allowed", least)
		}
		return n, nil
	}
}

// Bool parses true and false.
func Bool(value string) (bool, error) {
	on, err := strconv.ParseBool(value)
	if err != nil {
		return false, errors.New("true or false is allowed")
	}
	return on, nil
}

// Duration parses a number of seconds, or a duration such as 500ms, of more than 0.
func Duration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if seconds, e := strconv.ParseFloat(value, 64); e == nil && math.Abs(seconds) < 1<<33 {
		d, err = time.Duration(seconds*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		return 0, errors.New("a number of seconds or a duration such as 500ms, more than 0, is " +
			"allowed")
	}
	return d, nil
}

// Size parses a number of bytes greater than 0, or of KiB, MiB or GiB.
func Size(value string) (int64, error) {
	digits, unit := value, int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB"} {
		if number, ok := strings.CutSuffix(value, suffix); ok {
			digits, unit = number, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n == 0 || int64(n) > math.MaxInt64/unit {
		return 0, errors.New("a whole number of bytes above 0, or of KiB, MiB or GiB, as in " +
			"512MiB, is allowed")
	}
	return int64(n) * unit, nil
}

// Within returns an error that names an option whose value is not from least to most. A least of a
// nanosecond stands for any length of time above 0.
func Within[T int | int64 | time.Duration](name string, value, least, most T) error {
	if least <= value && value <= most {
		return nil
	}
	if _, ok := any(least).(time.Duration); ok && least == 1 {
		return fmt.Errorf("%s=%v: more than 0 and at most %v is allowed", name, value, most)
	}
	return fmt.Errorf("%s=%v: %v to %v is allowed", name, value, least, most)
}

package settings

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrUndeclared is in the error of [Get] for a key that the settings were loaded without.
var ErrUndeclared = errors.New("is not declared in Loader.Keys")

// Get returns the value of a declared key as parse reads it, or byDefault when nobody set it. The
// error names the key, the value, where it was set and, through parse, what is allowed. Parsers are
// [Text], [List], [Bool], [Int], [Duration] and [Bytes], and what the program has of its own.
func Get[T any](s *Settings, key string, byDefault T, parse func(string) (T, error)) (T, error) {
	f, declared := s.keys[nameOf(key)]
	if !declared {
		return byDefault, fmt.Errorf("settings: %s %w", printable(key), ErrUndeclared)
	}
	if f.origin == "" {
		return byDefault, nil
	}
	value, err := parse(f.value)
	if err != nil {
		return byDefault, fmt.Errorf("settings: %w", f.wrong(err))
	}
	return value, nil
}

// Origin says where a declared key was set: "environment variable FRESHET_MAX_BYTES", or the file
// with the line. Empty: nobody set it.
func (s *Settings) Origin(key string) string { return s.keys[nameOf(key)].origin }

// InEnviron reports whether a declared key was set in the environment.
func (s *Settings) InEnviron(key string) bool { return s.keys[nameOf(key)].environ }

// Flags sets each flag that is named like a declared key, was not given on the command line, and
// was set in the file or the environment. Call it after fs.Parse: so flags go over the environment
// over the file over the flags' defaults. Flags for yes or no take what [Bool] does.
func (s *Settings) Flags(fs *flag.FlagSet) error {
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var wrong []error
	fs.VisitAll(func(f *flag.Flag) {
		set := s.keys[nameOf(f.Name)]
		if set.origin == "" || given[f.Name] {
			return
		}
		if err := setFlag(fs, f, set.value); err != nil {
			wrong = append(wrong, set.wrong(err))
		}
	})
	if len(wrong) == 0 {
		return nil
	}
	return everything(wrong)
}

func setFlag(fs *flag.FlagSet, f *flag.Flag, value string) error {
	kind, usage := flag.UnquoteUsage(f)
	if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
		yes, err := Bool(value)
		if err != nil {
			return err
		}
		value = strconv.FormatBool(yes)
	}
	if err := fs.Set(f.Name, value); err != nil {
		return fmt.Errorf("%w: %s is %s: %s", err, f.Name, kind, usage)
	}
	return nil
}

// Text takes any value as it is.
func Text(value string) (string, error) { return value, nil }

// List takes words with spaces, line ends or commas between them.
func List(value string) ([]string, error) {
	return strings.FieldsFunc(value, func(c rune) bool {
		return strings.ContainsRune(" \t\r\n,", c)
	}), nil
}

// Bool takes true, t, yes, y, on, 1 and their opposites false, f, no, n, off, 0, in any case.
func Bool(value string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "true", "t", "yes", "y", "on", "1":
		return true, nil
	case "false", "f", "no", "n", "off", "0":
		return false, nil
	}
	return false, errors.New("allowed are true and false")
}

// Int takes a whole number in digits, which may be negative.
func Int(value string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil {
		return 0, errors.New("allowed is a whole number")
	}
	return n, nil
}

// Duration takes a length of time that is not negative: 90s, 1m30s, 250ms, a whole number of
// seconds, or one of days or weeks: 7d, 2w.
func Duration(value string) (time.Duration, error) {
	text := strings.TrimSpace(value)
	if d, is := days(text); is {
		return d, nil
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && n <= math.MaxInt64/uint64(time.Second) {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errors.New("allowed is a length of time such as 30s, 5m, 1d or 250ms, not negative")
	}
	return d, nil
}

// days reads a whole number of days or weeks, if text is one that a time.Duration can hold.
func days(text string) (d time.Duration, is bool) {
	for unit, of := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		digits, has := strings.CutSuffix(text, unit)
		n, err := strconv.ParseUint(digits, 10, 64)
		if has && err == nil && n <= math.MaxInt64/uint64(of) {
			return time.Duration(n) * of, true
		}
	}
	return 0, false
}

// Bytes takes a number of bytes that is not negative: 65536, 64KiB, 16MiB, 2GiB, 1TiB. K, M, G and
// T, and KB, MB, GB and TB, count by 1024 as well.
func Bytes(value string) (int64, error) {
	text := strings.ToUpper(strings.TrimSpace(value))
	end := strings.IndexFunc(text, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(text)
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	shift, known := map[string]int{
		"": 0, "B": 0, "K": 10, "KB": 10, "KIB": 10, "M": 20, "MB": 20, "MIB": 20, "G": 30,
		"GB": 30, "GIB": 30,
		"T": 40, "TB": 40, "TIB": 40,
	}[strings.TrimSpace(text[end:])]
	if err != nil || !known || n > math.MaxInt64>>shift {
		return 0, errors.New("allowed is a number of bytes such as 65536, 64KiB or 16MiB")
	}
	return n << shift, nil
}

package simulate

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/settings"
)

// MinMemory is the least bound of a store that is simulated.
const MinMemory = 1 << 20

// Change returns settings that differ from base as text says: changes with spaces between them,
// each of them a name, "=" and a value. The error says what is wrong, and what is allowed.
func (s *Settings) Change(text string) (Settings, error) {
	changed := *s
	changed.TTLs = append([]TTL(nil), s.TTLs...)
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return changed, errors.New("allowed are changes such as memory=2x, ttl=5m and ignore=utm_*")
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		change, known := changes[name]
		if !known {
			return changed, fmt.Errorf("there is no %q to change: allowed are %s", name,
				changeNames)
		}
		if err := change(&changed, value); err != nil {
			if len(fields) > 1 {
				err = fmt.Errorf("%s: %w", field, err)
			}
			return changed, err
		}
	}
	return changed, nil
}

const changeNames = "memory, ttl, ignore, vary, heuristic, stale-while-revalidate and " +
	"stale-if-error"

var changes = map[string]func(*Settings, string) error{
	"memory": func(s *Settings, value string) (err error) {
		s.Memory, err = times(value, s.memory(), settings.Bytes)
		if err != nil || s.Memory < MinMemory {
			return errors.New("allowed is memory from 1MiB, or a factor greater than 0, such as 2x or 0.5x")
		}
		return nil
	},
	"ttl": func(s *Settings, value string) error {
		if strings.HasSuffix(value, "x") { // the lifetimes of paths, too
			for i := range s.TTLs {
				scaled, err := times(value, s.TTLs[i].Lifetime, settings.Duration)
				if err != nil {
					break // which the next line finds as well
				}
				s.TTLs[i].Lifetime = scaled
			}
		}
		ttl, err := times(value, s.Policy.TTL, settings.Duration)
		if err != nil {
			return errors.New("allowed is a length of time such as 5m, or a factor greater than 0, " +
				"such as 2x or 0.5x")
		}
		if factor, scales := strings.CutSuffix(value, "x"); err == nil && scales && s.Rules != nil {
			f, _ := strconv.ParseFloat(factor, 64) // which times has read
			s.RuleTimes = cmp.Or(s.RuleTimes, 1) * f
		}
		s.Policy.TTL = ttl
		return err
	},
	"ignore": func(s *Settings, value string) error {
		params, err := ReadParams(value)
		s.Policy.Key.DropParams = append(append([]string(nil), s.Policy.Key.DropParams...),
			params...)
		return err
	},
	"vary": func(s *Settings, value string) error {
		names, err := ReadVary(value)
		s.Vary = append(append([]string(nil), s.Vary...), names...)
		return err
	},
	"heuristic": func(s *Settings, value string) error {
		return s.SetHeuristic(value)
	},
	"stale-while-revalidate": into(func(s *Settings) *time.Duration {
		return &s.Policy.StaleWhileRevalidate
	}),
	"stale-if-error": into(func(s *Settings) *time.Duration { return &s.Policy.StaleIfError }),
}

func into(field func(*Settings) *time.Duration) func(*Settings, string) error {
	return func(s *Settings, value string) (err error) {
		*field(s), err = settings.Duration(value)
		return err
	}
}

// times reads a value, or a factor of what is there: 2x, 0.5x.
func times[N ~int64](text string, now N, read func(string) (N, error)) (N, error) {
	factor, scales := strings.CutSuffix(text, "x")
	if !scales {
		return read(text)
	}
	f, err := strconv.ParseFloat(factor, 64)
	if err != nil || !(f > 0) || f*float64(now) > 1<<62 {
		return 0, errors.New("allowed is a factor greater than 0, such as 2x or 0.5x")
	}
	return N(f * float64(now)), nil
}

// SetHeuristic has responses without a lifetime live by a heuristic, as if each had been changed
// last so long before it was served.
func (s *Settings) SetHeuristic(text string) error {
	age, err := settings.Duration(text)
	s.Unmodified, s.Policy.Heuristic = age, err == nil && age > 0
	return err
}

// ReadTTL reads a lifetime, or a pattern of paths, "=" and a lifetime.
func ReadTTL(text string) (ttl TTL, err error) {
	at := strings.LastIndexByte(text, '=')
	if at >= 0 {
		ttl.Pattern = text[:at]
		if !strings.HasPrefix(ttl.Pattern, "/") && !strings.HasPrefix(ttl.Pattern, "*") {
			return ttl, errors.New("allowed is a length of time such as 5m, or a pattern of " +
				"paths before it, such as /static/*=1h")
		}
	}
	ttl.Lifetime, err = settings.Duration(text[at+1:])
	return ttl, err
}

// ReadParams reads names of query parameters, with commas between them. A name may end in *.
func ReadParams(text string) ([]string, error) {
	names := strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
	for _, name := range names {
		if strings.ContainsAny(name, " &=?#") || strings.Contains(strings.TrimSuffix(name, "*"),
			"*") {
			return nil, errors.New("allowed are names of query parameters with commas between " +
				"them, such as utm_*,fbclid")
		}
	}
	if len(names) == 0 {
		return nil, errors.New("allowed are names of query parameters with commas between them, " +
			"such as utm_*,fbclid")
	}
	return names, nil
}

// ReadVary reads names of request fields, with commas between them.
func ReadVary(text string) ([]string, error) {
	names := strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
	for _, name := range names {
		if strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			names = nil
			break
		}
	}
	if len(names) == 0 {
		return nil, errors.New("allowed are names of request fields with commas between them, " +
			"such as Accept-Encoding,Accept-Language")
	}
	return names, nil
}

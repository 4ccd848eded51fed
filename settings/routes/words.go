package routes

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/internal/spelling"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings"
)

// word is one that may stand behind the = of a rule.
type word struct {
	name  string
	about string // its arguments, as the messages show them
	// early: settled when the request comes, before there is a response, so that no type can choose
	// it.
	early bool
	set   func(p *policy.Policy, args []string) error
}

// lifetime is the word without a name: 60s.
const lifetime = "DURATION"

// none is the argument that takes away what the base or a default gives.
const none = "none"

var words = []word{
	{lifetime, "", false, func(p *policy.Policy, args []string) (err error) {
		p.TTL, err = seconds(args)
		return err
	}},
	{"clients", "DURATION or none", false, func(p *policy.Policy, args []string) (err error) {
		p.ClientTTL, err = secondsOrNone(args, -1)
		return err
	}},
	{"cdn", "DURATION or none", false, func(p *policy.Policy, args []string) (err error) {
		p.CDNTTL, err = secondsOrNone(args, -1)
		return err
	}},
	{"stale", "DURATION or none", false, func(p *policy.Policy, args []string) (err error) {
		p.StaleWhileRevalidate, err = secondsOrNone(args, 0)
		return err
	}},
	{"if-error", "DURATION or none", false, func(p *policy.Policy, args []string) (err error) {
		p.StaleIfError, err = secondsOrNone(args, 0)
		return err
	}},
	{"retain", "DURATION or none", false, func(p *policy.Policy, args []string) (err error) {
		p.Retention, err = secondsOrNone(args, -1)
		return err
	}},
	{"jitter", "PERCENT or none", false, func(p *policy.Policy, args []string) (err error) {
		p.Jitter, err = numberOrNone(args, percent)
		return err
	}},
	{"eager", "PERCENT or none", false, func(p *policy.Policy, args []string) (err error) {
		p.EagerRefresh, err = numberOrNone(args, percent)
		return err
	}},
	{"xfetch", "NUMBER or none", false, func(p *policy.Policy, args []string) (err error) {
		p.XFetch, err = numberOrNone(args, factor)
		return err
	}},
	{"heuristic", "DURATION, none or nothing", false, setHeuristic},
	{"tags", "TAG…", false, func(p *policy.Policy, args []string) error {
		return names(&p.Tags, args, nil)
	}},
	{"shared", "", false, flag(func(p *policy.Policy) *bool { return &p.Shared })},
	{"override", "", false, flag(func(p *policy.Policy) *bool { return &p.Override })},
	{"unsafe-private", "", false, flag(func(p *policy.Policy) *bool { return &p.OverridePrivate })},
	{"unsafe-set-cookie", "", false, flag(func(p *policy.Policy) *bool { return &p.StoreCookies })},
	{"off", "", false, flag(func(p *policy.Policy) *bool { return &p.Off })},

	{"pass", "", true, flag(func(p *policy.Policy) *bool { return &p.Pass })},
	{"pass-cookies", "NAME…", true, func(p *policy.Policy, args []string) error {
		return names(&p.PassCookies, args, checkCookie)
	}},
	{"ignore-cookies", "NAME…, @analytics or none", true, func(p *policy.Policy,
		args []string) error {
		if i := slices.Index(args, "@analytics"); i >= 0 {
			args = slices.Concat(args[:i], policy.AnalyticsCookies(), args[i+1:])
		}
		return namesOrNone(&p.IgnoreCookies, args, nil, checkCookie)
	}},
	{"keep-cookies", "NAME… or none", true, func(p *policy.Policy, args []string) error {
		return namesOrNone(&p.KeepCookies, args, []string{}, checkCookie)
	}},
	{"keep-query", "NAME… or none", true, func(p *policy.Policy, args []string) error {
		return namesOrNone(&p.Key.KeepParams, args, []string{}, nil)
	}},
	{"drop-query", "NAME…", true, func(p *policy.Policy, args []string) error {
		return names(&p.Key.DropParams, args, nil)
	}},
	{"sort-query", "", true, flag(func(p *policy.Policy) *bool { return &p.Key.SortQuery })},
	{"key-cookies", "NAME…", true, func(p *policy.Policy, args []string) error {
		return names(&p.Key.Cookies, args, checkName)
	}},
	{"key-headers", "NAME…", true, func(p *policy.Policy, args []string) error {
		return names(&p.Key.Headers, args, checkName)
	}},
	{"no-force", "", true, flag(func(p *policy.Policy) *bool { return &p.IgnoreClientDirectives })},
	{"max-body", "SIZE", true, setMaxBody},
	{"timeout", "DURATION", true, func(p *policy.Policy, args []string) (err error) {
		p.Timeout, err = one(args, length)
		return err
	}},
	{"max-wait", "DURATION", true, func(p *policy.Policy, args []string) (err error) {
		p.MaxWait, err = one(args, length)
		return err
	}},
	{"throttle", "DURATION or none", true, func(p *policy.Policy, args []string) (err error) {
		p.Throttle, err = secondsOrNone(args, 0)
		return err
	}},
	{"failures", "DURATION or none", true, func(p *policy.Policy, args []string) (err error) {
		p.FailureTTL, err = secondsOrNone(args, 0)
		if err == nil && p.FailureTTL > maxFailureTTL {
			err = fmt.Errorf("allowed are at most %v, or none", maxFailureTTL)
		}
		return err
	}},
	{"soft-timeout", "DURATION or none", true, func(p *policy.Policy, args []string) (err error) {
		p.SoftTimeout, err = one(args, wait)
		return err
	}},
	{"hard-timeout", "DURATION or none", true, func(p *policy.Policy, args []string) (err error) {
		p.HardTimeout, err = one(args, wait)
		return err
	}},
	{"max-runs", "NUMBER or none", true, func(p *policy.Policy, args []string) (err error) {
		p.MaxRuns, err = one(args, number)
		return err
	}},
	{"lease", "DURATION or none", true, func(p *policy.Policy, args []string) (err error) {
		if len(args) == 1 && args[0] == none {
			p.Lease = -1
			return nil
		}
		p.Lease, err = one(args, length)
		return err
	}},
}

// readWord reads one word with its arguments.
func readWord(text string) (w *word, args []string, err error) {
	args = strings.Fields(text)
	if c := args[0][0]; '0' <= c && c <= '9' {
		if w = named(args[len(args)-1]); w != nil && len(args) == 2 {
			return nil, nil, fmt.Errorf("words have commas between them: %s, %s", args[0], args[1])
		}
		return &words[0], args, nil
	}
	if w = named(args[0]); w == nil {
		return nil, nil, errors.New("there is no such word" + meant(args[0]) + ": " + allowed())
	}
	return w, args[1:], nil
}

// named returns the word with a name, or nil.
func named(name string) *word {
	i := slices.IndexFunc(words, func(w word) bool { return w.name == name && name != lifetime })
	if i < 0 {
		return nil
	}
	return &words[i]
}

// meant guesses which word was meant: " (did you mean tags?)", or nothing.
func meant(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	best, least := "", 1+max(1, len(name)/4)
	for _, w := range words {
		d := spelling.Distance(name, w.name)
		if spelling.OneSlip(name, w.name) {
			d = min(d, 1) // with two letters swapped, too
		}
		if d < least && w.name != lifetime {
			best, least = w.name, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

func allowed() string {
	var b strings.Builder
	b.WriteString("allowed are a lifetime such as 60s or 7d")
	for _, w := range words[1:] {
		b.WriteString(", ")
		b.WriteString(w.name)
	}
	return b.String()
}

func flag(field func(*policy.Policy) *bool) func(*policy.Policy, []string) error {
	return func(p *policy.Policy, args []string) error {
		if len(args) > 0 {
			return errors.New("it stands alone: words have commas between them")
		}
		*field(p) = true
		return nil
	}
}

func one[T any](args []string, read func(string) (T, error)) (value T, err error) {
	if len(args) != 1 {
		return value, errors.New("allowed is one value behind it")
	}
	return read(args[0])
}

var errLength = errors.New("allowed is a length of time from 1s to 24855d such as 60s, 5m, 1h, " +
	"7d or 2w")

// length reads a length of time as settings do. A bare number is one of seconds.
func length(text string) (time.Duration, error) {
	d, err := settings.Duration(text)
	if err != nil {
		return 0, errLength
	}
	return checkLength(d)
}

func checkLength(d time.Duration) (time.Duration, error) {
	if d < time.Second || d > policy.MaxExpiry {
		return 0, errLength
	}
	return d, nil
}

var errWait = errors.New("allowed is a length of time from 1ms to 24855d such as 500ms, 2s or 1m, or " +
	"none")

// wait reads how long a client waits: a length of time that may be less than a second, or none.
func wait(text string) (time.Duration, error) {
	if text == none {
		return 0, nil
	}
	if d, err := length(text); err == nil {
		return d, nil
	}
	d, err := settings.Duration(text)
	if err != nil || d < time.Millisecond || d > policy.MaxExpiry {
		return 0, errWait
	}
	return d, nil
}

// maxNumber is the greatest bound on runs: more handlers than that no process runs.
const maxNumber = 1_000_000

func number(text string) (int, error) {
	if text == none {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxNumber {
		return 0, fmt.Errorf("allowed is a whole number from 1 to %d, or none", maxNumber)
	}
	return n, nil
}

func seconds(args []string) (time.Duration, error) {
	d, err := one(args, length)
	if err == nil && d%time.Second != 0 {
		return 0, errors.New("allowed are whole seconds")
	}
	return d, err
}

func secondsOrNone(args []string, without time.Duration) (time.Duration, error) {
	if len(args) == 1 && args[0] == none {
		return without, nil
	}
	d, err := seconds(args)
	if err != nil {
		err = fmt.Errorf("%w, or none", err)
	}
	return d, err
}

// maxFailureTTL is the engine's bound of a Policy.FailureTTL.
const maxFailureTTL = time.Minute

// numberOrNone reads a number by read; none is 0.
func numberOrNone(args []string, read func(string) (float64, error)) (float64, error) {
	if len(args) == 1 && args[0] == none {
		return 0, nil
	}
	return one(args, read)
}

// percent reads a percentage such as 80% as a fraction.
func percent(text string) (float64, error) {
	digits, ok := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 8)
	if !ok || err != nil || n < 1 || n > 99 {
		return 0, errors.New("allowed is a percentage from 1% to 99%, or none")
	}
	return float64(n) / 100, nil
}

// factor reads a number such as 1 or 0.5.
func factor(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n > 0 && n <= maxFactor) {
		return 0, fmt.Errorf("allowed is a number above 0 and up to %d such as 1 or 0.5, or none",
			maxFactor)
	}
	return n, nil
}

// maxFactor is the engine's bound of a Policy.XFetch.
const maxFactor = 100

func setHeuristic(p *policy.Policy, args []string) error {
	switch {
	case len(args) == 0:
		p.Heuristic, p.HeuristicMax, p.HeuristicDocumentMax = true, 0, 0
		return nil
	case len(args) == 1 && args[0] == none:
		p.Heuristic = false
		return nil
	}
	d, err := secondsOrNone(args, 0)
	p.Heuristic, p.HeuristicMax, p.HeuristicDocumentMax = true, d, d
	return err
}

func setMaxBody(p *policy.Policy, args []string) (err error) {
	if p.MaxBody, err = one(args, settings.Bytes); err == nil && p.MaxBody < 1 {
		err = errors.New("allowed is a number of bytes such as 65536, 64KiB or 16MiB, from 1")
	}
	return err
}

// names sets a list of names that has none to begin with.
func names(list *[]string, args []string, check func(string) error) error {
	if len(args) == 0 {
		return errors.New("allowed are one or more names behind it, with spaces between them")
	}
	for _, name := range args {
		if check == nil {
			continue
		}
		if err := check(name); err != nil {
			return err
		}
	}
	*list = slices.Concat(*list, args)
	return nil
}

// namesOrNone takes the place of a list; none: of without.
func namesOrNone(list *[]string, args, without []string, check func(string) error) error {
	if len(args) == 1 && args[0] == none {
		*list = without
		return nil
	}
	*list = nil
	return names(list, args, check)
}

// checkName refuses a pattern where the very name counts.
func checkName(name string) error {
	if !isToken(name) || strings.HasSuffix(name, "*") || http.CanonicalHeaderKey(name) == "" {
		return fmt.Errorf("%q is no whole name: allowed are letters, digits and hyphens, without *",
			name)
	}
	return nil
}

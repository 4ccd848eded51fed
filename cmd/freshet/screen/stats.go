package screen

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/door"
	"github.com/freshet-go/freshet/metrics"
)

// Stats is what freshet stats shows.
type Stats struct {
	Style
	At      string      // the door
	Answer  *door.Stats // nil: none yet
	Before  *door.Stats // the answer before, for what happens in a second; nil: none
	First   *door.Stats // the counts that are taken off; nil: none
	Trouble Trouble
}

// results are all there are, in the order in which they are shown.
var results = []metrics.Result{metrics.Hit, metrics.Stale, metrics.Collapsed, metrics.Revalidated,
	metrics.Stored, metrics.Unstored, metrics.Passed, metrics.Refused,
	metrics.Refreshed}

// Results are the words for what becomes of requests.
func Results() (words []string) {
	for _, r := range results {
		words = append(words, string(r))
	}
	return words
}

// counts sums up series: requests by a name, and all of them.
type counts struct {
	by    map[string]float64
	all   float64
	saved float64
}

func countsOf(s *door.Stats, name func(*door.Series) string) counts {
	c := counts{by: map[string]float64{}}
	if s == nil {
		return c
	}
	for i := range s.Series {
		one := &s.Series[i]
		c.by[name(one)] += float64(one.Requests)
		c.all += float64(one.Requests)
		c.saved += one.Saved
	}
	return c
}

// less takes off what was counted before.
func (c counts) less(before counts) counts {
	by := map[string]float64{}
	for name, n := range c.by {
		by[name] = n - before.by[name]
	}
	return counts{by, c.all - before.all, c.saved - before.saved}
}

// ratio is the part of what was looked up that no whole response of a handler answered, as the
// door's page has it.
func (c counts) ratio() string {
	fresh := 0.0
	for _, r := range results[:4] {
		fresh += c.by[string(r)]
	}
	return percent(fresh, c.all-c.by[string(metrics.Passed)]-c.by[string(metrics.Refreshed)])
}

// asked is how many requests clients made. No client asked for a refresh in the background.
func (c counts) asked() float64 { return c.all - c.by[string(metrics.Refreshed)] }

func byResult(s *door.Series) string   { return s.Result }
func byResource(s *door.Series) string { return s.Resource }

func byReason(s *door.Series) string {
	if s.Reason == "" {
		return ""
	}
	return s.Reason + "\x00" + s.Result
}

// same returns an earlier answer of the same run of the app, or nil.
func (s *Stats) same(earlier *door.Stats) *door.Stats {
	if earlier == nil || s.Answer == nil || !earlier.Began.Equal(s.Answer.Began) {
		return nil
	}
	return earlier
}

// counted returns the counts that are shown, and what was added to them each second; rate is false
// where nobody knows the latter.
func (s *Stats) counted(name func(*door.Series) string) (shown, second counts, rate bool) {
	now := countsOf(s.Answer, name)
	shown = now.less(countsOf(s.same(s.First), name))
	before := s.same(s.Before)
	if before == nil {
		return shown, counts{}, false
	}
	passed := s.Answer.Now.Sub(before.Now).Seconds()
	if passed <= 0 {
		return shown, counts{}, false
	}
	second = now.less(countsOf(before, name))
	for name := range second.by {
		second.by[name] /= passed
	}
	second.all /= passed
	return shown, second, true
}

// Page is the screen.
func (s *Stats) Page(width int) Page {
	p := Page{Foot: []string{"", keys(width, "s since the start, or now", "↑↓ scroll", "q quit")}}
	if s.Answer == nil {
		p.Head = title("freshet stats", s.At, s.now(), s.Trouble, width, s.Style)
		return p
	}
	p.Head = append(title("freshet stats", s.At, s.now(), s.Trouble, width, s.Style), "")
	p.Body = s.body(width)
	return p
}

// Text is all of it as plain text.
func (s *Stats) Text() string { return Page{Body: s.body(Unbounded)}.Text() }

func (s *Stats) body(width int) (lines []string) {
	lines = s.summary(width)
	for _, part := range [][]string{s.results(width), s.reasons(width), s.resources(width),
		s.times(width), s.underWay(width), s.tiers(width)} {
		if len(part) > 0 {
			lines = append(append(lines, ""), part...)
		}
	}
	return lines
}

func (s *Stats) summary(width int) []string {
	shown, second, rate := s.counted(byResult)
	text := fmt.Sprintf("hit ratio %s, %s requests, %s saved", shown.ratio(), number(shown.asked()),
		seconds(max(shown.saved, 0)))
	since := "since the app began, " + seconds(s.Answer.Now.Sub(s.Answer.Began).Seconds()) + " ago"
	if first := s.same(s.First); first != nil {
		since = "in the last " + seconds(s.Answer.Now.Sub(first.Now).Seconds())
	}
	lines := wrap(text+", "+since, width)
	if rate {
		lines = append(lines, wrap(fmt.Sprintf("now %s, %s requests a second", second.ratio(),
			number(second.asked())), width)...)
	}
	return lines
}

// bar draws a part of a whole.
func bar(part, whole float64) string {
	const long = 20
	if whole <= 0 {
		return ""
	}
	eighths := int(part / whole * long * 8)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// counting returns the columns of a table of counts, behind its first ones, and what fills them.
func counting(shown, second counts, rate bool) ([]column, func(name string) []string) {
	columns := []column{{title: "requests", right: true}, {title: "share", right: true, drop: 2}}
	if rate {
		columns = append(columns, column{title: "a second", right: true, drop: 1})
	}
	columns = append(columns, column{title: "", drop: 9})
	return columns, func(name string) []string {
		n := shown.by[name]
		cells := []string{number(n), percent(n, shown.all)}
		if rate {
			cells = append(cells, number(second.by[name]))
		}
		return append(cells, bar(n, shown.all))
	}
}

func (s *Stats) results(width int) []string {
	shown, second, rate := s.counted(byResult)
	more, cells := counting(shown, second, rate)
	var rows [][]string
	for _, r := range results {
		if shown.by[string(r)] > 0 {
			rows = append(rows, append([]string{string(r)}, cells(string(r))...))
		}
	}
	return s.table(append([]column{{title: "result"}}, more...), rows, width, "no requests yet")
}

func (s *Stats) reasons(width int) []string {
	shown, second, rate := s.counted(byReason)
	more, cells := counting(shown, second, rate)
	var rows [][]string
	for _, name := range most(shown) {
		reason, result, _ := strings.Cut(name, "\x00")
		rows = append(rows, append([]string{Clean(reason), Clean(result)}, cells(name)...))
	}
	if rows == nil {
		return nil
	}
	return s.table(append([]column{{title: "reason"}, {title: "result", drop: 3}}, more...), rows,
		width, "")
}

// resources is a table of what the app's policies call resources, where there are any.
func (s *Stats) resources(width int) []string {
	shown, second, rate := s.counted(byResource)
	if len(shown.by) < 2 {
		return nil
	}
	more, cells := counting(shown, second, rate)
	var rows [][]string
	for _, name := range most(shown) {
		rows = append(rows, append([]string{Clean(name)}, cells(name)...))
	}
	return s.table(append([]column{{title: "resource"}}, more...), rows, width, "")
}

// most are the names that have been counted, the greatest count first.
func most(c counts) (names []string) {
	for name, n := range c.by {
		if n > 0 && name != "" {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(c.by[b], c.by[a]), cmp.Compare(a, b))
	})
	return names
}

func (s *Stats) times(width int) []string {
	columns := []column{{title: "time of"}, {title: "count", right: true, drop: 3},
		{title: "mean", right: true, drop: 2}, {title: "50 %", right: true},
		{title: "90 %", right: true, drop: 1}, {title: "99 %", right: true}}
	var rows [][]string
	for _, kind := range []struct{ name, is string }{{"hit", "hits"}, {"fill", "handlers"},
		{"backend", "the store"}, {"age", "hits' age"}} {
		t := s.Answer.Times[kind.name]
		cells := []string{kind.is, number(float64(t.Count)), nothing, nothing, nothing, nothing}
		if t.Count > 0 {
			cells = append(cells[:2], seconds(t.Mean), seconds(t.P50), seconds(t.P90),
				seconds(t.P99))
		}
		rows = append(rows, cells)
	}
	return s.table(columns, rows, width, "")
}

func (s *Stats) underWay(width int) (lines []string) {
	r, j := s.Answer.Runs, s.Answer.Journal
	lines = wrap(fmt.Sprintf("under way: %s with %s, %s with %s, %s", many(r.Fills, "fill"),
		size(r.FillBytes), many(r.Readers, "reader"), size(r.ReadBytes),
		many(r.Refreshes, "refresh")), width)
	return append(lines, wrap("journal: "+journal(&j), width)...)
}

// journal says how the journal is.
func journal(j *door.Journal) (text string) {
	text = fmt.Sprintf("of this process alone, at number %d", j.Number)
	switch {
	case j.Shared && j.InTouch && j.Lag >= 0:
		text = fmt.Sprintf("shared, in touch, at number %d, heard %s ago", j.Number, seconds(j.Lag))
		if lags(j) {
			text += fmt.Sprintf(": after %s nothing stored is used", seconds(j.MaxLag))
		}
	case j.Shared && j.Lag < 0:
		text = "it has never answered: nothing stored is used"
	case j.Shared:
		text = fmt.Sprintf("out of touch for %s: nothing stored is used", seconds(j.Lag))
	}
	if n := len(j.Members); n > 0 {
		text += "; " + many(n, "process") + " on its list"
	}
	if j.Behind > 0 {
		text += fmt.Sprintf("; %d behind it for %s", j.Behind, seconds(j.BehindFor))
	}
	if j.Floor > 0 {
		text += "; old entries wait for " + namesOf(j.Awaits)
	}
	if j.Unsent > 0 {
		text += "; " + many(j.Unsent, "purge") + " not sent"
	}
	return text
}

// namesOf names the first three processes, and says how many others there are.
func namesOf(all []door.Member) string {
	var names []string
	for i, m := range all {
		if i == 3 {
			names = append(names, fmt.Sprintf("%d others", len(all)-i))
			break
		}
		names = append(names, m.Name)
	}
	if len(names) == 0 {
		return "other processes"
	}
	return strings.Join(names, ", ")
}

// lags reports whether the journal is nearly out of touch: it has not answered for three quarters of
// the time that is allowed. It is asked every second.
func lags(j *door.Journal) bool {
	return j.Shared && j.InTouch && j.MaxLag > 0 && j.Lag > 0.75*j.MaxLag
}

func (s *Stats) tiers(width int) []string {
	columns := []column{{title: "tier"}, {title: "entries", right: true, drop: 2},
		{title: "size", right: true}, {title: "of", right: true, drop: 1},
		{title: "found", right: true, drop: 3}, {title: "evicted", right: true, drop: 4},
		{title: "calls", right: true, drop: 5}, {title: "failed", right: true, drop: 6},
		{title: "breaker"}}
	var rows [][]string
	for _, t := range s.Answer.Tiers {
		found, most := nothing, nothing
		if t.Hits >= 0 && t.Misses >= 0 {
			found = percent(float64(t.Hits), float64(t.Hits+t.Misses))
		}
		if t.MaxBytes > 0 {
			most = size(t.MaxBytes)
		}
		rows = append(rows, []string{Clean(t.Name), known(t.Entries), size(t.Bytes), most, found,
			known(t.Evicted), known(t.Calls), known(t.Failed), orDash(Clean(t.Breaker))})
	}
	lines := s.table(columns, rows, width, "The store reports nothing of itself.")
	return append(append(lines, s.lostJournals(width)...), s.encryptionFaults(width)...)
}

// lostJournals says of which tiers the journal on their server does not answer. Whether the server
// answers otherwise, a closed breaker does not tell: a Cache that is out of touch asks for no values.
func (s *Stats) lostJournals(width int) (lines []string) {
	for _, t := range s.Answer.Tiers {
		if t.JournalLost.IsZero() {
			continue
		}
		text := fmt.Sprintf("! %s: journal lost since %s", Clean(t.Name),
			t.JournalLost.Local().Format(time.TimeOnly))
		if j := &s.Answer.Journal; !j.InTouch {
			text += ": handlers answer"
		}
		for _, line := range wrap(text, width) {
			lines = append(lines, s.bold(line))
		}
	}
	return lines
}

// encryptionFaults says what did not open, if there was anything.
func (s *Stats) encryptionFaults(width int) (lines []string) {
	for _, t := range s.Answer.Tiers {
		var said []string
		for _, cause := range slices.Sorted(maps.Keys(t.EncryptionFaults)) {
			if n := t.EncryptionFaults[cause]; n > 0 {
				said = append(said, fmt.Sprintf("%d %s", n, Clean(cause)))
			}
		}
		if len(said) > 0 {
			lines = append(lines, wrap(fmt.Sprintf("%s: what is stored did not open: %s", Clean(t.Name),
				strings.Join(said, ", ")), width)...)
		}
	}
	return lines
}

func (s *Stats) now() (t time.Time) {
	if s.Answer != nil {
		t = s.Answer.Now.Local()
	}
	return t
}

package simulate

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/freshet-go/freshet/internal/accesslog"
	"github.com/freshet-go/freshet/policy"
)

// Report is what there is to say of a log and of what a cache would have made of it.
type Report struct {
	*Result
	Settings Settings // of the first alternative
	Skipped  accesslog.Skipped
	Late     int64
}

// mostGroups is how many groups a report has, besides the rest of them together.
const mostGroups = 12

// Check says why there is nothing to report: the log has no line that can be read, or lacks the types
// of so many responses under rules by type that the hit ratio may be wrong by more than a point.
func (r *Report) Check() error {
	switch {
	case r.Skipped.Read == 0 && r.Skipped.Refreshes == 0 && r.Skipped.Lines == 0:
		return errors.New("the log is empty: " + formats)
	case r.Skipped.Read == 0 && r.Skipped.Refreshes == 0:
		first := r.Skipped.First[0]
		return fmt.Errorf("none of the log's lines can be read, such as %s:%d: %s: %s; %s", first.Log,
			first.Number, first.Why, first.Begin, formats)
	case !r.Knows.Types && 100*r.UnknownType > r.Outcomes[0].Total.Requests: // a point more or less
		return fmt.Errorf("the log has no content types, and rules by type govern %s of its responses "+
			"of which the end of the path tells none: nobody knows which rule counts; log the type, with "+
			"nginx as JSON with \"sent_http_content_type\":\"$sent_http_content_type\", or replace these "+
			"rules by ones without types, or by --ttl PATTERN=DURATION", number(r.UnknownType))
	}
	return nil
}

const formats = "a log is in the common or the combined format, or lines of JSON as nginx writes them " +
	"with escape=json and freshet proxy with --log-format json"

// Text writes the report for people: the answer first, in lines of up to 100 columns.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	base := &r.Outcomes[0]
	t := &base.Total
	if t.Requests == 0 {
		b.WriteString("The log has no request.\n")
		r.skips(&b)
		_, err := io.WriteString(w, b.String())
		return err
	}
	fmt.Fprintf(&b, "%s of %s requests would be hits: the origin answers %s, and sends %s "+
		"instead of %s.\n",
		percent(t.HitRatio()), number(t.Requests), number(t.OriginRequests()), size(t.OriginBytes),
		size(r.Bytes))
	fmt.Fprintf(&b, "With %s. The log covers %s.\n", r.Settings.describe(), span(r.From, r.To))
	if r.Logged > 0 {
		fmt.Fprintf(&b, "The cache that wrote the log had hits for %s of %s requests.\n",
			percent(float64(r.LoggedHits)/float64(r.Logged)), number(r.Logged))
	}
	b.WriteString("\n")
	r.groups(&b, base)
	b.WriteString("\n")
	r.alternatives(&b)
	r.reasons(&b, base)
	r.remarks(&b)
	r.skips(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) groups(b *strings.Builder, base *Outcome) {
	t := table(b)
	fmt.Fprint(t, "path\trequests\thits\tstale\tmisses\tpassed\tto origin\tfrom cache\tfrom "+
		"origin\t\n")
	row := func(name string, c *Counts) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name, number(c.Requests),
			percent(c.HitRatio()), number(c.Stale+c.StoodIn),
			number(c.Misses), number(c.Passed), number(c.OriginRequests()), size(c.CacheBytes),
			size(c.OriginBytes))
	}
	groups := slices.Clone(base.Groups)
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Compare(b.Requests, a.Requests)
	})
	var rest Counts
	for i := range groups {
		if i < mostGroups || len(groups) == mostGroups+1 {
			row(Printable(groups[i].Name, 24), &groups[i].Counts)
			continue
		}
		rest.Add(&groups[i].Counts)
	}
	if rest.Requests > 0 {
		row(fmt.Sprintf("(%d others)", len(groups)-mostGroups), &rest)
	}
	if len(groups) > 1 {
		row("all", &base.Total)
	}
	t.Flush()
}

func (r *Report) alternatives(b *strings.Builder) {
	if len(r.Outcomes) < 2 {
		return
	}
	t := table(b)
	fmt.Fprint(t, "what if\thits\tdifference\tto origin\tdifference\tfrom origin\t\n")
	base := &r.Outcomes[0].Total
	for i := range r.Outcomes {
		c := &r.Outcomes[i].Total
		hits, runs := "", ""
		if i > 0 {
			hits = fmt.Sprintf("%+.1f points", 100*(c.HitRatio()-base.HitRatio()))
			runs = fmt.Sprintf("%+.1f %%",
				100*(float64(c.OriginRequests())/float64(max(base.OriginRequests(), 1))-1))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t\n", r.Outcomes[i].Name, percent(c.HitRatio()),
			hits, number(c.OriginRequests()), runs, size(c.OriginBytes))
	}
	t.Flush()
}

// table aligns its first column to the left and the others to the right.
func table(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(&leftFirst{to: w}, 0, 0, 2, ' ', tabwriter.AlignRight)
}

// leftFirst moves the spaces before the first cell of a line behind it, and drops those at the end.
type leftFirst struct {
	to   io.Writer
	line []byte
}

func (l *leftFirst) Write(p []byte) (int, error) {
	for _, c := range p {
		if l.line = append(l.line, c); c != '\n' {
			continue
		}
		text := strings.TrimRight(string(l.line), " \n")
		bare := strings.TrimLeft(text, " ")
		pad := len(text) - len(bare)
		end := strings.Index(bare, "  ")
		if end < 0 {
			end = len(bare)
		}
		if _, err := fmt.Fprintf(l.to, "%s\n", strings.TrimRight(bare[:end]+strings.Repeat(" ",
			pad)+bare[end:], " ")); err != nil {
			return 0, err
		}
		l.line = l.line[:0]
	}
	return len(p), nil
}

// reasons says why runs of the handler brought nothing to keep.
func (r *Report) reasons(b *strings.Builder, base *Outcome) {
	if len(base.Why) == 0 {
		return
	}
	reasons := slices.SortedFunc(maps.Keys(base.Why), func(x, y policy.Reason) int {
		return cmp.Or(cmp.Compare(base.Why[y], base.Why[x]), cmp.Compare(x, y))
	})
	b.WriteString("\nNot kept:")
	for i, why := range reasons {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, " %s %s", number(base.Why[why]), why)
	}
	b.WriteString(".\n")
}

// remarks says what the log does not tell, and what was assumed in its place.
func (r *Report) remarks(b *strings.Builder) {
	b.WriteString("\n")
	if r.Users > 0 {
		fmt.Fprintf(b, "- Requests that name a user: %s; what they get is kept only where the "+
			"log says that it is for all.\n", number(r.Users))
	}
	if r.Purges > 0 {
		fmt.Fprintf(b, "- PURGE and BAN, which freshet proxy answers itself: %s; they are left "+
			"out, and so is what they purge.\n", number(r.Purges))
	}
	if !r.Knows.Cookies {
		fmt.Fprintf(b, "- The log has no cookies. Visitors with one get no page that lives by %s: "+
			"fewer hits than here.\n", r.Settings.lifetimes())
	}
	if !r.Knows.Header {
		fmt.Fprintf(b, "- The log has no response fields: %s for every lifetime, and nothing "+
			"varies%s.\n", r.Settings.stands(), r.Settings.varies())
	}
	if r.UnknownType > 0 {
		fmt.Fprintf(b, "- Responses under a rule by type of which the log does not say the type: %s; "+
			"they count as without one.\n", number(r.UnknownType))
	}
	if !r.Knows.Durations {
		b.WriteString("- The log has no durations: the origin is taken to answer at once, and no " +
			"request waits for another.\n")
	}
	if r.UnknownSize > 0 {
		fmt.Fprintf(b, "- Answers of 304 before the log says how large the page is: %s; they "+
			"count as 0 bytes.\n", number(r.UnknownSize))
	}
	if r.Late > 0 {
		fmt.Fprintf(b, "- Lines more than 30s late: %s; they count at the time of the line "+
			"before.\n", number(r.Late))
	}
}

// skips says what was not read.
func (r *Report) skips(b *strings.Builder) {
	if n := r.Skipped.Lines + r.Unreadable; n > 0 {
		fmt.Fprintf(b, "- Lines that were skipped: %s of %s\n", number(n),
			number(r.Skipped.Lines+r.Skipped.Read+r.Skipped.Refreshes))
	}
	for _, line := range r.Skipped.First {
		fmt.Fprintf(b, "    %s:%d: %s: %s\n", line.Log, line.Number, line.Why, line.Begin)
	}
	if r.Unreadable > 0 {
		fmt.Fprintf(b, "    with a target that is no URL: %s\n", number(r.Unreadable))
	}
}

// describe says what the settings are.
func (s *Settings) describe() string {
	parts := []string{size(s.memory()) + " of memory"}
	switch {
	case s.Policy.TTL > 0:
		parts = append(parts, "a TTL of "+duration(s.Policy.TTL))
	default:
		parts = append(parts, "no TTL")
	}
	if s.Rules != nil {
		parts = append(parts, s.rules())
	}
	for _, ttl := range s.TTLs {
		parts = append(parts, duration(ttl.Lifetime)+" for "+Printable(ttl.Pattern, 40))
	}
	if s.Unmodified > 0 {
		parts = append(parts, "heuristics for pages unchanged for "+duration(s.Unmodified))
	}
	if len(s.Policy.Key.DropParams) > 0 {
		parts = append(parts, "without "+strings.Join(s.Policy.Key.DropParams, ","))
	}
	if s.Policy.StaleWhileRevalidate > 0 {
		parts = append(parts, "stale for "+duration(s.Policy.StaleWhileRevalidate)+
			" while it is renewed")
	}
	if s.Policy.StaleIfError > 0 {
		parts = append(parts, "stale for "+duration(s.Policy.StaleIfError)+" on errors")
	}
	return strings.Join(parts, ", ")
}

// rules says how many rules by path there are.
func (s *Settings) rules() string {
	text := fmt.Sprintf("%d rules", s.Rules(s.Policy).Len())
	if s.Rules(s.Policy).Len() == 1 {
		text = "1 rule"
	}
	if s.RuleTimes > 0 {
		text += fmt.Sprintf(" with lifetimes of %gx", s.RuleTimes)
	}
	return text
}

// lifetimes names what gives a lifetime to a response that states none.
func (s *Settings) lifetimes() string {
	switch ttl := s.Policy.TTL > 0 || len(s.TTLs) > 0; {
	case s.Rules != nil && ttl:
		return "a rule or --ttl"
	case s.Rules != nil:
		return "a rule"
	}
	return "--ttl"
}

// stands says what stands for lifetimes, where the log has none.
func (s *Settings) stands() string {
	switch s.lifetimes() {
	case "a rule":
		return "rules stand"
	case "--ttl":
		return "--ttl stands"
	}
	return "rules and --ttl stand"
}

func (s *Settings) varies() string {
	if len(s.Vary) == 0 {
		return ""
	}
	return " but by " + strings.Join(s.Vary, ", ")
}

func percent(ratio float64) string { return fmt.Sprintf("%.1f %%", 100*ratio) }

// number is a number with its thousands apart.
func number(n int64) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// size is a number of bytes with three digits that count.
func size(n int64) string {
	value, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for len(units) > 1 && value >= 999.5 {
		value, units = value/1024, units[1:]
	}
	if units[0] == "B" || value >= 99.95 || value == float64(int64(value)) {
		return fmt.Sprintf("%.0f %s", value, units[0])
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}

// duration is a length of time without units that are 0.
func duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// span says from when to when.
func span(from, to time.Time) string {
	return fmt.Sprintf("%s, from %s UTC", duration(to.Sub(from).Round(time.Second)),
		from.UTC().Format("2006-01-02 15:04:05"))
}

package screen

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"github.com/freshet-go/freshet/cmd/freshet/door"
	"github.com/freshet-go/freshet/metrics"
)

// hostile is a path that an attacker chose: a title for the window, a cleared screen, C1 and
// direction marks, what is no UTF-8, and what is only strange.
const hostile = "/\x1b]0;owned\a\x1b[2J\u009b31m\u202egnp.\xff\u2028\u200b\r\n/ж/日本"

// joined is a path of letters that some terminals join, so that they count fewer columns of it than
// others.
var joined = "/" + strings.Repeat("\u1100", 60) + "\u1161\u0301\u200d"

// raw reports whether a rune is one that Clean would not leave, and that is none of ours.
func raw(r rune) bool {
	return hidden(r) && !strings.ContainsRune("…–µ↑↓█▉▊▋▌▍▎▏", r)
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"/page/1?a b": "/page/1?a b",
		"/ж/日本":       "/ж/日本",
		hostile:       `/\x1b]0;owned\a\x1b[2J\u009b31m\u202egnp.\xff\u2028\u200b\r\n/ж/日本`,
		"a\u00a0b":    `a\u00a0b`,
		"\x7f\x00":    `\x7f\x00`,

		"/Straße/café/Ελλάδα/ኢትዮ/शहर/٣/ー/한국": "/Straße/café/Ελλάδα/ኢትዮ/शहर/٣/ー/한국",

		"\u1100\u1161\u11a8\u3164\uffa0": `\u1100\u1161\u11a8\u3164\uffa0`, // Hangul jamo, fillers
		"e\u0301 हि ก\u0e33 ﾊ\uff9e":     `e\u0301 ह\u093f ก\u0e33 ﾊ\uff9e`,
		"a\u200db\ufe0f\u034f\u00ad":     `a\u200db\ufe0f\u034f\u00ad`, // joiners and selectors
		"\u0600١\u0d4eക":                 `\u0600١\u0d4eക`,             // what joins the next one
		"👩\u200d💻🇨🇭👍🏽❤":                  `\U0001f469\u200d\U0001f4bb\U0001f1e8\U0001f1ed\U0001f44d\U0001f3fd\u2764`,
		"𒐫𝐀\U000e0041":                   `\U0001242b\U0001d400\U000e0041`,
	} {
		if got := Clean(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// Of all that Clean leaves as it is, terminals know how wide it is: those that join letters to
// clusters, as Unicode's annex 29 has it, and those that go by letters (wcwidth). And no letter
// joins another one.
func TestWidthsAreAgreed(t *testing.T) {
	kept := 0
	var some []rune
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !hidden(r) {
			some = append(some, r)
		}
		if unicode.In(r, unicode.Ideographic, unicode.Hangul) || r >= 0x40000 {
			r += 40 // which are alike
		}
		if len(some) < 128 && r < utf8.MaxRune {
			continue
		}
		kept += len(some)
		for _, with := range []string{"", "a", "가"} {
			var b strings.Builder
			columns := 0
			for _, one := range some {
				fmt.Fprintf(&b, "%c%s%c", one, with, one)
				width := ansi.StringWidthWc(string(one))
				if columns += 2*width + ansi.StringWidthWc(with); width < 1 || width > runeWidth(one) {
					t.Errorf("%U: %d columns, and at most %d are counted", one, width, runeWidth(one))
				}
			}
			if got := ansi.StringWidth(b.String()); got != columns {
				t.Errorf("%d columns, or %d where letters are joined: %q", columns, got, b.String())
			}
		}
		some = some[:0]
	}
	if kept < 9_000 {
		t.Errorf("%d letters are shown as they are", kept)
	}
}

func FuzzClean(f *testing.F) {
	f.Add(hostile, 40)
	f.Add("\U000e0001\U0001f600\u0085", 3)
	f.Add(strings.Repeat("\u1100", 90)+strings.Repeat("\u1161", 90), 100)
	f.Add("각\u11a8शहर\u094d\u200dé\u0301", 7)
	f.Add(strings.Repeat("ж", 200), 79)
	f.Fuzz(func(t *testing.T, text string, width int) {
		width = min(max(width, 0), 300)
		got := Clean(text)
		if strings.IndexFunc(got, hidden) >= 0 || !utf8.ValidString(got) {
			t.Errorf("%q: %q", text, got)
		}
		narrow, wide := ansi.StringWidthWc(got), widest(got)
		if clusters := ansi.StringWidth(got); clusters != narrow || narrow > wide {
			t.Errorf("%q: %d columns, or %d, or at most %d", got, clusters, narrow, wide)
		}
		event := &door.Event{Host: text, Path: text, Method: text, Result: text, Reason: text}
		for _, line := range []string{cutMiddle(got, width), Event(event, width), EventTitles(width)} {
			if n := widest(line); n > width {
				t.Errorf("%q: %d columns, of %d: %q", text, n, width, line)
			}
		}
		line, err := json.Marshal(map[string]string{"path": text})
		if err != nil {
			t.Fatal(err)
		}
		clean := CleanJSON(append(line, '\n'))
		var before, after map[string]string
		if json.Unmarshal(line, &before) != nil || json.Unmarshal(clean, &after) != nil ||
			before["path"] != after["path"] {
			t.Errorf("%s: means another thing than %s", clean, line)
		}
		if strings.IndexFunc(string(clean[:len(clean)-1]), hidden) >= 0 {
			t.Errorf("%q: %q", text, clean)
		}
	})
}

func stats() *door.Stats {
	began := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	return &door.Stats{
		Now: began.Add(time.Minute), Began: began,
		Series: []door.Series{
			{Resource: "news", Result: "hit", Requests: 900, Bytes: 1, Saved: 90},
			{Resource: "news", Result: "stored", Requests: 80},
			{Resource: "cart", Result: "unstored", Reason: "no-store", Requests: 15},
			{Resource: "cart", Result: "passed", Reason: "cookie", Requests: 5},
		},
		Times: map[string]door.Spread{"hit": {Count: 900, Mean: 0.00008, P50: 0.0001, P90: 0.0001,
			P99: 0.00025}, "fill": {Count: 100, Mean: 0.04, P50: 0.05, P90: 0.1, P99: 2.5}},
		Runs:    door.Runs{Fills: 1, FillBytes: 2048, Readers: 3, ReadBytes: 5 << 20},
		Journal: door.Journal{Shared: true, InTouch: true, Number: 17, Lag: 0.5, Unsent: 2},
		Tiers: []door.Tier{{Name: "near", Entries: 42, Bytes: 1 << 20, MaxBytes: 64 << 20, Evicted: 3,
			Hits: 90, Misses: 10, Calls: -1, Failed: -1}, {Name: "redis", Entries: -1, Bytes: -1,
			Hits: -1, Misses: -1, Evicted: -1, Calls: 5000, Failed: 7, Breaker: "open"}},
	}
}

// later is stats, two seconds and 100 hits later.
func later() *door.Stats {
	s := stats()
	s.Now = s.Now.Add(2 * time.Second)
	s.Series[0].Requests += 100
	return s
}

func TestStatsAsText(t *testing.T) {
	s := Stats{Answer: later(), Before: stats()}
	const want = `hit ratio 91.3 %, 1.10k requests, 90 s saved, since the app began, 62 s ago
now 100.0 %, 50 requests a second

result    requests   share  a second
hit             1k  90.9 %        50  ██████████████████▏
stored          80   7.3 %         0  █▍
unstored        15   1.4 %         0  ▎
passed           5   0.5 %         0

reason    result    requests  share  a second
no-store  unstored        15  1.4 %         0  ▎
cookie    passed           5  0.5 %         0

resource  requests   share  a second
news         1.08k  98.2 %        50  ███████████████████▋
cart            20   1.8 %         0  ▎

time of    count   mean    50 %    90 %    99 %
hits         900  80 µs  100 µs  100 µs  250 µs
handlers     100  40 ms   50 ms  100 ms   2.5 s
the store      0      –       –       –       –
hits' age      0      –       –       –       –

under way: 1 fill with 2.0 KiB, 3 readers with 5.0 MiB, 0 refreshes
journal: shared, in touch, at number 17, heard 500 ms ago; 2 purges not sent

tier   entries     size        of   found  evicted  calls  failed  breaker
near        42  1.0 MiB  64.0 MiB  90.0 %        3      –       –  –
redis        –        –         –       –        –     5k       7  open
`
	if got := s.Text(); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	s.Answer.Tiers[1].EncryptionFaults = map[string]int64{"unsealed": 0, "altered": 3, "unknown-key": 1}
	if got := s.Text(); !strings.HasSuffix(got,
		"\nredis: what is stored did not open: 3 altered, 1 unknown-key\n") {
		t.Errorf("with faults of encryption:\n%s", got)
	}
	s.Answer.Tiers[1].EncryptionFaults = nil
	lost := &s.Answer.Tiers[1]
	lost.JournalLost = time.Date(2026, 11, 28, 12, 3, 0, 0, time.Local)
	for _, c := range []struct {
		breaker string
		inTouch bool
		want    string
	}{
		{"closed", false, "redis: journal lost since 12:03:00: handlers answer"},
		{"closed", true, "redis: journal lost since 12:03:00"},
		{"open", false, "redis: journal lost since 12:03:00: handlers answer"},
	} {
		lost.Breaker, s.Answer.Journal.InTouch = c.breaker, c.inTouch
		if got := s.Text(); !strings.HasSuffix(got, "\n! "+c.want+"\n") {
			t.Errorf("with a lost journal, %s:\n%s", c.breaker, got)
		}
	}
	lost.JournalLost, lost.Breaker, s.Answer.Journal.InTouch = time.Time{}, "open", true
	s.Before, s.First = nil, stats()
	if got := s.Text(); !strings.HasPrefix(got, "hit ratio 100.0 %, 100 requests, 0 saved, in the "+
		"last 2.0 s\n\nresult  requests    share\nhit          100  100.0 %  ███") ||
		strings.Contains(got, "reason") {
		t.Errorf("what came since:\n%s", got)
	}
	behind := later()
	behind.Series = append(behind.Series, door.Series{Result: "refreshed", Requests: 50})
	s = Stats{Answer: behind, Before: stats()}
	if got := s.Text(); !strings.HasPrefix(got, "hit ratio 91.3 %, 1.10k requests, ") ||
		!strings.Contains(got, "now 100.0 %, 50 requests a second") ||
		!strings.Contains(got, "\nrefreshed        50 ") {
		t.Errorf("50 refreshes in the background, for which no client asked:\n%s", got)
	}
	again := stats()
	again.Began = again.Began.Add(time.Second)
	s = Stats{Answer: again, Before: later(), First: later()}
	if got := s.Text(); strings.Contains(got, "now ") || !strings.Contains(got, "since the app began") {
		t.Errorf("the app was started anew, and its counts are compared with those of before:\n%s", got)
	}
	s = Stats{Answer: &door.Stats{Journal: door.Journal{Shared: true, Lag: 9}}}
	if got := s.Text(); !strings.Contains(got, "no requests yet") ||
		!strings.Contains(got, "hit ratio –, 0 requests") ||
		!strings.Contains(got, "out of touch for 9.0 s") {
		t.Errorf("nothing yet:\n%s", got)
	}
}

func TestJournal(t *testing.T) {
	for text, j := range map[string]door.Journal{
		"of this process alone, at number 3":            {Number: 3, InTouch: true},
		"it has never answered: nothing stored is used": {Shared: true, Lag: -1, MaxLag: 5},
		"out of touch for 9.0 s: nothing stored is used; 1 purge not sent": {Shared: true, Lag: 9,
			MaxLag: 5, Unsent: 1},
		"shared, in touch, at number 3, heard 3.7 s ago": {Shared: true, InTouch: true, Number: 3,
			Lag: 3.7, MaxLag: 5},
		"shared, in touch, at number 3, heard 4.0 s ago: after 5.0 s nothing stored is used": {
			Shared: true, InTouch: true, Number: 3, Lag: 4, MaxLag: 5},
		"shared, in touch, at number 3, heard 1.0 s ago; 2 processes on its list; 4 behind it for 2.0 s": {
			Shared: true, InTouch: true, Number: 3, Lag: 1, MaxLag: 5, Behind: 4, BehindFor: 2,
			Members: make([]door.Member, 2)},
		"shared, in touch, at number 3, heard 1.0 s ago; old entries wait for a, b, c, 2 others": {
			Shared: true, InTouch: true, Number: 3, Lag: 1, MaxLag: 5, Floor: 2,
			Awaits: []door.Member{{Name: "a"}, {Name: "b"}, {Name: "c"}, {}, {}}},
		"shared, in touch, at number 3, heard 4.1 s ago": {Shared: true, InTouch: true, Number: 3,
			Lag: 4.1}, // the app does not say how long it waits
	} {
		if got := journal(&j); got != text {
			t.Errorf("%q, want %q", got, text)
		}
		warns := !j.InTouch || strings.Contains(text, "after")
		page, _ := (&Top{Answer: top(), Journal: &j}).Page(200).Fit(200, 20, 0)
		plain := (&Top{Answer: top(), Journal: &j}).Text(1)
		for _, shown := range []string{page, plain} {
			if strings.Contains(shown, "! journal: "+text+"\n") != warns {
				t.Errorf("top, with a journal %q:\n%s", text, shown)
			}
		}
	}
}

func top() *door.Top {
	t := &door.Top{Served: []door.Page{}}
	for i := range 40 {
		t.Misses = append(t.Misses, door.Page{Page: fmt.Sprintf("shop.example/page/%d", i),
			Count: uint64(i + 1), Took: float64(40-i) / 10})
	}
	t.Misses[3].Page = "shop.example" + hostile
	t.Misses[39].Page = joined
	t.Misses[4].Page = "shop.example/" + strings.Repeat("long/", 50) + "end"
	return t
}

func TestTopAsText(t *testing.T) {
	v := Top{Answer: top()}
	const want = `dearest misses, by time:
 time  runs   each  page
4.0 s     1  4.0 s  shop.example/page/0
3.9 s     2  1.9 s  shop.example/page/1

most served, by time:
no hits yet: one of 16 is counted, from when somebody looks until a minute after
`
	if got := v.Text(2); got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	for by, first := range map[Sort]string{ByCount: `/\u1100\u1100`, ByEach: "page/0"} {
		v.Sort = by
		if got := v.Text(1); !strings.Contains(got, first) {
			t.Errorf("by %v:\n%s", by, got)
		}
	}
}

// What is drawn fits the screen, line by line, whatever its size, where it is scrolled to, and what
// paths there are; and nothing of a path that a terminal would act on is in it.
func TestScreensFit(t *testing.T) {
	trouble := Trouble{Why: "the door http://127.0.0.1:8080 did not answer: connection refused"}
	for _, width := range []int{1, 8, 20, 39, 40, 41, 60, 80, 132, 300} {
		for _, height := range []int{1, 2, 5, 12, 24, 100} {
			for name, page := range map[string]func() Page{
				"top": func() Page {
					return (&Top{At: "http://a/b", Answer: top(), Trouble: trouble}).Page(width)
				},
				"served": func() Page {
					return (&Top{At: "http://a/b", Answer: top(), Served: true,
						Style: Style{true}}).Page(width)
				},
				"stats": func() Page {
					return (&Stats{At: "http://a/b", Answer: later(), Before: stats(),
						Trouble: trouble, Style: Style{true}}).Page(width)
				},
				"no answer": func() Page { return (&Stats{Trouble: trouble}).Page(width) },
			} {
				for _, from := range []int{-5, 0, 7, Unbounded} {
					text, at := page().Fit(width, height, from)
					lines := strings.Split(text, "\n")
					if len(lines) != height || at < 0 {
						t.Errorf("%s, %d x %d from %d: %d lines, from %d", name, width, height, from,
							len(lines), at)
					}
					for _, line := range lines {
						w := max(ansi.StringWidth(line), ansi.StringWidthWc(line))
						if w > width {
							t.Errorf("%s, %d x %d: %d columns: %q", name, width, height, w, line)
						}
						if plain := ansi.Strip(line); strings.IndexFunc(plain, raw) >= 0 {
							t.Errorf("%s, %d x %d: raw: %q", name, width, height, line)
						}
					}
				}
			}
		}
	}
}

// On 40 columns the numbers that matter are still there, and the ends of pages' names.
func TestNarrowScreens(t *testing.T) {
	text, _ := (&Top{At: "http://127.0.0.1:8080/__freshet__", Answer: top()}).Page(40).Fit(40, 12, 0)
	const wantTop = `freshet top  http://1…080/__freshet__   
[dearest]  served  by time

  time  runs  page
 4.0 s     1  shop.example/page/0
 3.9 s     2  shop.example/page/1
 3.8 s     3  shop.example/page/2
 3.7 s     4  shop.exa…200b\r\n/ж/日本
 3.6 s     5  shop.exa…ng/long/long/end
 3.5 s     6  shop.example/page/5

tab other list  s sort  q quit`
	if text != wantTop {
		t.Errorf("\n%s\nwant\n%s", text, wantTop)
	}
	text, from := (&Top{Answer: top()}).Page(40).Fit(40, 12, Unbounded)
	if !strings.Contains(text, "page/38") || !strings.Contains(text, "time  runs") || from != 34 {
		t.Errorf("the end, from %d:\n%s", from, text)
	}
	text, _ = (&Stats{Answer: later(), Before: stats()}).Page(40).Fit(40, 60, 0)
	for _, says := range []string{"hit ratio 91.3 %, 1.10k requests", "\nhit             1k  90.9 %",
		"\nhandlers   40 ms   50 ms  100 ms   2.5 s", "\nno-store        15", "\nredis        –         –  open"} {
		if !strings.Contains(text, says) {
			t.Errorf("nothing of %q in\n%s", says, text)
		}
	}
}

func TestEventLines(t *testing.T) {
	at := time.Date(2026, 11, 29, 10, 0, 0, 1_000_000, time.Local)
	e := &door.Event{Time: at, Method: "GET", Host: "shop.example", Path: "/cart", Status: 200,
		Bytes: 2048, Took: 0.0412, Result: "unstored", Reason: "no-store"}
	for width, want := range map[int]string{
		Unbounded: "10:00:00.001  200  unstored       41 ms    2.0 KiB  no-store          GET  " +
			"shop.example/cart",
		80: "10:00:00  200  unstored       41 ms  no-store          shop.example/cart",
		40: "10:00:00 unstored    /cart",
	} {
		if got := Event(e, width); got != want {
			t.Errorf("%d columns: %q, want %q", width, got, want)
		}
		if got := EventTitles(width); !strings.HasPrefix(got, "time") ||
			strings.Index(got, "result") != strings.Index(want, "unstored") {
			t.Errorf("%d columns: %q", width, got)
		}
	}
	e.Path = joined
	for _, width := range []int{20, 40, 80, 100, 200} {
		if got := Event(e, width); max(ansi.StringWidth(got), ansi.StringWidthWc(got)) > width {
			t.Errorf("%d columns: %q", width, got)
		}
	}
	e.Path, e.Method, e.Reason = hostile, "\x1b[31m"+strings.Repeat("A", 99), ""
	for width := 1; width < 200; width += 7 {
		got := Event(e, width)
		if widest(got) > width || strings.IndexFunc(got, raw) >= 0 {
			t.Errorf("%d columns: %q", width, got)
		}
	}
}

// The words are those of package metrics.
func TestResultsAreAll(t *testing.T) {
	if got := fmt.Sprint(Results()); got != fmt.Sprint([]metrics.Result{"hit", "stale", "collapsed",
		"revalidated", "stored", "unstored", "passed", "refused", "refreshed"}) {
		t.Error(got)
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		number(0): "0", number(999): "999", number(12345): "12.3k", number(1e6): "1M",
		size(-1): "–", size(0): "0 B", size(1536): "1.5 KiB", size(3 << 40): "3.0 TiB",
		seconds(0): "0", seconds(0.0000005): "0 µs", seconds(0.0042): "4.2 ms",
		seconds(90): "90 s", seconds(600): "10 min", seconds(86400): "24.0 h",
		percent(1, 0): "–", percent(1, 3): "33.3 %", many(1, "refresh"): "1 refresh",
		many(2, "refresh"): "2 refreshes", many(0, "fill"): "0 fills",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// a phase of badDay, by its name.
func (d day) named(t *testing.T, name string) phase {
	t.Helper()
	for _, p := range d.phases {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("there is no phase %q", name)
	return phase{}
}

// Each field does on the day what the page says, and without it there is what it is for. A story is
// told by a part of the day, in which each phase lasts for a minute.
func TestWhatEachFieldDoes(t *testing.T) {
	const each = time.Minute
	for _, tt := range []struct {
		field         string
		phases        string
		without, with int // set-ups
		bad           func(*played) int
		least, most   int // bad without, and with
		says          string
		change        func(*policy.Policy) // of the set-up with the field
	}{
		{
			field: "Jitter", phases: "quiet crowd", without: 0, with: 1,
			// All articles were made within six seconds, and end within six: the rest is idle.
			says: "seconds of the crowd's first half a minute in which no article ended",
			bad: func(p *played) (idle int) {
				for at := each; at < each+30*time.Second; at += time.Second {
					if p.ranFor("/article/", at) == p.ranFor("/article/", at+time.Second) {
						idle++
					}
				}
				return idle
			}, least: 12, most: 6,
		},
		{
			field: "XFetch", phases: "quiet crowd", without: 1, with: 2,
			change: func(p *policy.Policy) { p.XFetch = 100 }, // so that nearly each page is renewed in time
			says:   "clients in the crowd that waited for one of the first nine articles",
			bad:    func(p *played) int { return p.waitedForTheFirst(each) }, least: 30, most: 25,
		},
		{
			field: "EagerRefresh", phases: "quiet crowd", without: 1, with: 3,
			says: "clients in the crowd that waited for one of the first nine articles",
			bad:  func(p *played) int { return p.waitedForTheFirst(each) }, least: 20, most: 5,
		},
		{
			field: "SoftTimeout", phases: "quiet slow", without: 3, with: 4,
			says: "clients that waited for the front page for longer than 200 ms, when it was there",
			bad: func(p *played) (n int) {
				for _, a := range p.answers {
					if a.path == "/" && a.at > each && a.waited > 200*time.Millisecond || a.what == stale &&
						a.waited > 200*time.Millisecond {
						n++
					}
				}
				return n
			}, least: 20, most: 0,
		},
		{
			field: "MaxRuns", phases: "quiet slow", without: 4, with: 5,
			says: "runs at once",
			bad:  func(p *played) int { return p.count(0, 2*each).atOnce }, least: 20, most: 4,
		},
		{
			field: "MaxRuns", phases: "quiet hanging", without: 4, with: 5,
			says: "clients in the hang that waited for an old page",
			bad: func(p *played) (n int) {
				for _, a := range p.answers {
					if a.what == stale && a.waited > 0 {
						n++
					}
				}
				return n
			}, least: 200, most: 10,
		},
		{
			field: "Throttle", phases: "quiet failing", without: 5, with: 6,
			// Two or three tries of each article in the phase, and a few more where two share a slot of what
			// the cache remembers.
			says: "runs for articles, of a database that fails",
			bad:  func(p *played) int { return p.ranFor("/article/", each) }, least: 280, most: 200,
		},
		{
			field: "FailureTTL", phases: "quiet failing", without: 6, with: 7,
			says: "runs for the new article, of a database that fails",
			bad:  func(p *played) int { return p.ranFor("/flash", each) }, least: 50, most: 60/5 + 1,
		},
		{
			field: "HardTimeout", phases: "quiet hanging", without: 7, with: 8,
			says: "clients that waited for longer than 2 s",
			bad: func(p *played) (n int) {
				for _, a := range p.answers {
					if a.waited > 2*time.Second {
						n++
					}
				}
				return n
			}, least: 20, most: 0,
		},
	} {
		t.Run(tt.field+" "+tt.phases, func(t *testing.T) {
			t.Parallel()
			d := day{each: each}
			for _, name := range strings.Fields(tt.phases) {
				d.phases = append(d.phases, badDay().named(t, name))
			}
			sets := []setUp{setUps()[tt.without], setUps()[tt.with]}
			if tt.change != nil {
				tt.change(&sets[1].policy)
			}
			if !strings.HasPrefix(sets[1].name, "+ "+tt.field) {
				t.Fatalf("set-up %d is %q", tt.with, sets[1].name)
			}
			all := playAll(t, d, d.visits(1), sets)
			without, with := tt.bad(all[0]), tt.bad(all[1])
			t.Logf("%s: %d without, %d with it", tt.says, without, with)
			if without < tt.least || with > tt.most {
				t.Errorf("%s: %d without %s, and %d with it: want at least %d, and at most %d", tt.says,
					without, tt.field, with, tt.least, tt.most)
			}
		})
	}
}

// waitedForTheFirst counts the clients that waited for one of the first nine articles, from a time
// of the day on.
func (p *played) waitedForTheFirst(from time.Duration) (n int) {
	for _, a := range p.answers {
		if len(a.path) == len("/article/9") && strings.HasPrefix(a.path, "/article/") && a.at >= from &&
			a.waited > 0 {
			n++
		}
	}
	return n
}

// ranFor counts the runs for some pages, from a time of the day on.
func (p *played) ranFor(prefix string, from time.Duration) (n int) {
	for _, r := range p.runs {
		if strings.HasPrefix(r.path, prefix) && r.at >= from {
			n++
		}
	}
	return n
}

// With all fields no client of the whole story leaves with nothing, an error is at once or within
// two seconds, and old pages are.
func TestWithAllFields(t *testing.T) {
	d := badDay()
	d.each = time.Minute
	p := playAll(t, d, d.visits(1), setUps()[8:])[0]
	var got [kinds]int
	var wrong []answer
	for _, a := range p.answers {
		got[a.what]++
		if a.what == none || a.waited > 2*time.Second || a.what == stale && a.waited > 200*time.Millisecond {
			wrong = append(wrong, a)
		}
	}
	if len(wrong) > 0 {
		t.Errorf("%d clients waited too long, the first one for %+v", len(wrong), wrong[0])
	}
	if got[hit] < 3000 || got[stale] < 500 || got[failed] < 100 || got[failed] > 400 {
		t.Errorf("%d hits, %d stale, %d errors", got[hit], got[stale], got[failed])
	}
}

// The picture is an image that a browser can read, with a strip for each set-up, in both schemes.
func TestThePicture(t *testing.T) {
	d := badDay()
	d.each = 10 * time.Second
	all := playAll(t, d, d.visits(1), setUps()[:2])
	svg := picture(d, all)
	for x := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := x.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range legend {
		if n := bytes.Count(svg, []byte(`<path class="`+kind.class+`" d="M`)); n != len(all) {
			t.Errorf("%d strips have the color of %q", n, kind.says)
		}
	}
	for _, says := range []string{"prefers-color-scheme:dark", ">10:00<", ">+ Jitter: 0.3<", ">hanging<"} {
		if !bytes.Contains(svg, []byte(says)) {
			t.Errorf("there is no %s in it", says)
		}
	}
}

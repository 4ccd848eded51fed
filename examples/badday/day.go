package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// day is what happens: its phases, one behind the other, each as long as the others.
type day struct {
	phases []phase
	each   time.Duration
}

// phase is a part of the day.
type phase struct {
	name  string
	mood  mood    // the database's
	rate  float64 // requests per second
	flash bool    // from its begin on, clients ask for a page that was not there before
	// release is how long before its begin a new version of the app purges everything, which is
	// made anew at once. 0: there is none.
	release time.Duration
}

// opens is the time of the day at which the program begins.
const opens = 10 * time.Hour

// badDay is the half of an hour in which all goes wrong.
func badDay() day {
	return day{each: 5 * time.Minute, phases: []phase{
		{name: "quiet", rate: 6},
		{name: "crowd", rate: 40, mood: busy, release: 45 * time.Second},
		{name: "slow", rate: 12, mood: slow},
		{name: "failing", rate: 12, mood: failing, flash: true},
		{name: "hanging", rate: 12, mood: hanging},
		{name: "well", rate: 12},
	}}
}

func (d day) length() time.Duration { return time.Duration(len(d.phases)) * d.each }

// phase returns the number of the phase at a time since the day began.
func (d day) phase(at time.Duration) int {
	return min(int(at/d.each), len(d.phases)-1)
}

// clock is a time since the day began as a clock shows it.
func clock(at time.Duration) string {
	minutes := int((opens + at).Minutes())
	return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60)
}

// visit is a request of a client's.
type visit struct {
	at   time.Duration // since the day began
	path string
}

// articles is how many there are.
const articles = 120

// visits are the requests of a day. The same seed makes the same ones.
func (d day) visits(seed uint64) (all []visit) {
	lot := rand.New(rand.NewPCG(seed, 0))
	unknown, flash := 0, false
	for i, p := range d.phases {
		flash = flash || p.flash
		for at := time.Duration(i) * d.each; ; {
			at += time.Duration(lot.ExpFloat64() / p.rate * float64(time.Second))
			if at >= time.Duration(i+1)*d.each {
				break
			}
			v := visit{at: at}
			switch share := lot.Float64(); {
			case share < 0.10:
				v.path = "/"
			case share < 0.12:
				v.path = "/report"
			case share < 0.16: // a crawler, which asks for what nobody has asked for
				unknown++
				v.path = fmt.Sprintf("/archive/%d", unknown)
			case share < 0.26 && flash:
				v.path = "/flash"
			default:
				v.path = fmt.Sprintf("/article/%d", article(lot.Float64()))
			}
			all = append(all, v)
		}
	}
	return all
}

// article returns the number of an article, from 1, for a random number from 0 to 1: the second is
// asked for about half as often as the first.
func article(random float64) int {
	return min(int(math.Pow(articles+1, random)), articles)
}

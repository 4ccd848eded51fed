// Package attacktest attacks an HTTP cache and reports which attacks succeed.
//
// The corpus holds some hundreds of attacks in classes: poisoning by unkeyed input, odd hosts and
// targets, parameter cloaking, deception, denial by stored errors, request smuggling, hangs,
// floods, endless streams, memory held by idle readers, several handlers at one URL, handlers
// around the cache, identities, cookies and nonces. Each plays an attacker and a victim over real
// connections; it succeeds when the victim gets what the attacker chose, or the attacker what was
// made for the victim.
//
// An [Origin] is an app with every weakness that the attacks look for. Put the cache under test in
// front of it:
//
//	origin := attacktest.NewOrigin()
//	report := attacktest.Run(ctx, attacktest.Site{Handler: cache.Handler(origin), Origin: origin})
//	report.Print(os.Stdout)
//
// A cache in another process is named by its URL. An app of one's own, with the cache in it, is
// attacked at two of its pages; then the attacks that need an origin of their own are left out.
package attacktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// Site is what [Run] attacks.
type Site struct {
	// Handler is the outermost handler of the site; Run serves it on a loopback port. URL is where
	// the site already listens, such as http://127.0.0.1:8080. Exactly one of the two is set.
	Handler http.Handler
	URL     string

	// Origin is the app behind the site's cache. The cache should give it a lifetime of its own, as
	// the operator of a silent app would, drop the query parameters utm_*, and wait no longer than
	// some seconds for a handler that hangs. Nil: the site's own app answers.
	Origin *Origin
	// Public and Personal are the paths of two pages of the site's own app: one that is the same
	// for everybody and cached, and one that shows who is logged in. They are used when Origin is
	// nil.
	Public, Personal string
	// Secret is a word of the personal page that only its user may see, and Cookie the value of the
	// Cookie field that logs the user in. They are used when Origin is nil.
	Secret, Cookie string

	// Classes names the classes to play, as [Attack.Class] has them. Nil: all.
	Classes []string
	// Two mounts two handlers on one cache and returns the outermost handler of each. Nil: the
	// attacks on several handlers at one URL are left out.
	Two func(first, second http.Handler) (http.Handler, http.Handler)
	// Around mounts the cache on a page and a handler outside of the cache, and returns the
	// outermost. Nil: the attacks on pages of which a handler outside says that they are one
	// visitor's are left out.
	Around func(outside func(http.Handler) http.Handler, page http.Handler) http.Handler
	// Held returns how many bytes the cache holds, which must stay within Bound. Nil: the floods
	// are judged by what their victim gets alone.
	Held  func() int64
	Bound int64
	// InProcess says that the cache runs the origin as a handler and shares this process's heap, so
	// that the attacks on memory can measure it. They allow four times Bound: for what is stored,
	// what is being made, what is being read, and what the collector has not seen yet.
	InProcess bool
}

// Attack is one attack of the corpus.
type Attack struct {
	Class, Name string
	// Limit is the sentence of docs/caching.md that says what an app must do itself, so that the
	// attack may succeed. Empty: the attack must fail.
	Limit string

	needs need
	run   func(*arena) string // returns what the attacker gained, or nothing
}

// need is what a site must offer for an attack to make sense.
type need uint8

const (
	nothing   need = iota
	something      // outside
	aPersonalPage
	theOrigin
	twoMounts
	theHandler // the origin in the cache's own process
	theHeap
)

// Result is what became of one attack.
type Result struct {
	Attack
	Gained  string // what the attacker gained; empty: nothing
	Skipped bool   // the site does not offer what the attack needs, or its class is not played
	Err     error  // the attack could not be played
}

// Succeeded reports whether the attacker gained something.
func (r Result) Succeeded() bool { return r.Gained != "" }

// Report is the results of all attacks, in the order of the corpus.
type Report []Result

// Succeeded returns the attacks that succeeded and are no documented limits.
func (r Report) Succeeded() (won []Result) {
	for _, result := range r {
		if result.Succeeded() && result.Limit == "" {
			won = append(won, result)
		}
	}
	return won
}

// Print writes a table with a line for each class, and then a line for each attack that succeeded
// or could not be played.
func (r Report) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "class\tattacks\tfailed\tsucceeded\tdocumented limits\tleft out")
	total := tally{name: "all"}
	for _, t := range r.tallies() {
		t.print(table)
		total.add(t)
	}
	total.print(table)
	if err := table.Flush(); err != nil {
		return err
	}
	for _, result := range r {
		if line := result.line(); line != "" {
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r Result) line() string {
	switch {
	case r.Err != nil:
		return fmt.Sprintf("COULD NOT BE PLAYED  %s: %s: %v", r.Class, r.Name, r.Err)
	case r.Succeeded() && r.Limit != "":
		return fmt.Sprintf("limit      %s: %s: %s (%s)", r.Class, r.Name, r.Gained, r.Limit)
	case r.Succeeded():
		return fmt.Sprintf("SUCCEEDED  %s: %s: %s", r.Class, r.Name, r.Gained)
	}
	return ""
}

// tally counts the results of one class.
type tally struct {
	name                            string
	all, failed, won, limits, leave int
}

func (t *tally) add(other tally) {
	t.all += other.all
	t.failed += other.failed
	t.won += other.won
	t.limits += other.limits
	t.leave += other.leave
}

func (t *tally) print(w io.Writer) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\n", t.name, t.all, t.failed, t.won, t.limits, t.leave)
}

func (r Report) tallies() (all []tally) {
	for _, result := range r {
		i := slices.IndexFunc(all, func(t tally) bool { return t.name == result.Class })
		if i < 0 {
			i = len(all)
			all = append(all, tally{name: result.Class})
		}
		t := &all[i]
		t.all++
		switch {
		case result.Skipped || result.Err != nil:
			t.leave++
		case result.Succeeded() && result.Limit != "":
			t.limits++
		case result.Succeeded():
			t.won++
		default:
			t.failed++
		}
	}
	return all
}

// Corpus returns all attacks.
func Corpus() []Attack {
	return slices.Concat(poisonings(), hosts(), targets(), cloakings(), deceptions(), denials(),
		smugglings(),
		hangs(), floods(), streams(), mounts(), outside(), identities(), cookies(), nonces(), memories())
}

// together is how many attacks are played at once. Those on memory are played alone, at the end.
const together = 8

// Run plays the corpus against a site. It returns an error when the site cannot be attacked at all;
// what becomes of each attack stands in the report. It plays until ctx is done.
func Run(ctx context.Context, site Site) (Report, error) {
	if (site.Handler == nil) == (site.URL == "") {
		return nil, errors.New("attacktest: Site: set one of Handler and URL")
	}
	if site.Origin == nil && site.Public == "" {
		return nil, errors.New("attacktest: Site: set Origin, or Public to a page of the site's " +
			"own app")
	}
	if site.Handler != nil {
		server := serve(site.Handler)
		defer server.Close()
		site.URL = server.URL
	}
	u, err := url.Parse(site.URL)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("attacktest: Site: URL %q: allowed is http with a host and a port",
			site.URL)
	}
	corpus := Corpus()
	report := make(Report, len(corpus))
	var group sync.WaitGroup
	slots := make(chan struct{}, together)
	for i := range corpus {
		play := func() {
			report[i] = (&arena{ctx: ctx, site: &site, address: u.Host, n: i}).play(corpus[i])
		}
		if corpus[i].needs == theHeap {
			group.Wait()
			play()
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			play()
		})
	}
	group.Wait()
	return report, nil
}

// serve is a server that keeps to itself what attacks make it complain of.
func serve(h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	return server
}

// play plays one attack, if the site offers what it needs.
func (a *arena) play(attack Attack) (result Result) {
	result.Attack = attack
	played := a.site.Classes == nil || slices.Contains(a.site.Classes, attack.Class)
	if result.Skipped = !played || !a.offers(attack.needs); result.Skipped {
		return result
	}
	if result.Err = a.ctx.Err(); result.Err != nil {
		return result
	}
	defer a.leave()
	defer func() {
		if v := recover(); v != nil {
			f, ok := v.(failure)
			if !ok {
				panic(v)
			}
			result.Err = f.error
		}
	}()
	result.Gained = strings.Join(strings.Fields(attack.run(a)), " ")
	return result
}

func (a *arena) offers(n need) bool {
	switch n {
	case something:
		return a.site.Around != nil
	case aPersonalPage:
		return a.site.Origin != nil || a.site.Personal != ""
	case theOrigin:
		return a.site.Origin != nil
	case twoMounts:
		return a.site.Two != nil
	case theHandler, theHeap:
		return a.site.Origin != nil && a.site.InProcess
	}
	return true
}

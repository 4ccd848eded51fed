package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/cmd/freshet/door"
	"github.com/freshet-go/freshet/cmd/freshet/screen"
	"github.com/freshet-go/freshet/explain"
)

const logUsage = `freshet log shows what becomes of a running app's requests, as they come, a line each, until
Ctrl-C.

usage: freshet log --door URL [flags] [FILTER...]

  freshet log --door http://127.0.0.1:8080/__freshet__
  freshet log result=miss 'path~^/api'         with FRESHET_DOOR and FRESHET_TOKEN set
  freshet log --json reason=cookie,set-cookie | jq .path

A FILTER is one of these; a request is shown when all of them fit:
  result=WORDS           hit, stale, collapsed, revalidated, stored, unstored, passed, refused,
                         or refreshed behind; commas between several; miss is each that a
                         handler ran for
  reason=WORDS           why it passed or was not stored, such as no-store or cookie: the details
                         of Cache-Status
  host=HOSTS             the host that was asked, with its port if it has one
  path=PATH              this path, as it is without escapes and without a query: '/a b'
  path~REGEXP            the paths that a regular expression matches, of 200 bytes at most

` + doorUsage + `
  --json                 print the door's lines of JSON as they come (default false)

When the app goes away, it is asked again until it is back; lines on stderr say since when. The door
drops events that come faster than they are taken: a line says how many. On a terminal a line is cut
to its width. What a terminal would act on in a path is printed as an escape, such as \x1b, and so
is what terminals disagree about the width of, such as \u0301.

` + doorStatus

// watchedLog is freshet log: its settings, and what it has shown.
type watchedLog struct {
	doorFlags
	json   bool
	filter url.Values

	client *door.Client
	out    *outlet
	stderr io.Writer
	shown  int // events
	lost   int // events that were dropped
}

func (f *watchedLog) flags() *flag.FlagSet {
	set := newFlagSet("log")
	f.define(set)
	set.BoolVar(&f.json, "json", false, "")
	once(set)
	return set
}

func runLog(ctx context.Context, c call) int {
	f := &watchedLog{out: newOutlet(c.stdout), stderr: c.stderr}
	err := f.read(c.args, c.environ)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(c.stdout, logUsage)
		return exitOK
	}
	if err != nil {
		return refuse(c.stderr, "log", err)
	}
	if err := f.follow(ctx); err != nil {
		return failed(c.stderr, "log", err)
	}
	if f.lost > 0 {
		fmt.Fprintf(c.stderr, "freshet log: %d events were shown, and %d came too fast and were "+
			"dropped: a filter leaves fewer\n", f.shown, f.lost)
	}
	return exitOK
}

func (f *watchedLog) read(args, environ []string) error {
	words, err := parseAnywhere(f.flags(), args)
	if err != nil {
		return err
	}
	if f.filter, err = readFilters(words); err != nil {
		return err
	}
	if err := f.complete(environ); err != nil {
		return err
	}
	f.client, err = f.doorFlags.client()
	return err
}

// pauses are how long it waits before it asks again. The last one stands for all that follow.
var pauses = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2 * time.Second, 5 * time.Second}

// follow shows events until ctx is done. Only what stands in the way at the start, and what no
// time mends, is an error.
func (f *watchedLog) follow(ctx context.Context) error {
	events, err := f.client.Events(ctx, f.filter)
	if err != nil {
		return unlessDone(ctx, err)
	}
	if !f.json && f.out.terminal() {
		f.out.line(screen.EventTitles(f.out.width()))
	}
	for {
		err = f.copy(events)
		events.Close()
		if !door.Is(err, door.Away) || ctx.Err() != nil {
			return unlessDone(ctx, err)
		}
		gone := absence{command: "log", stderr: f.stderr}
		gone.begin(err)
		if events, err = f.again(ctx); err != nil {
			return unlessDone(ctx, err)
		}
		gone.end("; what came meanwhile is missing")
	}
}

// again asks until there is an answer, or an error that no time mends.
func (f *watchedLog) again(ctx context.Context) (*door.Events, error) {
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pauses[min(i, len(pauses)-1)]):
		}
		events, err := f.client.Events(ctx, f.filter)
		if !passes(err) {
			return events, err
		}
	}
}

func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// copy shows the events of a stream until that ends.
func (f *watchedLog) copy(events *door.Events) error {
	for {
		e, line, err := events.Next()
		if err != nil {
			return err
		}
		if f.shown, f.lost = f.shown+1, f.lost+e.Dropped; f.json {
			err = f.out.line(string(screen.CleanJSON(line)))
		} else {
			if e.Dropped > 0 {
				f.out.line(fmt.Sprintf("… %d events came too fast and were dropped", e.Dropped))
			}
			err = f.out.line(screen.Event(e, f.out.width()))
		}
		if err != nil {
			return err
		}
	}
}

// longestPattern is how long a path's regular expression may be for the door, in bytes.
const longestPattern = 200

// filters are the beginnings of what a FILTER may be.
var filters = []string{"result=", "reason=", "host=", "path=", "path~"}

// resultWords are the words of result=.
func resultWords() []string { return append(screen.Results(), "miss") }

// readFilters reads FILTERs, and returns the query of the door that they mean. A filter that fits no
// request is an error: freshet log would wait in silence.
func readFilters(words []string) (url.Values, error) {
	query := url.Values{}
	for _, word := range words {
		if err := addFilter(query, word); err != nil {
			return nil, fmt.Errorf("the filter %q: %w", word, err)
		}
	}
	return query, nil
}

func addFilter(query url.Values, word string) (err error) {
	at := strings.IndexAny(word, "=~")
	if at < 0 || !slices.Contains(filters, word[:at+1]) {
		return fmt.Errorf("allowed are result=WORDS, reason=WORDS, host=HOSTS, path=PATH and "+
			"path~REGEXP%s", meant(word))
	}
	name, value := word[:at], word[at+1:]
	if query.Has(name) {
		return errors.New("there is another one of its kind: keep one, with commas between its words")
	}
	if value == "" {
		return errors.New("a value is missing behind it")
	}
	switch word[:at+1] {
	case "result=":
		err = checkWords(value, resultWords())
	case "reason=":
		err = checkWords(value, reasons())
	case "host=":
		err = checkHosts(value)
	case "path=":
		if err = checkPath(value); err == nil {
			value = "^" + regexp.QuoteMeta(value) + "$"
		}
	case "path~":
		err = checkPattern(value)
	}
	if err == nil && name == "path" && len(value) > longestPattern {
		err = fmt.Errorf("%d bytes: at most %d are allowed", len(value), longestPattern)
	}
	query.Set(name, value)
	return err
}

// meant guesses which filter was meant by a word that is none.
func meant(word string) string {
	at := strings.IndexAny(word, "=~")
	if at >= 0 {
		if near := nearest(word[:at+1], filters); near != "" {
			return fmt.Sprintf("; %s%s was meant?", near, word[at+1:])
		}
		return ""
	}
	switch {
	case strings.HasPrefix(word, "/"):
		return fmt.Sprintf("; path=%s was meant?", word)
	case slices.Contains(resultWords(), word):
		return fmt.Sprintf("; result=%s was meant?", word)
	case slices.Contains(reasons(), word):
		return fmt.Sprintf("; reason=%s was meant?", word)
	}
	return ""
}

// checkWords refuses a list with a word that no event has.
func checkWords(list string, known []string) error {
	for word := range strings.SplitSeq(list, ",") {
		if slices.Contains(known, word) {
			continue
		}
		guess := ""
		if near := nearest(word, known); near != "" {
			guess = fmt.Sprintf("; %q was meant?", near)
		}
		return fmt.Errorf("there is no %q: allowed are %s%s", word, strings.Join(known, ", "), guess)
	}
	return nil
}

// checkHosts refuses a list with what no request names as its host.
func checkHosts(list string) error {
	for host := range strings.SplitSeq(list, ",") {
		if u, err := url.Parse("http://" + host); err != nil || u.Host != host || host == "" {
			return fmt.Errorf("%q is no host: allowed are hosts as requests name them, such as "+
				"www.example.com or 127.0.0.1:8080, with commas between several", host)
		}
	}
	return nil
}

// checkPath refuses what is no path of a request, as the door has it: without its query, and without
// escapes.
func checkPath(path string) error {
	const otherwise = "path~ takes a regular expression, for paths that are so all the same"
	plain, err := url.PathUnescape(path)
	switch at := strings.IndexAny(path, "?#"); {
	case path[0] != '/' && path != "*": // OPTIONS *
		return fmt.Errorf("a path begins with /, such as path=/%s", strings.TrimLeft(path, "/"))
	case at >= 0:
		return fmt.Errorf("a path has no query and no fragment: say path=%s; %s", path[:at], otherwise)
	case err == nil && plain != path:
		return fmt.Errorf("paths are compared without their escapes: say path=%s; %s", plain, otherwise)
	}
	return nil
}

// checkPattern refuses an expression that does not compile, or that wants another beginning of a
// path than /.
func checkPattern(pattern string) error {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return fmt.Errorf("allowed is a regular expression of Go's: %w", err)
	}
	if tree = tree.Simplify(); tree.Op == syntax.OpConcat && tree.Sub[0].Op == syntax.OpBeginText &&
		tree.Sub[1].Op == syntax.OpLiteral && !strings.ContainsRune("/*", tree.Sub[1].Rune[0]) {
		return fmt.Errorf("a path begins with /, such as path~^/%s", strings.TrimPrefix(pattern, "^"))
	}
	return nil
}

// reasons are the words of reason=.
func reasons() (words []string) {
	for _, why := range explain.Reasons() {
		words = append(words, string(why))
	}
	slices.Sort(words)
	return words
}

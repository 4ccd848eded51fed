package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/freshet-go/freshet/cmd/freshet/door"
	"github.com/freshet-go/freshet/cmd/freshet/screen"
	"github.com/freshet-go/freshet/internal/rules"
)

const purgeUsage = `freshet purge makes what a running app or proxy has stored unusable, by its admin door: when it has
returned, that process serves nothing older, and others that share its store are on their way.

usage: freshet purge URL... [flags]
       freshet purge - [flags] < URLS
       freshet purge --tag TAG | --prefix URL | --all [flags]

  freshet purge https://www.example.com/posts/1 --door http://127.0.0.1:8080/__freshet__
  freshet purge --tag posts --tag news --wait 2s         with FRESHET_DOOR and FRESHET_TOKEN set
  freshet purge --prefix https://www.example.com/blog/ --soft
  psql -Atc "SELECT 'https://www.example.com/posts/' || id FROM changed" | freshet purge -

what is purged, one of these:
  URL...                 URLs with the host by which clients ask, each with its query; http stands
                         for https as well. - reads them from stdin, one on each line, 10000 at most
  --tag TAG              what has the tag; the flag may be given 256 times. 1 to 1024 bytes, without
                         white space and control characters
  --prefix URL           all whose URL begins so, byte by byte, with a whole host
  --all                  everything, for all who share the store (default false)

how:
  --soft                 make it stale in place of unusable: it may still be served where stale
                         serving is allowed (default false)
  --wait DURATION        wait until every live process has applied it, and every cache in front of
                         the app's outbox has taken it; then say who has not (default: not at all;
                         at most 1m)
  --json                 print JSON: purged, number and unsent; with --wait everywhere, why and
                         behind of the processes, and in_front of the caches in front, if any owes
                         it (default false)

` + doorUsage + `
A URL that is none, or is of a host that is not the door's, is an error, and nothing is purged. URLs
go to the door by 256; of more than that, the door looks at all before the first is purged.

The status is 0 when it is done, 1 when the app does not answer or refuses, 2 when the command
cannot be understood, 3 when the door wants another token, 4 when there is no door, or one of
another version, 5 when it holds in the app that was asked, and not everywhere: the store's server
did not take it yet, or --wait ended before a process or a cache in front had.
`

// How many URLs one command purges, and of how many bytes: past a few thousand, a tag or a prefix
// costs the processes less. maxPart bounds the bytes of those that go to the door at once.
const (
	maxPurged      = 10000
	maxPurgedBytes = 16 << 20
	maxPart        = 1 << 20
)

// purgeCommand is freshet purge, with its settings.
type purgeCommand struct {
	doorFlags
	what door.Purge // URLs are all of them
	wait time.Duration
	json bool

	client *door.Client
}

func (f *purgeCommand) flags() *flag.FlagSet {
	set := newFlagSet("purge")
	set.Func("prefix", "", into(&f.what.Prefix, readPurgedPrefix))
	set.BoolVar(&f.what.All, "all", false, "")
	set.BoolVar(&f.what.Soft, "soft", false, "")
	set.Func("wait", "", into(&f.wait, readWait))
	set.BoolVar(&f.json, "json", false, "")
	f.define(set)
	once(set)
	set.Func("tag", "", f.addTag)
	return set
}

func runPurge(ctx context.Context, c call) int {
	f := &purgeCommand{}
	err := f.read(c)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(c.stdout, purgeUsage)
		return exitOK
	}
	if err != nil {
		return refuse(c.stderr, "purge", err)
	}
	done, err := f.purge(ctx)
	if err != nil {
		return failed(c.stderr, "purge", err)
	}
	if f.json {
		text, _ := json.Marshal(done)
		fmt.Fprintf(c.stdout, "%s\n", screen.CleanJSON(text))
	} else {
		io.WriteString(c.stdout, screen.Purged(done, f.wait))
	}
	if !done.Done() {
		return exitBehind
	}
	return exitOK
}

// read reads the command line, and stdin if that says so.
func (f *purgeCommand) read(c call) error {
	words, err := parseAnywhere(f.flags(), c.args)
	if err != nil {
		return err
	}
	kinds := 0
	for _, is := range []bool{len(words) > 0, f.what.Prefix != "", len(f.what.Tags) > 0, f.what.All} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return errors.New("what is to be purged? Say one of URL..., -, --tag, --prefix and --all")
	case kinds > 1:
		return errors.New("URLs, --tag, --prefix and --all are one purge each: keep one of them")
	}
	if err := f.complete(c.environ); err != nil {
		return err
	}
	if f.client, err = f.doorFlags.client(); err != nil {
		return err
	}
	if slices.Contains(words, "-") {
		if len(words) > 1 {
			return errors.New("- reads the URLs from stdin: leave out those beside it")
		}
		f.what.URLs, err = readURLs(c.stdin)
		return err
	}
	return f.addURLs(words)
}

func (f *purgeCommand) addURLs(words []string) (wrong error) {
	for _, word := range words {
		wrong = errors.Join(wrong, checkPurged(word))
	}
	f.what.URLs = words
	return wrong
}

// maxWrong is how many wrong lines of stdin have an error of their own.
const maxWrong = 10

// readURLs reads URLs, one on each line.
func readURLs(from io.Reader) (urls []string, wrong error) {
	in := bufio.NewScanner(from)
	in.Buffer(nil, 2*rules.MaxKey)
	line, bad, size := 0, 0, 0
	for in.Scan() {
		line++
		text := strings.TrimSpace(in.Text())
		if text == "" {
			continue
		}
		if size += len(text); len(urls) == maxPurged || size > maxPurgedBytes {
			return nil, fmt.Errorf("stdin has more than %d URLs, or more than %d MiB of them: purge a "+
				"tag, a prefix or --all, or give them in parts", maxPurged, maxPurgedBytes>>20)
		}
		urls = append(urls, text)
		if err := checkPurged(text); err != nil {
			if bad++; bad <= maxWrong {
				wrong = errors.Join(wrong, fmt.Errorf("stdin, line %d: %w", line, err))
			}
		}
	}
	switch err := in.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("stdin, line %d is longer than a URL may be: at most %d bytes are "+
			"allowed", line+1, rules.MaxKey)
	case err != nil:
		return nil, fmt.Errorf("stdin: %w", err)
	case len(urls) == 0:
		return nil, errors.New("stdin has no URL: one is wanted on each line")
	case bad > maxWrong:
		wrong = errors.Join(wrong, fmt.Errorf("stdin: %d other lines are wrong", bad-maxWrong))
	}
	return urls, wrong
}

// checkPurged returns why nothing can be stored for a URL.
func checkPurged(text string) error {
	if _, err := rules.ReadURL(text); err != nil {
		return err
	}
	if !utf8.ValidString(text) {
		return errNoText(text)
	}
	if before, star := strings.CutSuffix(text, "*"); star {
		return fmt.Errorf("%q: * stands for itself: --prefix %q purges all that begins so", text, before)
	}
	return nil
}

// errNoText is the error of a URL that JSON, and so the door, would have another one for.
func errNoText(text string) error {
	return fmt.Errorf("%q is no UTF-8: write its bytes as escapes, such as %%E9", text)
}

func readPurgedPrefix(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errNoText(text)
	}
	if before, star := strings.CutSuffix(text, "*"); star {
		return "", fmt.Errorf("* stands for itself: leave it out, as in %q", before)
	}
	_, err := rules.ReadPrefix(text)
	return text, err
}

func readWait(text string) (time.Duration, error) {
	d, err := readTimeout(text)
	if err != nil || d > door.MaxWait {
		return 0, errors.New("allowed is a length of time greater than 0 and of at most 1m, such as 2s")
	}
	return d, nil
}

// maxTag is the longest tag, in bytes.
const maxTag = 1 << 10

func (f *purgeCommand) addTag(tag string) error {
	switch {
	case tag == "" || len(tag) > maxTag || !utf8.ValidString(tag) || strings.ContainsFunc(tag, func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsControl(c)
	}):
		return fmt.Errorf("allowed is one tag of 1 to %d bytes of UTF-8 without white space "+
			"and control characters: give --tag for each", maxTag)
	case len(f.what.Tags) == door.MaxNames:
		return fmt.Errorf("more than %d tags: purge the others by another command", door.MaxNames)
	}
	f.what.Tags = append(f.what.Tags, tag)
	return nil
}

// purge purges, in as many parts as the door wants.
func (f *purgeCommand) purge(ctx context.Context) (*door.Purged, error) {
	parts := partsOf(f.what.URLs)
	if len(parts) > 1 {
		return f.purgeParts(ctx, parts)
	}
	what := f.what
	if len(what.URLs) == 1 { // as doors of before have it, too
		what.URL, what.URLs = what.URLs[0], nil
	}
	done, _, err := f.client.Purge(ctx, what, f.wait)
	return done, err
}

// partsOf are URLs in parts as the door takes them.
func partsOf(urls []string) (parts [][]string) {
	size := maxPart + 1 // of the last part, which is full at first
	for _, u := range urls {
		if size += len(u); size > maxPart || len(parts[len(parts)-1]) == door.MaxNames {
			parts, size = append(parts, nil), len(u)
		}
		last := &parts[len(parts)-1]
		*last = append(*last, u)
	}
	return parts
}

// purgeParts purges more URLs than the door takes at once. The last part waits for all: numbers of
// the journal grow, and a process that has applied one has applied those before.
func (f *purgeCommand) purgeParts(ctx context.Context, parts [][]string) (*door.Purged, error) {
	part, all := f.what, len(f.what.URLs)
	for _, part.URLs = range parts {
		if err := f.client.Check(ctx, part); err != nil {
			return nil, err
		}
	}
	var last *door.Purged
	unsent, n := false, 0
	for i, urls := range parts {
		part.URLs = urls
		wait := f.wait
		if i < len(parts)-1 {
			wait = 0
		}
		done, _, err := f.client.Purge(ctx, part, wait)
		if err != nil {
			return nil, fmt.Errorf("%w (after the first %d of %d URLs, which are purged)", err, n, all)
		}
		n, last = n+len(urls), done
		unsent = unsent || done.Unsent && wait == 0
	}
	if last.Purged = fmt.Sprintf("%d URLs", all); f.what.Soft {
		last.Purged += ", softly"
	}
	if unsent { // and nobody has waited for that
		last.Unsent = true
		if last.Everywhere != nil && *last.Everywhere {
			last.Everywhere, last.Why = new(bool), "the journal did not take all of it at once"
		}
	}
	return last, nil
}

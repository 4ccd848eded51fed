package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/simulate"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/settings/routes"
	"github.com/freshet-go/freshet/store/memstore"
)

const simulateUsage = `freshet simulate replays a web server's access log, and says how many of its requests a cache
would have answered, what would be left for the origin, and what other settings would make of it.

usage: freshet simulate [flags] LOG...

  freshet simulate --ttl 5m /var/log/nginx/access.log*
  zcat access.log.*.gz | freshet simulate --ttl 1m --ttl '/static/*=1h' -
  freshet simulate --what-if memory=64MiB --what-if 'ttl=10m ignore=utm_*' access.log

A LOG is a file in the common or the combined format, or lines of JSON, as nginx writes them with
escape=json and freshet proxy with --log-format json; plain or compressed by gzip; - is the standard
input. Several are read as one, in the order of time. What is no request is skipped and counted.

what the cache is run with:
  --memory SIZE          the bound of what is kept, from 1MiB (default 256MiB)
  --max-body SIZE        the longest body that is kept, from 1 (default 16MiB)
  --ttl DURATION         how long a response lives that states no lifetime (default 1m; 0s: it is
                         not kept). --ttl PATTERN=DURATION is for the paths that a pattern matches,
                         in which * stands for any characters, such as /static/*=1h or *.css=1h;
                         the first that matches counts, and 0s means that they are not cached
  --heuristic AGE        instead of a TTL: a response that states no lifetime was changed AGE before
                         it was sent, and lives for a tenth of that, a document for 1m at most
  --rule 'PATTERN = WORDS'
                         a rule by path, as of freshet proxy (docs/rules.md); may be given several
                         times. What no rule gives a lifetime lives by --ttl, whose default is 0s
                         then; a --ttl PATTERN counts before rules
  --config FILE          the proxy's settings: the rules in [rules], and what --memory and the other
                         flags of the same names do not say. The environment is not read
  --prefixes LIST        accept keys of the file with these prefixes as well
  --ignore-params NAMES  query parameters that do not count, such as utm_*,fbclid (default none)
  --vary NAMES           request fields that every response varies by, such as Accept-Encoding, as
                         far as the log has them (default none)
  --stale-while-revalidate DURATION, --stale-if-error DURATION
                         serve a stale response for so long while it is renewed, or while the
                         origin fails (default 0s)
  --pass-cookies NAMES, --ignore-cookies NAMES
                         as for freshet proxy, where the log has cookies (default none)

what is asked:
  --what-if CHANGES      beside it, what would come of other settings: memory, ttl, ignore, vary,
                         heuristic, stale-while-revalidate or stale-if-error, each with = and a
                         value, memory and ttl with a factor such as 2x, too; may be given several
                         times (default memory=2x, then ignore=utm_*,gclid,fbclid, then ttl=5m)
  --by path|rule         a line for each first segment of paths, or for each --ttl PATTERN
                         and rule (default path)
  --json                 write the report as JSON (default false)
  --svg FILE             draw the hit ratio over memory and lifetime: 20 more simulations

The status is 0 when the logs were read, 1 when reading failed on the way, 2 when it could not be
done as asked: no line can be read, too, or a rule by type needs types that the log does not have.
Else, lines that are skipped change no status.
`

// defaultWhatIf is what is asked when nothing is.
var defaultWhatIf = []string{"memory=2x", "ignore=utm_*,gclid,fbclid", "ttl=5m"}

// simulateFlags are the settings of freshet simulate.
type simulateFlags struct {
	base    simulate.Settings
	rule    ruleFlag
	ttl     bool // --ttl DURATION is there
	source  source
	whatIf  []string
	by, svg string
	json    bool
	logs    []string

	alternatives []simulate.Alternative // the first is what the cache is run with
}

// readSimulateFlags reads the command line. The error is flag.ErrHelp, or says what is wrong, and
// what is allowed.
func readSimulateFlags(args []string) (*simulateFlags, error) {
	f, set := newSimulateFlags()
	var err error
	if f.logs, err = parseAnywhere(set, args); err != nil {
		return nil, err
	}
	for i, name := range f.logs {
		if name == "-" && slices.Contains(f.logs[:i], "-") {
			return nil, errors.New("- is given twice: there is one standard input")
		}
	}
	if len(f.logs) == 0 {
		return nil, errors.New("a log is missing: name its files, or - for the standard input")
	}
	if err := f.readRules(set); err != nil {
		return nil, err
	}
	if (f.base.Unmodified > 0 || f.base.Rules != nil) && !f.ttl {
		f.base.Policy.TTL = 0
	}
	return f, f.compare()
}

// readRules reads the settings of the proxy in the file, and the rules by path.
func (f *simulateFlags) readRules(set *flag.FlagSet) error {
	loader, err := f.source.loader(nil)
	if err != nil {
		return err
	}
	loaded, err := loader.Load(f.source.config, nil)
	if err != nil {
		return err
	}
	if err := applySettings(set, "proxy.", loaded); err != nil {
		return err
	}
	name, text := loaded.File()
	parse := func(base policy.Policy) (*routes.Set, error) {
		return routes.Parse(name, text, routes.Options{Base: base, First: f.rule,
			FirstOrigin: "--rule"})
	}
	found, err := parse(f.base.Policy)
	if err != nil || found.Len() == 0 {
		return err
	}
	f.base.Rules = func(base policy.Policy) *routes.Set {
		found, err := parse(base)
		if err != nil {
			panic(err) // the base says nothing that a rule may not stand on
		}
		return found
	}
	return nil
}

// compare makes the alternatives.
func (f *simulateFlags) compare() error {
	f.alternatives = []simulate.Alternative{{Name: "as asked", Settings: f.base}}
	asked := f.whatIf
	if len(asked) == 0 {
		asked = defaultWhatIf
	}
	for _, text := range asked {
		changed, err := f.base.Change(text)
		if err != nil {
			return fmt.Errorf("--what-if %q: %w", text, err)
		}
		f.alternatives = append(f.alternatives,
			simulate.Alternative{Name: strings.Join(strings.Fields(text), " "), Settings: changed})
	}
	return nil
}

func newSimulateFlags() (*simulateFlags, *flag.FlagSet) {
	f := &simulateFlags{by: "path"}
	f.base.Memory, f.base.Policy.MaxBody, f.base.Policy.TTL = memstore.DefaultBytes,
		rules.DefaultMaxBody, time.Minute
	p := &f.base.Policy
	set := newFlagSet("simulate")
	set.Func("memory", "", into(&f.base.Memory, atLeast(simulate.MinMemory, "1MiB")))
	set.Func("max-body", "", into(&p.MaxBody, atLeast(1, "1")))
	set.Func("heuristic", "", f.base.SetHeuristic)
	set.Func("ignore-params", "", into(&p.Key.DropParams, simulate.ReadParams))
	set.Func("vary", "", into(&f.base.Vary, simulate.ReadVary))
	set.Func("stale-while-revalidate", "", into(&p.StaleWhileRevalidate, settings.Duration))
	set.Func("stale-if-error", "", into(&p.StaleIfError, settings.Duration))
	set.Func("pass-cookies", "", into(&p.PassCookies, readCookies))
	set.Func("ignore-cookies", "", into(&p.IgnoreCookies, readIgnored))
	set.Func("by", "", into(&f.by, readBy))
	suggest(set, "by", []string{"path", "rule"})
	set.BoolVar(&f.json, "json", false, "")
	set.StringVar(&f.svg, "svg", "", "")
	set.Var(&f.rule, "rule", "")
	f.source.define(set)
	once(set)
	set.Func("ttl", "", f.addTTL())
	set.Func("what-if", "", func(text string) error {
		f.whatIf = append(f.whatIf, text)
		return nil
	})
	return f, set
}

// addTTL reads the lifetimes, of which one is for all paths.
func (f *simulateFlags) addTTL() func(string) error {
	return func(text string) error {
		ttl, err := simulate.ReadTTL(text)
		switch {
		case err != nil:
			return err
		case ttl.Pattern != "":
			f.base.TTLs = append(f.base.TTLs, ttl)
		case f.ttl:
			return errTwice
		default:
			f.ttl, f.base.Policy.TTL = true, ttl.Lifetime
		}
		return nil
	}
}

func readBy(text string) (string, error) {
	if text != "path" && text != "rule" {
		return "", errors.New("allowed are path and rule")
	}
	return text, nil
}

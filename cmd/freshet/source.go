package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/settings/reload"
	"github.com/freshet-go/freshet/store/open"
)

// source says where a command reads its settings: from which file, and under which prefixes.
type source struct {
	config   string
	prefixes string
	given    map[string]bool // on the command line
	log      *slog.Logger    // nil: the default

	overridden []string // settings in whose place flags count
}

func (s *source) define(set *flag.FlagSet) {
	s.given = map[string]bool{}
	note := func(name string, to *string) func(string) error {
		return func(text string) error { *to, s.given[name] = text, true; return nil }
	}
	set.Func("config", "", note("config", &s.config))
	set.Func("prefixes", "", note("prefixes", &s.prefixes))
}

// overrides notes the settings in whose place the flags of a proxy count that were given.
func (s *source) overrides(set *flag.FlagSet) {
	set.Visit(func(f *flag.Flag) {
		s.overridden = append(s.overridden, "proxy."+f.Name)
		if f.Name == "store" {
			s.overridden = append(s.overridden, slices.DeleteFunc(open.Keys(), func(key string) bool {
				return strings.HasPrefix(key, "cache_encryption_")
			})...)
		}
	})
}

// loader says which settings there are. The file and the environment are the app's, too.
func (s *source) loader(environ []string) (l settings.Loader, err error) {
	named, err := settings.Loader{Shared: true, Keys: []string{"config", "prefixes"}}.Load("",
		environ)
	if err != nil {
		return l, err
	}
	for name, to := range map[string]*string{"config": &s.config, "prefixes": &s.prefixes} {
		if !s.given[name] {
			*to, _ = settings.Get(named, name, "", settings.Text)
		}
	}
	switch filepath.Ext(s.config) {
	case ".json", ".yaml", ".yml":
		return l, fmt.Errorf("--config %q: allowed is an .ini file, with lines such as "+
			"proxy.upstream = http://127.0.0.1:9000: JSON and YAML are not read", s.config)
	}
	l = settings.Loader{Shared: true, Keys: keys()}
	l.Prefixes, _ = settings.List(s.prefixes)
	if _, err := (settings.Loader{Prefixes: l.Prefixes}).Load("", nil); err != nil {
		return l, fmt.Errorf("--prefixes %q: allowed are letters, digits, - and _, a letter "+
			"first, with commas between several: kinto.,cliquet.",
			strings.TrimSpace(s.prefixes))
	}
	return l, nil
}

// open loads the settings.
func (s *source) open(environ []string) (*reload.Watcher, error) {
	l, err := s.loader(environ)
	if err != nil {
		return nil, err
	}
	w, err := reload.Open(reload.Options{
		Loader: l, File: s.config, Environ: environ, Live: live(), Secrets: secrets(), Log: s.log,
		Overridden: s.overridden,
	})
	if err != nil && s.config != "" && !s.given["config"] {
		err = errors.Join(err, errors.New("the file is that of the environment variable "+
			settings.Environ("config")))
	}
	return w, err
}

// secrets are the settings whose values nobody is shown.
func secrets() (names []string) {
	for _, g := range configGroups() {
		for _, row := range g.rows {
			if row.Secret {
				names = append(names, row.Name)
			}
		}
	}
	return names
}

// from is the value of config or prefixes where a variable gave it.
func (s *source) from(setting string) string {
	switch {
	case setting == "config" && !s.given["config"]:
		return s.config
	case setting == "prefixes" && !s.given["prefixes"]:
		return s.prefixes
	}
	return ""
}

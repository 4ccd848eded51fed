package main

import (
	"errors"
	"flag"
)

// once makes it an error to give a flag twice: of two upstreams one would be left out without a
// word. There may be many rules.
func once(set *flag.FlagSet) {
	set.VisitAll(func(f *flag.Flag) {
		if _, several := f.Value.(*ruleFlag); !several {
			f.Value = &single{Value: f.Value}
		}
	})
}

// single is the value of a flag that is set once at most.
type single struct {
	flag.Value
	set  bool
	text string // as it was given
}

var errTwice = errors.New("given twice: keep one")

// Set sets the value, the first time.
func (s *single) Set(text string) error {
	if s.set {
		return errTwice
	}
	s.set, s.text = true, text
	return s.Value.Set(text)
}

// IsBoolFlag reports whether the flag may stand without a value.
func (s *single) IsBoolFlag() bool {
	b, ok := s.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

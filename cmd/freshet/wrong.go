package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/internal/mask"
)

// flagError is an error of the value of one flag, which the command line, the environment or a file
// gives.
type flagError struct {
	name string
	error
}

func (e *flagError) Unwrap() error { return e.error }

// each returns the errors that errors.Join has joined, at any depth.
func each(err error) (all []error) {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, one := range joined.Unwrap() {
		all = append(all, each(one)...)
	}
	return all
}

// unless returns what is wrong with flags together, without what is about a flag whose own value is
// wrong: that would be said twice.
func unless(own, together error) error {
	var left []error
	for _, err := range each(together) {
		if !slices.ContainsFunc(each(own), func(one error) bool { return isAbout(err, one) }) {
			left = append(left, err)
		}
	}
	return errors.Join(left...)
}

// isAbout reports whether an error is about the flag that one, an error of its value, is of.
func isAbout(err, one error) bool {
	wrong, ok := errors.AsType[*flagError](one)
	if !ok {
		return false
	}
	same, ok := errors.AsType[*flagError](err)
	return ok && same.name == wrong.name || strings.Contains(err.Error(), "--"+wrong.name)
}

// unknownFlag begins what package flag says of a flag that is not known.
const unknownFlag = "flag provided but not defined: -"

func isUnknown(err error) bool { return strings.HasPrefix(err.Error(), unknownFlag) }

// inOurWords says what package flag says of the command line, with the dashes of our help.
func inOurWords(set *flag.FlagSet, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, unknownFlag); ok {
		var known []string
		set.VisitAll(func(f *flag.Flag) { known = append(known, f.Name) })
		if near := nearest(name, known); near != "" {
			return fmt.Errorf("there is no flag --%s; --%s was meant?", name, near)
		}
		return fmt.Errorf("there is no flag --%s", name)
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return &flagError{name, fmt.Errorf("--%s needs a value", name)}
	}
	if rest, ok := strings.CutPrefix(text, "invalid boolean flag "); ok { // without a value
		name, why, _ := strings.Cut(rest, ": ")
		return &flagError{name, fmt.Errorf("--%s is %s", name, why)}
	}
	for _, before := range []string{" for flag -", " for -"} { // the value stands before, quoted
		if value, rest, ok := strings.Cut(text, before); ok {
			name, why, _ := strings.Cut(rest, ": ")
			value = value[strings.IndexByte(value, '"'):]
			if plain, err := strconv.Unquote(value); err == nil {
				value = strconv.Quote(mask.Value(plain)) // a log of the service's keeps this
			}
			if why == "parse error" {
				why = "allowed are true and false"
			}
			return &flagError{name, fmt.Errorf("--%s %s: %s", name, value, why)}
		}
	}
	return err
}

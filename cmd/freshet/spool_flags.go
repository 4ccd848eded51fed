package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/freshet-go/freshet/internal/spool"
)

// spoolFlags say what becomes of changes whose invalidation the store does not take.
type spoolFlags struct {
	folder string
	strict bool
}

func (f *spoolFlags) define(set *flag.FlagSet) {
	set.StringVar(&f.folder, "spool", "", "")
	set.BoolVar(&f.strict, "strict-invalidation", false, "")
}

// checkSpool returns what is wrong with the flags. It makes no folder.
func (f *proxyFlags) checkSpool() error {
	var wrong []error
	s := f.spooling
	if f.readOnly && s.strict {
		wrong = append(wrong, errors.New("--readonly and --strict-invalidation together refuse every "+
			"change: leave one of them out"))
	}
	switch {
	case s.folder == "":
	case f.readOnly:
		wrong = append(wrong, errors.New("--readonly and --spool together have no use: a proxy that "+
			"only reads sends no invalidations: leave one of them out"))
	case strings.HasPrefix(f.store.URL, "memory:"):
		wrong = append(wrong, errors.New("--spool needs a --store that other processes use, too, such "+
			"as redis://127.0.0.1:6379/0: a memory of the proxy's own takes every invalidation"))
	default:
		if err := spool.Check(s.folder); err != nil {
			wrong = append(wrong, fmt.Errorf("--spool: %w", err))
		}
	}
	return errors.Join(wrong...)
}

// open makes the folder, if there is to be one, and returns why it will not do.
func (f *spoolFlags) open() error {
	if f.folder == "" {
		return nil
	}
	if _, err := spool.Open(f.folder, ""); err != nil {
		return fmt.Errorf("--spool: %w", err)
	}
	return nil
}

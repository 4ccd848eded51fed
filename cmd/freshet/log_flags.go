package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/settings"
)

// logRows are their rows in the table.
var logRows = []settings.Setting{
	{Name: "proxy.log", Default: "false", Meaning: "write a line for each request to stderr"},
	{Name: "proxy.log-format", Value: "FORMAT", Allowed: "text, json, common or combined",
		Meaning: "how, if not as text", More: "common and combined are Apache's and nginx's; " +
			"says --log as well"},
	{Name: "proxy.log-file", Value: "FILE", Meaning: "where: a file to write to the end of",
		More: "says --log as well; SIGHUP opens it anew, after it was renamed; otherwise stderr"},
}

// logFlags say what becomes of the access log.
type logFlags struct {
	log    bool
	given  bool // --log is there, with yes or no
	format string
	file   string
}

func (f *logFlags) define(set *flag.FlagSet) {
	set.BoolFunc("log", "", func(text string) error {
		yes, err := settings.Bool(text)
		if err != nil {
			return errors.New("allowed are true and false")
		}
		f.log, f.given = yes, true
		return nil
	})
	set.Func("log-format", "", into(&f.format, readLogFormat))
	suggest(set, "log-format", logFormats)
	set.Func("log-file", "", into(&f.file, readLogFile))
}

// wanted reports whether there is an access log.
func (f *logFlags) wanted() bool { return f.log || !f.given && (f.format != "" || f.file != "") }

// check returns why the file could not be written to. It makes none.
func (f *logFlags) check() error {
	if !f.wanted() || f.file == "" {
		return nil
	}
	if err := checkEnd(f.file); err != nil {
		return fmt.Errorf("--log-file %q: %w", f.file, err)
	}
	return nil
}

// access returns what writes the access log to w; for text on stderr that is log.
func (f *logFlags) access(w io.Writer, log *slog.Logger) func(*proxy.Access) {
	switch f.format {
	case "common":
		return proxy.WriteAccess(w, proxy.Common)
	case "combined":
		return proxy.WriteAccess(w, proxy.Combined)
	case "json":
		return proxy.WriteAccess(w, proxy.JSON)
	}
	if f.file != "" {
		log = slog.New(slog.NewTextHandler(w, nil))
	}
	return proxy.LogAccess(log)
}

var logFormats = []string{"text", "json", "common", "combined"}

func readLogFormat(text string) (string, error) {
	if slices.Contains(logFormats, text) {
		return text, nil
	}
	return "", errors.New("allowed are text, json, common and combined")
}

func readLogFile(text string) (string, error) {
	if text == "" {
		return "", errors.New("allowed is the name of a file, such as /var/log/freshet/access.log")
	}
	return text, nil
}

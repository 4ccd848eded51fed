package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/mattn/go-isatty"

	"github.com/freshet-go/freshet/cmd/freshet/door"
	"github.com/freshet-go/freshet/cmd/freshet/screen"
)

// watched is what freshet top and stats show: what they ask for, and how it is drawn.
type watched interface {
	// ask asks the door, and returns what take takes.
	ask(context.Context) (answer any, raw []byte, err error)
	// take takes an answer, or why there is none.
	take(answer any, err error)
	// press is for a key that means nothing to all screens. It reports whether the list is another
	// one now.
	press(key string) (other bool)
	page(width int) screen.Page
	text() string
}

// watchFlags are the settings that freshet top and stats have in common.
type watchFlags struct {
	doorFlags
	interval time.Duration // 0: not given
	json     bool

	client *door.Client
}

const watchUsage = `
  --interval DURATION    how often the app is asked (default 2s on a terminal; otherwise it is asked
                         once; at least 100ms)
  --json                 print the door's answer as it comes, on a line (default false)

When the app goes away, it is asked again until it is back; the screen, or lines on stderr, say
since when. At the start it must answer.
`

const defaultInterval = 2 * time.Second

func (f *watchFlags) define(set *flag.FlagSet) {
	f.doorFlags.define(set)
	set.Func("interval", "", into(&f.interval, readInterval))
	set.BoolVar(&f.json, "json", false, "")
}

func readInterval(text string) (time.Duration, error) {
	d, err := readTimeout(text)
	if err != nil || d < 100*time.Millisecond {
		return 0, errors.New("allowed is a length of time from 100ms, such as 1s")
	}
	return d, nil
}

// open reads the command line of a command, whose flags set has, and makes the client. ok is false
// when the command ends with the status: usage was asked for, or something is wrong.
func (f *watchFlags) open(set *flag.FlagSet, name, usage string, c call) (status int, ok bool) {
	err := parseFlags(set, c.args)
	if err == nil {
		err = f.complete(c.environ)
	}
	if err == nil {
		f.client, err = f.doorFlags.client()
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		io.WriteString(c.stdout, usage)
		return exitOK, false
	case err != nil:
		return refuse(c.stderr, name, err), false
	}
	return exitOK, true
}

// watch shows what a door answers: on a terminal as a screen, and otherwise as text or JSON, once
// or every interval.
func (f *watchFlags) watch(ctx context.Context, name string, w watched, c call) int {
	answer, raw, err := w.ask(ctx) // at first whatever is wrong ends it
	if err != nil {
		if ctx.Err() != nil {
			return exitOK
		}
		return failed(c.stderr, name, err)
	}
	w.take(answer, nil)
	switch {
	case !f.json && isScreen(c):
		err = f.draw(ctx, w, c)
	default:
		err = f.print(ctx, w, raw, c.stdout, &absence{command: name, stderr: c.stderr})
	}
	if err != nil && ctx.Err() == nil {
		return failed(c.stderr, name, err)
	}
	return exitOK
}

// isScreen reports whether a person sits before the command.
func isScreen(c call) bool {
	is := func(file any) bool {
		f, ok := file.(*os.File)
		return ok && isatty.IsTerminal(f.Fd())
	}
	return is(c.stdin) && is(c.stdout) && variable(c.environ, "TERM") != "dumb"
}

// print prints the answer, and further ones if there is an interval. While the app is away it goes
// on asking.
func (f *watchFlags) print(
	ctx context.Context, w watched, raw []byte, to io.Writer, gone *absence,
) error {
	for first := true; ; first = false {
		var err error
		if f.json {
			_, err = to.Write(screen.CleanJSON(raw))
		} else {
			between := "\n"
			if first {
				between = ""
			}
			_, err = io.WriteString(to, between+w.text())
		}
		if err != nil || f.interval == 0 {
			return err
		}
		if raw, err = f.next(ctx, w, gone); err != nil {
			return err
		}
	}
}

// next waits for the next answer, which w takes, until ctx is done. An error is one that no time
// mends.
func (f *watchFlags) next(ctx context.Context, w watched, gone *absence) (raw []byte, err error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(f.interval):
		}
		answer, raw, err := w.ask(ctx)
		switch {
		case err == nil:
			gone.end("")
			w.take(answer, nil)
			return raw, nil
		case ctx.Err() != nil || !passes(err):
			return nil, err
		}
		gone.begin(err)
	}
}

// draw shows the screen until a key or ctx ends it.
func (f *watchFlags) draw(ctx context.Context, w watched, c call) error {
	every := f.interval
	if every == 0 {
		every = defaultInterval
	}
	program := tea.NewProgram(&screenModel{ctx: ctx, what: w, every: every},
		tea.WithInput(c.stdin), tea.WithOutput(c.stdout), tea.WithEnvironment(c.environ),
		tea.WithoutSignalHandler())
	defer context.AfterFunc(ctx, program.Quit)()
	_, err := program.Run()
	if err != nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	return nil
}

// screenModel is the screen of a watched thing, for bubbletea: it asks, draws and takes keys.
type screenModel struct {
	ctx           context.Context
	what          watched
	every         time.Duration
	width, height int
	from          int // the first line of the body that is seen
}

// asked is the message of an answer, and tick that of the time for the next one.
type (
	asked struct {
		answer any
		err    error
	}
	tick struct{}
)

func (m *screenModel) Init() tea.Cmd { return m.wait() }

func (m *screenModel) wait() tea.Cmd {
	return tea.Tick(m.every, func(time.Time) tea.Msg { return tick{} })
}

func (m *screenModel) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case tick:
		return m, func() tea.Msg {
			answer, _, err := m.what.ask(m.ctx)
			return asked{answer, err}
		}
	case asked:
		m.what.take(message.answer, message.err)
		return m, m.wait()
	case tea.KeyPressMsg:
		return m, m.press(message.String())
	}
	return m, nil
}

func (m *screenModel) press(key string) tea.Cmd {
	leap := max(m.height-8, 1)
	switch key {
	case "q", "ctrl+c", "esc":
		return tea.Quit
	case "up", "k":
		m.from--
	case "down", "j":
		m.from++
	case "pgup":
		m.from -= leap
	case "pgdown", "space":
		m.from += leap
	case "home":
		m.from = 0
	case "end":
		m.from = screen.Unbounded
	default:
		if m.what.press(key) {
			m.from = 0
		}
	}
	_, m.from = m.what.page(m.width).Fit(m.width, m.height, m.from)
	return nil
}

func (m *screenModel) View() tea.View {
	text := ""
	if m.width > 0 && m.height > 0 {
		text, m.from = m.what.page(m.width).Fit(m.width, m.height, m.from)
	}
	v := tea.NewView(text)
	v.AltScreen = true
	return v
}

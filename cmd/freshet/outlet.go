package main

import (
	"io"
	"os"

	"github.com/charmbracelet/x/term"
	"github.com/mattn/go-isatty"

	"github.com/freshet-go/freshet/cmd/freshet/screen"
)

// outlet is where lines are printed: a terminal, whose width may change, or anything else.
type outlet struct {
	io.Writer
	file *os.File // nil: no terminal
}

func newOutlet(to io.Writer) *outlet {
	o := &outlet{Writer: to}
	if file, ok := to.(*os.File); ok && isatty.IsTerminal(file.Fd()) {
		o.file = file
	}
	return o
}

func (o *outlet) terminal() bool { return o.file != nil }

// width is how many columns a line may have.
func (o *outlet) width() int {
	if o.file == nil {
		return screen.Unbounded
	}
	width, _, err := term.GetSize(o.file.Fd())
	if err != nil || width <= 0 {
		return screen.Unbounded
	}
	return width
}

func (o *outlet) line(text string) error {
	_, err := io.WriteString(o.Writer, text+"\n")
	return err
}

package main

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/freshet-go/freshet/internal/accesslog"
)

// progress shows how much of the logs has been read. The zero value shows nothing.
type progress struct {
	bars *mpb.Progress
	bar  *mpb.Bar
}

// newProgress returns a progress that shows a bar on stderr if that is a terminal.
func newProgress(stderr io.Writer, logs []string) *progress {
	file, ok := stderr.(*os.File)
	if !ok || !isatty.IsTerminal(file.Fd()) {
		return &progress{}
	}
	return drawProgress(file, totalSize(logs))
}

func drawProgress(to io.Writer, total int64, options ...mpb.ContainerOption) *progress {
	p := &progress{bars: mpb.New(append(options, mpb.WithOutput(to), mpb.WithWidth(80))...)}
	ends := []decor.Decorator{decor.Percentage(decor.WCSyncSpace),
		decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace)}
	if total == 0 { // nobody knows
		ends = []decor.Decorator{decor.CurrentKibiByte("% .1f", decor.WCSyncSpace)}
	}
	p.bar = p.bars.AddBar(total, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name("reading ")), mpb.AppendDecorators(ends...))
	return p
}

// totalSize is the size of all files, or 0 if there is something else among them.
func totalSize(names []string) (total int64) {
	for _, name := range names {
		info, err := os.Stat(name)
		if name == "-" || err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}

// watch returns the source, whose bytes are counted when they are read.
func (p *progress) watch(s accesslog.Source) accesslog.Source {
	if p.bar == nil {
		return s
	}
	open := s.Open
	s.Open = func() (io.ReadCloser, error) {
		from, err := open()
		if err != nil {
			return nil, err
		}
		return &counted{from, p.bar}, nil
	}
	return s
}

// end takes the bar away, so that the report stands alone. It may be called twice.
func (p *progress) end() {
	if p.bar == nil {
		return
	}
	p.bar.SetTotal(-1, true)
	p.bars.Wait()
	p.bar = nil
}

// counted counts what is read of a log.
type counted struct {
	io.ReadCloser
	bar *mpb.Bar
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bar.IncrBy(n)
	return n, err
}

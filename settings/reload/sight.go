package reload

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/freshet-go/freshet/settings"
)

// sight is what was seen of the files at one moment.
type sight struct {
	text  string // of the settings file
	wrong error  // why there is no text
	glimpse
}

// glimpse is what was seen of the files without reading them.
type glimpse struct {
	file stat
	also []stat
}

// stat tells one state of a file from another. The zero stat is that of a file which is not there,
// or is not followed.
type stat struct {
	info fs.FileInfo
}

// errUnsettled is in the error of a file that changed while it was read.
var errUnsettled = errors.New("the file changed while it was read")

// same reports whether there is nothing new in a sight. A file that was written anew as it was is
// nothing new.
func (s sight) same(other sight) bool {
	return s.text == other.text && reason(s.wrong) == reason(other.wrong) &&
		slices.EqualFunc(s.also, other.also, stat.same)
}

func (g glimpse) same(other glimpse) bool {
	return g.file.same(other.file) && slices.EqualFunc(g.also, other.also, stat.same)
}

func (s stat) same(other stat) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() &&
		s.info.ModTime().Equal(other.info.ModTime())
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// look reads the settings file, and glimpses the others.
func (w *Watcher) look() sight {
	s := sight{glimpse: w.glimpse()}
	if w.o.File == "" {
		return s
	}
	if w.now.Load() != nil && !w.followed {
		s.wrong = fmt.Errorf("settings: %s is no regular file, and cannot be read twice", w.o.File)
		return s
	}
	s.text, s.wrong = settings.ReadFile(w.o.File)
	if w.followed && s.wrong == nil && !statOf(w.o.File).same(s.file) {
		s.wrong = fmt.Errorf("settings: %s: %w", w.o.File, errUnsettled)
	}
	return s
}

func (w *Watcher) glimpse() (g glimpse) {
	if w.followed {
		g.file = statOf(w.o.File)
	}
	for _, name := range w.o.Also {
		g.also = append(g.also, statOf(name))
	}
	return g
}

func statOf(name string) stat {
	info, err := os.Stat(name)
	if err != nil {
		return stat{}
	}
	return stat{info}
}

// isRegular reports whether a file can be read more than once: a pipe of the shell's cannot.
func isRegular(name string) bool {
	info := statOf(name).info
	return info != nil && info.Mode().IsRegular()
}

// files are those to follow.
func (w *Watcher) files() []string {
	if !w.followed {
		return w.o.Also
	}
	return slices.Concat([]string{w.o.File}, w.o.Also)
}

// changed reports whether a file looks otherwise than at the last load.
func (w *Watcher) changed() bool {
	now := w.glimpse()
	w.mu.Lock()
	defer w.mu.Unlock()
	return !now.same(w.seen.glimpse)
}

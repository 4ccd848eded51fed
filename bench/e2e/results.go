package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// results are all that was measured: results.json as it is written.
type results struct {
	Date          string            `json:"date"`
	Machine       machine           `json:"machine"`
	Pinned        string            `json:"pinned"`
	FilesInMemory bool              `json:"files_in_memory"`
	Settings      settings          `json:"settings"`
	Tools         map[string]string `json:"tools"`
	measured                        // of the page
	Profile       *profile          `json:"profile,omitempty"`
	More          []measured        `json:"more,omitempty"` // of what else was asked for
}

// measured is what was measured of one ask.
type measured struct {
	Ask         string  `json:"ask"`
	Contestants []entry `json:"contestants"`
	Rounds      []turn  `json:"rounds"`

	ask *ask
}

// entry is a contestant in the results.
type entry struct {
	Name      string  `json:"name"`
	Label     string  `json:"label"`
	What      string  `json:"what"`
	Kind      kind    `json:"kind"`
	Version   string  `json:"version"`
	HeadBytes int     `json:"response_head_bytes"`
	Summary   summary `json:"summary"`
}

// summarize fills the summaries from the rounds.
func (r *measured) summarize() {
	for i := range r.Contestants {
		r.Contestants[i].Summary = summarize(r.Rounds, r.Contestants[i].Name)
	}
}

// find returns a contestant that ran and has a turn that counts.
func (r *measured) find(name string) (entry, bool) {
	i := slices.IndexFunc(r.Contestants, func(e entry) bool {
		return e.Name == name && e.Summary.Turns > 0
	})
	if i < 0 {
		return entry{}, false
	}
	return r.Contestants[i], true
}

// failures are the turns that do not count, in words.
func (r *measured) failures() []string {
	var failed []string
	for _, t := range r.Rounds {
		if t.Failed != "" {
			failed = append(failed, fmt.Sprintf("%s in round %d: %s", t.Contestant, t.Round,
				t.Failed))
		}
	}
	return failed
}

// pprofFile is the profile's name beside the report.
const pprofFile = "freshet-memory.pprof"

// write writes the report and all that belongs to it to a folder of its own in parent, and returns
// the folder. A report of the same day on the same machine is replaced.
func (r *results) write(parent string) (string, error) {
	folder := filepath.Join(parent, r.Date+"-"+r.Machine.short())
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	asJSON, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return "", err
	}
	files := map[string][]byte{"report.md": []byte(r.report()), "results.json": append(asJSON,
		'\n')}
	for _, p := range r.pictures() {
		files[p.file] = []byte(p.svg())
	}
	if r.Profile != nil {
		files[pprofFile] = r.Profile.pprof
	} else if err := os.Remove(filepath.Join(folder, pprofFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return "", err
		}
	}
	return folder, nil
}

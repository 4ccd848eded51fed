package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// profile is a CPU profile of Freshet in memory while it answers, and what is at its top.
type profile struct {
	Seconds float64 `json:"seconds"`
	Flat    []top   `json:"top_flat"`
	Cum     []top   `json:"top_cum"`
	pprof   []byte
}

// top is a line of `go tool pprof -top`: a function's time by itself, and with what it calls.
type top struct {
	Function    string `json:"function"`
	Flat        string `json:"flat"`
	FlatPercent string `json:"flat_percent"`
	Cum         string `json:"cum"`
	CumPercent  string `json:"cum_percent"`
}

const topLines = 25

// profile takes the profile in a round of its own; nil if Freshet in memory does not run. A profile
// costs a little, so that round counts for nothing else.
func (m *measurement) profile(ctx context.Context, dir string) (*profile, error) {
	i := slices.IndexFunc(m.running, func(r *running) bool { return r.name == freshetName })
	if i < 0 {
		return nil, nil
	}
	r := m.running[i]
	fmt.Fprintf(m.out, "a CPU profile of %s\n", r.name)
	loaded := make(chan error, 1)
	go func() {
		_, err := m.load(ctx, r, m.WarmUp+m.Time+time.Second)
		loaded <- err
	}()
	time.Sleep(m.WarmUp)
	taken, err := get(ctx, fmt.Sprintf("%s/profile?seconds=%d", r.control, int(m.Time.Seconds())),
		m.Time+30*time.Second)
	if err := errors.Join(err, <-loaded); err != nil {
		return nil, fmt.Errorf("a CPU profile of %s: %w", r.name, err)
	}
	if taken, err = withoutFolders(taken); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "freshet.pprof")
	if err := os.WriteFile(path, taken, 0o644); err != nil {
		return nil, err
	}
	p := &profile{Seconds: m.Time.Seconds(), pprof: taken}
	if p.Flat, err = topOf(ctx, path, "-flat"); err != nil {
		return nil, err
	}
	p.Cum, err = topOf(ctx, path, "-cum")
	return p, err
}

func topOf(ctx context.Context, path, sort string) ([]top, error) {
	said, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", sort, "-unit=ms",
		fmt.Sprintf("-nodecount=%d", topLines), path).Output()
	if err != nil {
		return nil, fmt.Errorf("go tool pprof: %w", err)
	}
	return parseTop(string(said))
}

// parseTop reads what `go tool pprof -top` prints: a head, the columns' names, and a line for each
// function.
func parseTop(said string) ([]top, error) {
	var lines []top
	inTable := false
	for line := range strings.Lines(said) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 5 && f[0] == "flat" && f[1] == "flat%":
			inTable = true
		case inTable && len(f) >= 6:
			lines = append(lines, top{strings.Join(f[5:], " "), f[0], f[1], f[3], f[4]})
		}
	}
	if !inTable {
		return nil, fmt.Errorf("go tool pprof printed no table:\n%s", said)
	}
	return lines, nil
}

// stringTable is the number of the field of a pprof profile that has all its strings.
const stringTable = 6

// withoutFolders leaves of each absolute path in a profile the last part: where the binary lay is
// nobody's business. A profile is a gzipped protocol buffer, whose outermost fields are all that
// has to be known.
func withoutFolders(zipped []byte) ([]byte, error) {
	wrong := errors.New("the CPU profile is none")
	unzip, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, wrong
	}
	rest, err := io.ReadAll(unzip)
	if err != nil {
		return nil, wrong
	}
	var out []byte
	for len(rest) > 0 {
		tag, n := binary.Uvarint(rest)
		if n <= 0 {
			return nil, wrong
		}
		value, m := binary.Uvarint(rest[n:])
		if m <= 0 {
			return nil, wrong
		}
		out = append(out, rest[:n]...)
		rest = rest[n+m:]
		switch tag & 7 {
		case 0: // a number
			out = binary.AppendUvarint(out, value)
		case 2: // bytes, after their length
			if value > uint64(len(rest)) {
				return nil, wrong
			}
			b := rest[:value]
			rest = rest[value:]
			if tag>>3 == stringTable && filepath.IsAbs(string(b)) {
				b = []byte(filepath.Base(string(b)))
			}
			out = binary.AppendUvarint(out, uint64(len(b)))
			out = append(out, b...)
		default:
			return nil, wrong
		}
	}
	var again bytes.Buffer
	zip := gzip.NewWriter(&again)
	if _, err := zip.Write(out); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return again.Bytes(), nil
}

package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"gopkg.in/ini.v1"

	"github.com/freshet-go/freshet/policy"
)

const maxFile = 1 << 20 // bytes

// ReadFile returns the text of a settings file, which is at most 1 MiB long, for [Loader.Parse].
func ReadFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("settings: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("settings: %w", err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("settings: %s: allowed are files of %d bytes", name, maxFile)
	}
	return string(text), nil
}

// readText reads an .ini file a line at a time: the library has neither line numbers nor a word
// about keys that are there twice, and looks through all keys of a section for each new one.
func readText(name, text string) ([]found, error) {
	var all []found
	section := ""
	rows := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	for i := 0; i < len(rows); i++ {
		origin := fmt.Sprintf("%s:%d", name, i+1)
		line := strings.TrimSpace(rows[i])
		if !utf8.ValidString(line) {
			return nil, fmt.Errorf("%s: allowed is UTF-8", origin)
		}
		if strings.ContainsRune(line, 0) {
			return nil, fmt.Errorf("%s: allowed is text: a byte of 0 stands in the line, as if "+
				"the file was not written to its end", origin)
		}
		if isBlank(line) {
			continue
		}
		if line[0] == '[' {
			next, err := readSection(line)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", origin, shown(line), err)
			}
			section = next
			continue
		}
		f, err := readKey(line)
		f.section, f.origin = section, origin
		if err != nil && f.counts() {
			return nil, fmt.Errorf("%s: %s: %w", origin, shown(line), err)
		}
		if err != nil {
			continue // the section's owner may make sense of it
		}
		value := []string{f.value}
		for i+1 < len(rows) && continues(rows[i+1]) {
			i++
			value = append(value, strings.TrimSpace(rows[i]))
			if strings.Contains(rows[i], policy.ExpirySuffix) {
				return nil, fmt.Errorf("%s:%d: %s: an indented line belongs to the value of the "+
					"key before it (%s): begin without a space",
					name, i+1, shown(value[len(value)-1]), printable(f.key))
			}
		}
		f.value = strings.Join(value, "\n")
		all = append(all, f)
	}
	return all, nil
}

// continues tells whether a line goes on with the value of the key before it.
func continues(line string) bool {
	return line != "" && (line[0] == ' ' || line[0] == '\t') && !isBlank(strings.TrimSpace(line)) &&
		utf8.ValidString(line) && !strings.ContainsRune(line, 0)
}

// isBlank tells whether a line without the space around it says nothing.
func isBlank(line string) bool {
	return line == "" || line[0] == '#' || line[0] == ';'
}

// lineOptions make of a value what is written: without continuation by a backslash, and with a
// comment behind it only after a space, so that URLs may have fragments.
var lineOptions = ini.LoadOptions{IgnoreContinuation: true, SpaceBeforeInlineComment: true}

// readSection reads a line of the form [name].
func readSection(line string) (string, error) {
	read, err := ini.LoadSources(lineOptions, []byte(line))
	if err != nil {
		return "", errNoSection
	}
	names := read.SectionStrings()
	return names[len(names)-1], nil
}

// readKey reads a line of the form key = value.
func readKey(line string) (found, error) {
	read, err := ini.LoadSources(lineOptions, []byte(line))
	if err != nil {
		return found{}, errNoKey
	}
	keys := read.Section(ini.DefaultSection).Keys()
	if len(keys) != 1 {
		return found{}, errNoKey
	}
	return found{key: keys[0].Name(), value: keys[0].Value()}, nil
}

var (
	errNoSection = errors.New("allowed is [section]")
	errNoKey     = errors.New("allowed is key = value, quotes closed on the same line")
)

package cdn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// record is what the store keeps of a purge that a target is owed. Names are percent-encoded: tags
// are any bytes, and JSON is text. A later version may add fields, and change none: a record that
// has others is left to a process that knows them.
type record struct {
	Target   string    `json:"target"`
	Since    time.Time `json:"since"`
	Tags     []string  `json:"tags,omitempty"`
	URLs     []string  `json:"urls,omitempty"`
	Prefixes []string  `json:"prefixes,omitempty"`
	All      bool      `json:"all,omitempty"`
	Soft     bool      `json:"soft,omitempty"`
	Client   bool      `json:"client,omitempty"` // clients chose the names
	Unsent   bool      `json:"unsent,omitempty"` // the journal had not taken the invalidation
}

// owing is what a record says.
type owing struct {
	target string
	since  time.Time
	purge  Purge
	unsent bool
}

func (o owing) encode() []byte {
	p := o.purge
	r := record{Target: o.target, Since: o.since.UTC(), All: p.All, Soft: p.Soft,
		Client: p.ByRequest, Unsent: o.unsent}
	for _, each := range []struct {
		from []string
		to   *[]string
	}{{p.Tags, &r.Tags}, {p.URLs, &r.URLs}, {p.Prefixes, &r.Prefixes}} {
		for _, name := range each.from {
			*each.to = append(*each.to, url.QueryEscape(name))
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a time of the year 10000
	}
	return b
}

// maxRecord bounds what is read of a record: more than the largest that is written.
const maxRecord = 64 << 20

// errLater says that a record has what is not known here.
var errLater = errors.New("a record of a later version")

// decode reads a record. What it returns is as Clean leaves it: a store may hold anything. Of a
// record of a later version it returns what it knows, and an error that is errLater.
func decode(b []byte) (o owing, err error) {
	if len(b) > maxRecord {
		return o, fmt.Errorf("a record of %d bytes", len(b))
	}
	var r record
	if err = json.Unmarshal(b, &r); err != nil {
		return o, err
	}
	strict := json.NewDecoder(bytes.NewReader(b))
	strict.DisallowUnknownFields()
	if strict.Decode(new(record)) != nil { // though it was read above
		defer func() { err = errLater }()
	}
	if r.Target == "" {
		return o, errors.New("a record that names no target")
	}
	p := Purge{All: r.All, Soft: r.Soft, ByRequest: r.Client}
	for _, each := range []struct {
		from []string
		to   *[]string
	}{{r.Tags, &p.Tags}, {r.URLs, &p.URLs}, {r.Prefixes, &p.Prefixes}} {
		for _, text := range each.from {
			name, err := url.QueryUnescape(text)
			if err != nil {
				return o, err
			}
			*each.to = append(*each.to, name)
		}
	}
	p, err = p.Clean()
	return owing{r.Target, r.Since, p, r.Unsent}, err
}

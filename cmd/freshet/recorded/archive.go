package recorded

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// archive is what counts of a HAR file, or of one entry of it.
type archive struct {
	Log struct {
		Entries []entry `json:"entries"`
	} `json:"log"`
	entry
}

type entry struct {
	Started time.Time `json:"startedDateTime"`
	Time    float64   `json:"time"` // milliseconds
	Request *struct {
		Method  string  `json:"method"`
		URL     string  `json:"url"`
		Headers []field `json:"headers"`
	} `json:"request"`
	Response *struct {
		Status  int     `json:"status"`
		Headers []field `json:"headers"`
		Content struct {
			Size int64 `json:"size"`
		} `json:"content"`
	} `json:"response"`
}

type field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// readArchive reads the entry for a URL.
func readArchive(text []byte, want *url.URL) (*Exchange, error) {
	var a archive
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("the recording begins like a HAR file and is none (%w): %s", err,
			allowed)
	}
	entries := a.Log.Entries
	if a.entry.Request != nil {
		entries = append(entries, a.entry)
	}
	var found *Exchange
	count := 0
	for i := range entries {
		x, err := entries[i].exchange()
		if err != nil {
			return nil, err
		}
		if want == nil || x.URL.String() == want.String() {
			found = x
			count++
		}
	}
	switch {
	case len(entries) == 0:
		return nil, errors.New("the HAR file has no entries: " + allowed)
	case count == 0:
		return nil, fmt.Errorf("none of the %d entries of the HAR file is of the URL %s",
			len(entries), want.Redacted())
	case want == nil && count > 1:
		return nil, fmt.Errorf("the HAR file has %d entries: say which one with --url URL", count)
	}
	return found, nil
}

// exchange is the entry as an exchange.
func (e *entry) exchange() (*Exchange, error) {
	if e.Request == nil || e.Response == nil {
		return nil, errors.New("an entry of the HAR file has no request or no response: " + allowed)
	}
	x := &Exchange{
		Format: "HAR", Method: e.Request.Method, Header: fields(e.Request.Headers),
		Status: e.Response.Status, Response: fields(e.Response.Headers),
		Body: e.Response.Content.Size,
	}
	if !e.Started.IsZero() && e.Time >= 0 && e.Time < 1e9 {
		x.At = e.Started.Add(time.Duration(e.Time * float64(time.Millisecond)))
	}
	delete(x.Header, "Host")
	return x, x.setURL(e.Request.URL)
}

func fields(list []field) http.Header {
	h := http.Header{}
	for _, f := range list {
		if f.Name != "" && !strings.HasPrefix(f.Name, ":") {
			h.Add(f.Name, f.Value)
		}
	}
	return h
}

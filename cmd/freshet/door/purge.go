package door

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"time"
)

// MaxNames is how many tags or URLs one purge may name, and MaxWait how long it may wait.
const (
	MaxNames = 256
	MaxWait  = time.Minute
)

// Purge is what a purge asks for: one of its first five fields.
type Purge struct {
	URL    string   `json:"url,omitempty"`
	URLs   []string `json:"urls,omitempty"`
	Prefix string   `json:"prefix,omitempty"`
	Tags   []string `json:"tags,omitempty"`
	All    bool     `json:"all,omitempty"`
	Soft   bool     `json:"soft,omitempty"`
	Check  bool     `json:"check,omitempty"`
}

// Purged is the answer to a purge.
type Purged struct {
	Purged string `json:"purged"` // in words
	Number uint64 `json:"number"` // of the journal; 0: it has not taken it
	Unsent bool   `json:"unsent"` // other processes learn of it later

	// Everywhere reports that each live process has applied the purge; nil: it did not wait. Why and
	// Behind say what came instead, and InFront is there while caches in front have not taken it.
	Everywhere *bool    `json:"everywhere,omitempty"`
	Why        string   `json:"why,omitempty"`
	Behind     []Member `json:"behind,omitempty"`
	InFront    *InFront `json:"in_front,omitempty"`
}

// InFront says that caches in front have not taken a purge.
type InFront struct {
	Why  string `json:"why"`
	Owed []Owed `json:"owed,omitempty"`
}

// Owed is a cache in front that has not taken so many names, the oldest of which was asked for at
// Since.
type Owed struct {
	Target string    `json:"target"`
	Names  int       `json:"names"`
	Since  time.Time `json:"since"`
	Error  string    `json:"error,omitempty"`
}

// Done reports whether nothing is left to come of the purge, as far as was waited for.
func (p *Purged) Done() bool {
	return !p.Unsent && (p.Everywhere == nil || *p.Everywhere) && p.InFront == nil
}

// Purge purges, and waits for up to wait until each process and each cache in front has applied it.
// 0: it does not wait. It also returns the answer as it came.
func (c *Client) Purge(ctx context.Context, p Purge, wait time.Duration) (*Purged, []byte, error) {
	text, err := c.purge(ctx, p, wait)
	if err != nil {
		return nil, nil, err
	}
	to, err := read(c, text, func(p *Purged) bool { return p.Purged != "" })
	return to, text, err
}

// Check finds out whether the door would take a purge, which purges nothing.
func (c *Client) Check(ctx context.Context, p Purge) error {
	p.Check = true
	text, err := c.purge(ctx, p, 0)
	if err != nil {
		return err
	}
	_, err = read(c, text, func(would *struct {
		Would string `json:"would_purge"`
	}) bool {
		return would.Would != ""
	})
	return err
}

func (c *Client) purge(ctx context.Context, p Purge, wait time.Duration) ([]byte, error) {
	var body bytes.Buffer
	in := json.NewEncoder(&body)
	in.SetEscapeHTML(false) // "&" is in many URLs
	if err := in.Encode(p); err != nil {
		return nil, c.fail(Wrong, "cannot be asked: %w", err)
	}
	query := url.Values{}
	if wait > 0 {
		query.Set("wait", wait.String())
	}
	return c.fetch(ctx, askFor+wait, request{"purge", query, body.Bytes()})
}

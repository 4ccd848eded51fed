package cachekitstore

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/httpclient"
)

// Health implements [store.Backend]. It asks the service how it is, with the key. Details have what
// it reports of its version, status, entries and locks, and the version of HTTP.
func (b *Backend) Health(ctx context.Context) (store.Health, error) {
	h := store.Health{Backend: "cachekit"}
	start := time.Now()
	a, err := b.client.Ask(ctx, httpclient.Question{Method: http.MethodGet, Wants: true, Most: maxJSON,
		To: httpclient.At(b.base, "health"), Header: b.telemetry.set})
	if err == nil && a.Status != http.StatusOK {
		err = httpclient.Unexpected(a)
	}
	if err == nil {
		h.Details, err = parseHealth(a.Body)
	}
	if err != nil {
		return h, b.client.Fail(ctx, "health", "", err)
	}
	h.Latency = time.Since(start)
	h.Details["protocol"] = a.Proto
	return h, nil
}

// parseHealth reads what the service says of itself. What it does not say is left out.
func parseHealth(body []byte) (map[string]string, error) {
	var said struct {
		Version string      `json:"version"`
		Status  string      `json:"status"`
		Entries json.Number `json:"cache_entries"`
		Locks   json.Number `json:"active_locks"`
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Version == "" {
		return nil, httpclient.Refusal("the answer has no version: is this the service's API?")
	}
	details := make(map[string]string)
	for name, text := range map[string]string{"version": said.Version, "status": said.Status,
		"entries": said.Entries.String(), "locks": said.Locks.String()} {
		if text != "" {
			details[name] = shown(text)
		}
	}
	return details, nil
}

// shown is a text of the service's as people may see it.
func shown(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, text)
	return text[:min(len(text), 80)]
}

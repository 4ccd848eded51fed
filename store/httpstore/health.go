package httpstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/httpclient"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// healthTTL is the lifetime of the value that Health stores, should nothing remove it.
const healthTTL = 10 * time.Second

// Health implements [store.Backend]. It asks the server to store, return and delete a value, under
// a key that no value has. Details have the server's name for itself and the version of HTTP.
func (b *Backend) Health(ctx context.Context) (store.Health, error) {
	h := store.Health{Backend: "http"}
	key, value := "~health~"+rand.Text(), noted([]byte(rand.Text()), healthTTL, time.Now())
	start := time.Now()
	ask := func(q question, want ...int) (answer, error) {
		q.key = key
		a, err := b.ask(ctx, q)
		if err != nil {
			return a, b.client.Fail(ctx, "health", "", err)
		}
		for _, status := range want {
			if a.Status == status {
				return a, nil
			}
		}
		return a, b.client.Fail(ctx, "health", "", httpclient.Unexpected(a))
	}
	_, err := ask(question{method: http.MethodPut, value: value,
		ttl: lifetime.Units(healthTTL, time.Second)},
		http.StatusOK, http.StatusCreated, http.StatusNoContent)
	if err != nil {
		return h, err
	}
	a, err := ask(question{method: http.MethodGet}, http.StatusOK)
	if err == nil && !bytes.Equal(a.Body, value) {
		err = driver.Refuse("health", "", "server %s: it returned another value than the one that it "+
			"had just stored: is this a server that stores values?", b.base.Host)
	}
	if err != nil {
		return h, err
	}
	if _, err = ask(question{method: http.MethodDelete}, http.StatusOK, http.StatusNoContent); err != nil {
		return h, err
	}
	h.Latency = time.Since(start)
	h.Details = map[string]string{"protocol": a.Proto}
	if name := strings.ToValidUTF8(a.Header.Get("Server"), ""); name != "" {
		h.Details["server"] = name[:min(len(name), 80)]
	}
	return h, nil
}

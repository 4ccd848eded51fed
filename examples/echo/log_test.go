package main

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/freshet-go/freshet/store/memstore"
)

// What readers copy is wired as it should be: the cache has nothing to say about it.
func TestNoAdvice(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&log,
		&slog.HandlerOptions{Level: slog.LevelWarn})))
	kept := memstore.New(64 << 20)
	defer kept.Close()
	app := newApp(kept, 0)
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/report/7", nil))
	if log.Len() > 0 {
		t.Errorf("the log says:\n%s", &log)
	}
}

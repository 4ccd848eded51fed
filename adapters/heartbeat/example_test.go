package heartbeat_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/freshet-go/freshet/adapters/heartbeat"
	"github.com/freshet-go/freshet/store/memstore"
)

func Example() {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	mux := http.NewServeMux()
	mux.Handle(heartbeat.Path, heartbeat.New(heartbeat.Options{
		Log: slog.New(slog.DiscardHandler),
		Probes: map[string]heartbeat.Probe{
			"cache": heartbeat.Store(pages),
			"mail":  func(context.Context) error { return errors.New("connection refused") },
		},
	}))
	mux.Handle(heartbeat.AlivePath, heartbeat.Alive())

	for _, path := range []string{heartbeat.Path, heartbeat.AlivePath} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Println(path, w.Code, w.Body)
	}
	// Output:
	// /__heartbeat__ 503 {"cache":true,"mail":false}
	// /__lbheartbeat__ 200 {}
}

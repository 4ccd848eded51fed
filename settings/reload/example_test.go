package reload_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/settings/reload"
)

// New settings count as a whole, or the old ones stay. Run reloads by itself when the file changes.
func ExampleWatcher_Reload() {
	folder, err := os.MkdirTemp("", "freshet")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "freshet.ini")
	say := func(line string) { os.WriteFile(file, []byte(line+"\n"), 0o600) }

	say("record_cache_expires_seconds = 60")
	w, err := reload.Open(reload.Options{
		Loader: settings.Loader{Resources: []string{"record"}}, File: file,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	w.OnChange(func(s *settings.Settings) error {
		ttl, _ := s.Expires().Lookup("record", nil)
		fmt.Println("records live", ttl) // cache.SetExpires(s.Expires())
		return nil
	})

	say("record_cache_expires_seconds = 5")
	fmt.Println(w.Reload())
	say("record_cache_expires_seconds = soon")
	fmt.Println(w.Reload() != nil)
	ttl, _ := w.Settings().Expires().Lookup("record", nil)
	fmt.Println("records live", ttl)
	// Output:
	// records live 5s
	// <nil>
	// true
	// records live 5s
}

package browsertest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/internal/testserver"
)

// browser is the one that all tests share, each with a profile of its own in it. The first test
// that needs it starts it, and TestMain ends it.
var browser struct {
	once sync.Once
	ctx  context.Context
	end  func()
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if browser.end != nil {
		browser.end()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "the tests passed, but left goroutines behind:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// chromium returns the context of the browser.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := testserver.Require(t, "chromium")
	browser.once.Do(func() { browser.ctx, browser.end, browser.err = start(path) })
	if browser.err != nil {
		t.Fatal(browser.err)
	}
	return browser.ctx
}

// start starts Chromium with a new profile. It talks to nobody but the servers of the tests.
func start(path string) (_ context.Context, end func(), err error) {
	profile, err := os.MkdirTemp("", "freshet-browser-")
	if err != nil {
		return nil, nil, err
	}
	all, cancel := chromedp.NewExecAllocator(context.Background(),
		append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
			chromedp.UserDataDir(profile), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("hide-scrollbars", true), chromedp.Flag("lang", "en-GB"),
			chromedp.Env("TZ=UTC"))...)
	ctx, _ := chromedp.NewContext(all)
	end = func() {
		chromedp.Cancel(ctx)
		cancel()
		os.RemoveAll(profile)
	}
	if err := chromedp.Do(ctx); err != nil {
		end()
		return nil, nil, fmt.Errorf("starting %s: %w", path, err)
	}
	return ctx, end, nil
}

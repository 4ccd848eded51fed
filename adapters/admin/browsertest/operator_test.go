package browsertest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long an operator waits for what should happen soon. Only a failing test takes so
// long, on whatever machine.
const patience = 2 * time.Minute

// operator is somebody with the page open, in a profile of a browser that nobody shares.
type operator struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	wrong    []string // errors of scripts, violations of the policy, messages of the console
	network  []string // what the browser says of requests that failed
	requests []string // URLs
}

// quicker has the page ask ten times a second, where it would every two seconds, and notes
// violations of its policy that the browser tells nobody but the page.
const quicker = `{
	const set = window.setTimeout;
	window.looks = 0; // that the page has planned
	window.setTimeout = (f, ms, ...a) => {
		window.looks += ms === 2000 ? 1 : 0;
		return set(f, ms === 2000 ? 100 : ms, ...a);
	};
	document.addEventListener('securitypolicyviolation', (e) =>
		console.error('violates ' + e.effectiveDirective + ': ' + e.blockedURI + ' ' + e.sample));
}`

// visitDoor opens the page of a site at a width, light or dark.
func visitDoor(t *testing.T, s *site, width int64, scheme string) *operator {
	t.Helper()
	return visitDoorAt(t, s, quicker, width, scheme)
}

// visitDoorAt opens the page with a script that runs before its own.
func visitDoorAt(t *testing.T, s *site, script string, width int64, scheme string) *operator {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium(t), chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	o := &operator{t: t, ctx: ctx}
	o.must(chromedp.Do(ctx))
	o.must(chromedp.Listen(ctx, o.hear))
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	o.must(err)
	_, err = chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument,
		page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	o.must(err)
	o.see(width, scheme, "no-preference")
	o.must(chromedp.Do(ctx, chromedp.Navigate(s.door())))
	return o
}

// see sets the width of the window, and what the operator prefers.
func (o *operator) see(width int64, scheme, motion string) {
	o.t.Helper()
	o.must(chromedp.Do(o.ctx, chromedp.EmulateViewport(width, 800)))
	_, err := chromedp.Call(o.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: motion},
		}})
	o.must(err)
}

// hear notes what the browser says.
func (o *operator) hear(event any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		o.requests = append(o.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		o.wrong = append(o.wrong, fmt.Sprint("exception: ", e.ExceptionDetails.Text, " ",
			e.ExceptionDetails.Exception.Description))
	case *runtime.EventConsoleAPICalled:
		for _, argument := range e.Args {
			o.wrong = append(o.wrong, fmt.Sprintf("console.%s: %s", e.Type, argument.Value))
		}
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceNetwork {
			o.network = append(o.network, e.Entry.Text)
		} else {
			o.wrong = append(o.wrong, fmt.Sprintf("%s: %s", e.Entry.Source, e.Entry.Text))
		}
	}
}

func (o *operator) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// eval returns what an expression of JavaScript is.
func eval[T any](o *operator, expression string) T {
	o.t.Helper()
	v, err := chromedp.Run(o.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		o.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// waits waits until an expression is true. One that fails, as it may while a page loads, is not.
func (o *operator) waits(expression string) {
	o.t.Helper()
	is := chromedp.Evaluate[bool]("!!(" + expression + ")")
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if yes, err := chromedp.Run(o.ctx, is); err == nil && yes {
			return
		}
		if time.Now().After(end) {
			o.t.Fatalf("this did not become true: %s\nthe page:\n%s\nwrong: %q\nnetwork: %q",
				expression, eval[string](o, "document.body.innerText.slice(0, 3000)"), o.wrong, o.network)
		}
	}
}

// reads waits until an element shows a text.
func (o *operator) reads(selector, text string) {
	o.t.Helper()
	o.waits(fmt.Sprintf("document.querySelector(%q).innerText.includes(%q)", selector, text))
}

// text returns what an element shows.
func (o *operator) text(selector string) string {
	o.t.Helper()
	return eval[string](o, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// asks waits until the page has drawn n more answers of the door.
func (o *operator) asks(n int) {
	o.t.Helper()
	o.waits(fmt.Sprintf("+document.body.dataset.drawn >= %d",
		eval[int](o, "+document.body.dataset.drawn || 0")+n))
}

// types types a text, or keys, where the focus is.
func (o *operator) types(keys string) {
	o.t.Helper()
	o.must(chromedp.Do(o.ctx, chromedp.KeyEvent(keys)))
}

// fills puts a text in a field, in place of what it has, as a paste does. With a carriage return at
// its end, the operator presses Enter.
func (o *operator) fills(selector, text string) {
	o.t.Helper()
	eval[bool](o, fmt.Sprintf("(document.querySelector(%q).select(), true)", selector))
	o.must(chromedp.Do(o.ctx, chromedp.Focus(chromedp.CSS(selector))))
	line, enter := strings.CutSuffix(text, "\r")
	_, err := chromedp.Call(o.ctx, input.InsertText, input.InsertTextParams{Text: line})
	o.must(err)
	if enter {
		o.types(kb.Enter)
	}
}

// presses presses a button, or ticks a box, by the space bar: a click of the mouse could miss what
// moves while the page is drawn.
func (o *operator) presses(selector string) {
	o.t.Helper()
	o.must(chromedp.Do(o.ctx, chromedp.Focus(chromedp.CSS(selector))))
	o.types(" ")
}

// behaves fails unless the page has broken nothing: no script failed, nothing offended the policy,
// nobody but the site was asked, and the window does not scroll sideways.
func (o *operator) behaves(s *site) {
	o.t.Helper()
	if o.network != nil {
		o.t.Errorf("requests failed: %q", o.network)
	}
	o.behavesWithout(s)
}

// behavesWithout is behaves for when the door does not answer.
func (o *operator) behavesWithout(s *site) {
	o.t.Helper()
	o.fits()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, wrong := range o.wrong {
		o.t.Error(wrong)
	}
	for _, request := range o.requests {
		u, err := url.Parse(request)
		if err != nil || u.Host != s.address || !strings.HasPrefix(u.Path, "/__freshet__/") {
			o.t.Errorf("the page asked for %s", request)
		}
	}
	if len(o.requests) == 0 {
		o.t.Error("no request was seen")
	}
}

// fits fails when the page is wider than the window.
func (o *operator) fits() {
	o.t.Helper()
	if wide := eval[string](o, `(() => {
		const width = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= width) return '';
		return [...document.querySelectorAll('body *')].filter((e) =>
			e.getBoundingClientRect().right > width + 1).map((e) => e.tagName + '#' + e.id + '.' +
			e.className).slice(0, 5).join(' ') || 'something';
	})()`); wide != "" {
		o.t.Errorf("the page scrolls sideways at %d px: %s",
			eval[int](o, "document.documentElement.clientWidth"), wide)
	}
}

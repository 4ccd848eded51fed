package browsertest

import (
	"testing"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"

	"github.com/freshet-go/freshet"
)

// A page that stays open while the app restarts says so, and goes on by itself.
func TestTheAppRestarts(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	s.visit("/a", "/a", "/b")
	o := visitDoor(t, s, 360, "light")
	o.reads("#results", "hit")
	s.stop()
	o.reads("#state", "The app does not answer: it cannot be reached. What you see is from")
	o.waits("document.body.dataset.state === 'bad' && document.title.startsWith('✖')")
	o.contrasts()
	s.start()
	o.reads("#state", "The app has restarted at")
	o.reads("#state", "All is well")
	o.reads("#results", "No request has come yet")
	o.picture("restarted")
	s.visit("/c")
	o.reads("#misses", "/c")
	const noNumber = `/-\d|NaN|undefined|Infinity/.test(document.querySelector('main').innerText)`
	if text := o.text("body"); text == "" || eval[bool](o, noNumber) {
		t.Errorf("the page shows what is no number:\n%s", text)
	}
	o.behavesWithout(s)
}

// An app that takes connections and says nothing is one that does not answer.
func TestTheAppHangs(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	o := visitDoor(t, s, 1280, "dark")
	o.asks(1)
	hold := make(chan struct{})
	s.hold.Store(&hold)
	o.reads("#state", "The app does not answer: no answer within 10 s")
	s.hold.Store(nil)
	close(hold)
	o.reads("#state", "All is well")
	o.behavesWithout(s)
}

// A door that has another token is asked seldom, and the browser asks for no password beneath the
// page, until the operator wants to log in.
func TestTheTokenIsGone(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	s.visit("/a")
	o := visitDoor(t, s, 360, "dark")
	o.reads("#misses", "/a")
	const next = "the token that comes after it"
	s.opensTo(next)
	o.reads("#state", "The door does not accept your token any more")
	o.contrasts()
	o.picture("token gone")
	if !eval[bool](o, "window.looks === +document.body.dataset.drawn") {
		t.Error("the page goes on asking as often as before")
	}
	// what the operator does is refused, in words
	o.fills("#look-url", "/a\r")
	o.reads("#look-wrong", "this door needs a token")
	o.picks("all")
	o.presses("#purge button")
	o.presses("#purge-now")
	o.reads("#purged", "Not purged: this door needs a token")
	if s.visit("/a"); s.ran("/a") != 1 {
		t.Errorf("the handler ran %d times", s.ran("/a"))
	}
	o.behavesWithout(s)

	o.logsInWith(next)
	o.presses("#state button")
	o.reads("#state", "All is well")
	o.reads("#misses", "/a")
}

// logsInWith answers the browser when it asks for a password from now on.
func (o *operator) logsInWith(password string) {
	o.t.Helper()
	asked := chromedp.Events(o.ctx, fetch.AuthRequired)
	paused := chromedp.Events(o.ctx, fetch.RequestPaused)
	_, err := chromedp.Call(o.ctx, fetch.Enable, fetch.EnableParams{HandleAuthRequests: new(true)})
	o.must(err)
	go func() {
		for e, err := range paused {
			if err != nil {
				return
			}
			chromedp.Call(o.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
		}
	}()
	go func() {
		for e, err := range asked {
			if err != nil {
				return
			}
			chromedp.Call(o.ctx, fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{
				RequestID: e.RequestID, AuthChallengeResponse: &fetch.AuthChallengeResponse{
					Response: fetch.AuthChallengeResponseResponseProvideCredentials,
					Username: "operator", Password: password,
				}})
		}
	}()
}

package main

import (
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/settings"
)

// follow applies new settings while the proxy runs: all of them are checked, and those that can
// change count from then on. A flag on the command line goes before them, as it did at the start.
func (f *proxyFlags) follow(args, environ []string) {
	f.watch.OnChange(func(s *settings.Settings) error {
		next, set, err := parseProxyFlags(args)
		if err == nil {
			err = next.take(set, s, environ)
		}
		if err == nil {
			err = next.notices.check()
		}
		if err != nil {
			return err
		}
		if err := f.board.Set(next.notices.fields); err != nil {
			return err
		}
		f.live.Use(next.rules)
		for _, warning := range next.notices.warnings(time.Now()) {
			f.source.log.Warn("freshet proxy: " + warning)
		}
		return nil
	})
}

// newPolicy is the policy that the flags ask for.
func (f *proxyFlags) newPolicy() *freshet.Policy {
	p := proxy.Policy()
	p.Heuristic = f.heuristics
	if p.HeuristicDocumentMax = f.documents; f.documents == 0 {
		p.HeuristicDocumentMax = -1
	}
	p.StoreCookies = f.storeCookies
	p.PassCookies, p.IgnoreCookies = f.passCookies, f.ignored
	p.StaleWhileRevalidate, p.StaleIfError = f.swr, f.sie
	p.MaxBody = f.maxBody
	return &p
}

package main

import (
	"cmp"
	"log/slog"

	"github.com/freshet-go/freshet/adapters/statsd"
	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/store/open"
)

// statsdGroup are the settings of who sends metrics. They are the app's as well, as those of the
// store are, and have no flags.
var statsdGroup = group{title: "metrics to statsd", rows: statsd.Settings()}

// sender sends what a proxy does to a statsd server. Nil sends nothing.
type sender struct {
	client *statsd.Client
	meter  *metrics.Meter
}

// newSender returns a sender, or nil if no server is set. An app and a proxy before it may share a
// file: the proxy's names have "proxy." behind the prefix.
func newSender(o statsd.Options, log *slog.Logger) (*sender, error) {
	if o.URL == "" {
		return nil, nil
	}
	o.Prefix, o.Log = cmp.Or(o.Prefix, statsd.DefaultPrefix)+".proxy", log
	client, err := statsd.New(o)
	if err != nil {
		return nil, err
	}
	return &sender{client, metrics.New()}, nil
}

// times has the calls of a store timed that is opened with o.
func (s *sender) times(o *open.Options) {
	if s != nil {
		o.Wrap = s.client.Backend
	}
}

func (s *sender) reports(p *proxy.Proxy) {
	if s != nil {
		s.client.Report(s.meter, p.Stats)
	}
}

func (s *sender) close() {
	if s != nil {
		s.client.Close()
	}
}

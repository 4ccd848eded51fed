// Package akamai purges what Akamai has cached, by its Fast Purge API: tags and URLs, and CP codes
// in the place of prefixes and of everything. It follows
// https://techdocs.akamai.com/purge-cache/reference/api.
package akamai

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/internal/call"
	"github.com/freshet-go/freshet/policy"
)

// TagField is the response field in which Akamai reads tags, with commas between them, in their
// case. For Policy.SendTags. Akamai keeps 128 tags of a response.
const TagField = "Edge-Cache-Tag"

const (
	maxTag  = 128
	maxBody = 50_000 // bytes; a call of more is answered 413
	frame   = 64     // bytes of a body around its objects, with some to spare
	// busyPause is how long Akamai wants to be left alone after a 429 that does not say so.
	busyPause = 5 * time.Second
)

// Options say what to call, and by which credentials: those of a client with access to the API
// "CCU APIs", as .edgerc has them.
type Options struct {
	// Host is the host of the credentials, "akab-….luna.akamaiapis.net". Required.
	Host string
	// ClientToken, ClientSecret and AccessToken are required.
	ClientToken, ClientSecret, AccessToken string
	// Staging purges Akamai's staging network. Default: production.
	Staging bool
	// CPCodes are purged in the place of prefixes and of everything, which Akamai's API does not
	// know. Without any, such purges are errors.
	CPCodes []int
	// Timeout bounds each call. Default 10 seconds.
	Timeout time.Duration
	// Client makes the calls. It does not follow redirects, whatever it says. Nil: one like
	// http.DefaultClient.
	Client *http.Client
}

// Target is what Akamai caches for one set of credentials. It is safe for concurrent use.
type Target struct {
	o                  Options
	calls, tags, urls  *call.Rate
	codes              *call.Rate
	client             *call.Client
	credentials        credentials
	network, name, api string
}

// New returns the target. An error says what in the options cannot work.
func New(o Options) (*Target, error) {
	err := call.Words("akamai", "Host", o.Host, "ClientToken", o.ClientToken, "ClientSecret",
		o.ClientSecret, "AccessToken", o.AccessToken)
	if err != nil {
		return nil, err
	}
	host := strings.TrimSuffix(strings.TrimPrefix(o.Host, "https://"), "/")
	t := &Target{o: o, network: "production"}
	if t.api, err = call.Origin("akamai", "https://"+host, ""); err != nil {
		return nil, fmt.Errorf("akamai: New: Options.Host is no host: write it as .edgerc has it")
	}
	if o.Staging {
		t.network = "staging"
	}
	t.name = "akamai:" + t.network + ":" + host
	t.credentials = credentials{o.ClientToken, o.ClientSecret, o.AccessToken}
	// per account: other processes count, too, so that Akamai may still answer 429
	t.calls = call.NewRate(50, time.Second, 100)
	t.tags = call.NewRate(500, time.Minute, 5000)
	t.urls = call.NewRate(12_000, time.Minute, 10_000)
	t.codes = call.NewRate(30, time.Minute, 300)
	t.client = call.New(t.name, o.Client, o.Timeout, o.ClientSecret, o.AccessToken, o.ClientToken)
	t.client = t.client.Advising("check that Options.Host, ClientToken, ClientSecret and " +
		"AccessToken are of one section of .edgerc, that this client may write to the API \"CCU " +
		"APIs\", and that this machine's clock is right")
	return t, nil
}

// Name implements [cdn.Target]: "akamai:", the network and the host of the credentials.
func (t *Target) Name() string { return t.name }

// Check implements [cdn.Checker].
func (t *Target) Check(p cdn.Purge) error {
	if err := t.client.CheckTags(p.Tags, TagField, maxTag, "Akamai takes"); err != nil {
		return err
	}
	if p.ByRequest && len(p.Prefixes) > 0 {
		return t.client.Refuse("Akamai cannot purge a prefix, and a client's request does not " +
			"purge Options.CPCodes: give these pages a tag, and purge that")
	}
	if (p.All || len(p.Prefixes) > 0) && len(t.o.CPCodes) == 0 {
		return t.client.Refuse("Akamai cannot purge a prefix or everything: purge a tag, or give " +
			"Options.CPCodes, which are then purged in their place")
	}
	return nil
}

// Purge implements [cdn.Target]. Tags and URLs go in calls of at most 50,000 bytes, at the rates
// that Akamai allows. A soft purge invalidates: what is covered is revalidated, and served while
// the app is lost. A hard one deletes. Prefixes and everything are Options.CPCodes; of a client's
// request a prefix is refused. Clients' requests leave half of each rate to the app.
func (t *Target) Purge(ctx context.Context, p cdn.Purge) error {
	p, err := p.Clean()
	if err != nil {
		return t.client.Refuse("%v", err)
	}
	if err := t.Check(p); err != nil {
		return err
	}
	steps, err := t.steps(p)
	if err != nil {
		return err
	}
	return t.client.Run(ctx, p, steps)
}

func (t *Target) steps(p cdn.Purge) (steps []call.Step, err error) {
	verb := "delete"
	if p.Soft {
		verb = "invalidate"
	}
	add := func(covers cdn.Purge, kind string, rate *call.Rate, n int, objects any) {
		var body bytes.Buffer
		e := json.NewEncoder(&body)
		e.SetEscapeHTML(false) // which would make a body longer than it was counted
		err = errors.Join(err, e.Encode(map[string]any{"objects": objects}))
		steps = append(steps, call.Step{Covers: covers, Do: func(ctx context.Context) error {
			if err := t.client.Pace(rate, n, p.ByRequest); err != nil {
				return err
			}
			if err := t.client.Pace(t.calls, 1, p.ByRequest); err != nil {
				return err
			}
			return t.post(ctx, "/ccu/v3/"+verb+"/"+kind+"/"+t.network, body.Bytes())
		}})
	}
	if p.All || len(p.Prefixes) > 0 {
		add(p, "cpcode", t.codes, len(t.o.CPCodes), t.o.CPCodes)
		return steps, err
	}
	// what a tag is sent as has at most maxTag bytes
	for _, tags := range call.Chunks(p.Tags, (maxBody-frame)/(maxTag+3), maxBody, 0) {
		var sent []string
		for _, tag := range tags {
			sent = append(sent, policy.SentTag(TagField, tag))
		}
		add(cdn.Purge{Tags: tags}, "tag", t.tags, len(tags), sent)
	}
	for _, urls := range call.Chunks(p.URLs, 10_000, maxBody-frame, 3) {
		add(cdn.Purge{URLs: urls}, "url", t.urls, len(urls), urls)
	}
	return steps, err
}

func (t *Target) post(ctx context.Context, path string, body []byte) error {
	u, err := url.Parse(t.api + path)
	if err != nil {
		return err
	}
	h := http.Header{"Content-Type": {"application/json"}, "Authorization": {
		t.credentials.authorization(u, body, time.Now(), rand.Text())}}
	a, err := t.client.Do(ctx, http.MethodPost, u.String(), h, "", body)
	if e, ok := errors.AsType[*cdn.Error](err); ok && e.Status == http.StatusTooManyRequests &&
		e.RetryAfter == 0 {
		e.RetryAfter = busyPause
	}
	if err != nil {
		return err
	}
	var said struct{ HTTPStatus int }
	if err := json.Unmarshal(a.Body, &said); err != nil || said.HTTPStatus != 201 {
		return t.client.Fail(cdn.KindTemporary, a, "the answer does not say that the purge was "+
			"taken: "+t.client.Excerpt(a))
	}
	return nil
}

// Package fastly purges a service of Fastly: surrogate keys, URLs and everything, hard or soft. It
// follows https://www.fastly.com/documentation/reference/api/purging/.
package fastly

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/internal/call"
	"github.com/freshet-go/freshet/policy"
)

// TagField is the response field in which Fastly reads tags, with spaces between them; it does not
// pass it on to clients. For Policy.SendTags. Fastly keeps at most 16 KiB of it.
const TagField = "Surrogate-Key"

const (
	maxKeys   = 256     // in one call
	maxKey    = 1 << 10 // bytes of one key
	maxCalled = 7 << 10 // bytes of a URL in the path of a call
	// clientURLs is how many URLs of clients' requests go in a second.
	clientURLs = 10
)

// Options say which service, and how to call Fastly.
type Options struct {
	// Service is the service's ID. Required.
	Service string
	// Token is an API token that may purge: of scope purge_select, and purge_all where prefixes
	// or everything are purged. Required.
	Token string
	// Address is where the API is. Default "https://api.fastly.com".
	Address string
	// Timeout bounds each call. Default 10 seconds.
	Timeout time.Duration
	// Client makes the calls. It does not follow redirects, whatever it says. Nil: one like
	// http.DefaultClient.
	Client *http.Client
}

// Target is one service. It is safe for concurrent use.
type Target struct {
	o       Options
	clients *call.Rate // of clients' URLs, so that they do not use up what Fastly allows
	client  *call.Client
}

// New returns the target. An error says what in the options cannot work.
func New(o Options) (*Target, error) {
	err := call.Segment("fastly", "Service", o.Service)
	if err == nil {
		err = call.Words("fastly", "Token", o.Token)
	}
	if err != nil {
		return nil, err
	}
	if o.Address, err = call.Origin("fastly", o.Address, "https://api.fastly.com"); err != nil {
		return nil, err
	}
	t := &Target{o: o, clients: call.NewRate(clientURLs, time.Second, 10*clientURLs)}
	t.client = call.New(t.Name(), o.Client, o.Timeout, o.Token).Advising("check that " +
		"Options.Token is a token of Fastly's that has not expired, may purge_select (and " +
		"purge_all, for prefixes and everything), and has access to the service of Options.Service")
	return t, nil
}

// Name implements [cdn.Target]: "fastly:" and the service's ID.
func (t *Target) Name() string { return "fastly:" + t.o.Service }

// Check implements [cdn.Checker].
func (t *Target) Check(p cdn.Purge) error {
	if err := t.client.CheckTags(p.Tags, TagField, maxKey, "a surrogate key has"); err != nil {
		return err
	}
	if p.ByRequest && len(p.Prefixes) > 0 {
		return t.client.Refuse("Fastly has no prefixes, and a client's request purges not " +
			"everything: give these pages a tag, and purge that")
	}
	for _, each := range p.URLs {
		if len(each) > maxCalled {
			return t.client.Refuse("the URL %.64q… has %d bytes: at most %d fit a call", each,
				len(each), maxCalled)
		}
	}
	return nil
}

// Purge implements [cdn.Target]. Tags go 256 at a time, URLs one by one; http and https are one for
// Fastly. It has no prefixes: a purge with one becomes one of everything, and that is always hard;
// of a client's request it is refused. Of clients' requests at most 10 URLs a second go.
func (t *Target) Purge(ctx context.Context, p cdn.Purge) error {
	return t.client.Purge(ctx, t, p, t.steps)
}

func (t *Target) steps(p cdn.Purge) (steps []call.Step) {
	if p.All || len(p.Prefixes) > 0 {
		return []call.Step{{Covers: p, Do: func(ctx context.Context) error {
			a, err := t.post(ctx, "/service/"+t.o.Service+"/purge_all", false, nil)
			if err != nil {
				return err
			}
			return t.isOK(a)
		}}}
	}
	for tags := range slices.Chunk(p.Tags, maxKeys) {
		steps = append(steps, call.Step{Covers: cdn.Purge{Tags: tags},
			Do: func(ctx context.Context) error { return t.keys(ctx, tags, p.Soft) }})
	}
	for _, same := range call.BySchemeless(p.URLs) {
		steps = append(steps, call.Step{Covers: cdn.Purge{URLs: same},
			Do: func(ctx context.Context) error {
				if p.ByRequest {
					if err := t.client.Pace(t.clients, 1, false); err != nil {
						return err
					}
				}
				_, rest, _ := strings.Cut(same[0], "://")
				a, err := t.post(ctx, "/purge/"+rest, p.Soft, nil)
				if err != nil {
					return err
				}
				return t.isOK(a)
			}})
	}
	return steps
}

// keys purges surrogate keys. The answer has an ID for each that was taken.
func (t *Target) keys(ctx context.Context, tags []string, soft bool) error {
	var asked struct {
		Keys []string `json:"surrogate_keys"`
	}
	for _, tag := range tags {
		asked.Keys = append(asked.Keys, policy.SentTag(TagField, tag))
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	a, err := t.post(ctx, "/service/"+t.o.Service+"/purge", soft, body)
	if err != nil {
		return err
	}
	var taken map[string]any
	if err := json.Unmarshal(a.Body, &taken); err != nil {
		return t.client.Fail(cdn.KindTemporary, a, "the answer is not what Fastly answers: "+
			t.client.Excerpt(a))
	}
	for _, key := range asked.Keys {
		if taken[key] == nil {
			return t.client.Fail(cdn.KindTemporary, a, fmt.Sprintf("the answer names no purge of "+
				"the key %.64q", key))
		}
	}
	return nil
}

func (t *Target) isOK(a *call.Answer) error {
	var said struct{ Status string }
	if err := json.Unmarshal(a.Body, &said); err != nil || said.Status != "ok" {
		return t.client.Fail(cdn.KindTemporary, a, "the answer does not say ok: "+
			t.client.Excerpt(a))
	}
	return nil
}

func (t *Target) post(
	ctx context.Context, path string, soft bool, body []byte,
) (*call.Answer, error) {
	h := http.Header{"Fastly-Key": {t.o.Token}, "Accept": {"application/json"}}
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	if soft {
		h.Set("Fastly-Soft-Purge", "1")
	}
	a, err := t.client.Do(ctx, http.MethodPost, t.o.Address+path, h, "", body)
	if e, ok := errors.AsType[*cdn.Error](err); ok && a != nil && e.RetryAfter == 0 {
		e.RetryAfter = untilReset(a.Header, time.Now())
	}
	return a, err
}

// untilReset returns how long an answer of 429 wishes to be left alone: Fastly says until when, in
// seconds of Unix time, and mostly no Retry-After.
func untilReset(h http.Header, now time.Time) time.Duration {
	at, err := strconv.ParseInt(h.Get("Fastly-RateLimit-Reset"), 10, 64)
	if err != nil || h.Get("Fastly-RateLimit-Remaining") != "0" {
		return 0
	}
	return max(0, time.Unix(at, 0).Sub(now))
}

// Package cloudflare purges a zone of Cloudflare: tags, URLs, prefixes and everything, which all
// plans can. It follows https://developers.cloudflare.com/cache/how-to/purge-cache/.
package cloudflare

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/internal/call"
	"github.com/freshet-go/freshet/policy"
)

// TagField is the response field in which Cloudflare reads tags, with commas between them; it does
// not pass it on to clients. For Policy.SendTags. Cloudflare keeps at most 16 KiB of it, and does
// not tell the case of letters apart.
const TagField = "Cache-Tag"

// Plan is what is paid for, on which the rate of purges depends.
type Plan uint8

const (
	Free       Plan = iota // 5 calls a minute, 25 at once; 800 URLs a second
	Pro                    // 5 calls a second, 25 at once; 1,500 URLs a second
	Business               // 10 calls a second, 50 at once; 1,500 URLs a second
	Enterprise             // 50 calls a second, 500 at once; 3,000 URLs a second
)

// limits are what a plan allows.
type limits struct {
	calls float64 // in each per
	per   time.Duration
	burst int
	urls  float64 // a second
	files int     // URLs in one call
}

var plans = [...]limits{
	Free:       {5, time.Minute, 25, 800, 100},
	Pro:        {5, time.Second, 25, 1500, 100},
	Business:   {10, time.Second, 50, 1500, 100},
	Enterprise: {50, time.Second, 500, 3000, 500},
}

const (
	maxTags       = 100     // in one call
	maxTag        = 1 << 10 // bytes
	maxPrefixes   = 30      // in one call: the page on prefixes says less than that on limits
	maxSeparators = 31      // slashes in a prefix
)

// Options say which zone, and how to call Cloudflare.
type Options struct {
	// Zone is the zone's ID. Required.
	Zone string
	// Token is an API token with the permission Cache Purge for the zone. Required.
	Token string
	// Plan is the account's plan, whose rate the target keeps by itself; other processes and zones
	// of the account count, too, so that Cloudflare may still answer 429. Default Free.
	Plan Plan
	// Address is where the API is. Default "https://api.cloudflare.com".
	Address string
	// Timeout bounds each call. Default 10 seconds.
	Timeout time.Duration
	// Client makes the calls. It does not follow redirects, whatever it says. Nil: one like
	// http.DefaultClient.
	Client *http.Client
}

// Target is one zone. It is safe for concurrent use.
type Target struct {
	o           Options
	limits      limits
	calls, urls *call.Rate
	client      *call.Client
}

// New returns the target. An error says what in the options cannot work.
func New(o Options) (*Target, error) {
	err := call.Segment("cloudflare", "Zone", o.Zone)
	if err == nil {
		err = call.Words("cloudflare", "Token", o.Token)
	}
	if err != nil {
		return nil, err
	}
	if int(o.Plan) >= len(plans) {
		return nil, fmt.Errorf("cloudflare: New: Options.Plan is %d: allowed are Free, Pro, "+
			"Business and Enterprise", o.Plan)
	}
	o.Address, err = call.Origin("cloudflare", o.Address, "https://api.cloudflare.com")
	if err != nil {
		return nil, err
	}
	t := &Target{o: o, limits: plans[o.Plan]}
	t.calls = call.NewRate(t.limits.calls, t.limits.per, t.limits.burst)
	t.urls = call.NewRate(t.limits.urls, time.Second, int(t.limits.urls))
	t.client = call.New(t.Name(), o.Client, o.Timeout, o.Token).Advising("check that " +
		"Options.Token is an API token (no global API key) that has not expired and has the " +
		"permission Cache Purge for the zone, and that Options.Zone is the zone's ID, not its name")
	return t, nil
}

// Name implements [cdn.Target]: "cloudflare:" and the zone's ID.
func (t *Target) Name() string { return "cloudflare:" + t.o.Zone }

// Check implements [cdn.Checker].
func (t *Target) Check(p cdn.Purge) error {
	if err := t.client.CheckTags(p.Tags, TagField, maxTag, "Cloudflare takes"); err != nil {
		return err
	}
	for _, raw := range p.Prefixes {
		_, rest, _ := strings.Cut(raw, "://")
		if p.ByRequest && prefix(raw) != rest {
			return t.client.Refuse("the prefix %.64q… of a client's request has a query or more "+
				"than %d slashes: Cloudflare could only purge a shorter one", raw, maxSeparators)
		}
	}
	return nil
}

// Purge implements [cdn.Target]. Tags go 100 at a time, prefixes 30, and URLs 100 (with Enterprise
// 500). A prefix that reaches into a query becomes that of its path, and one of more than 31
// slashes is cut there; of a client's request both are refused. There is no soft purge: what is
// covered goes. Clients' requests leave half of each rate to the app.
func (t *Target) Purge(ctx context.Context, p cdn.Purge) error {
	return t.client.Purge(ctx, t, p, t.steps)
}

func (t *Target) steps(p cdn.Purge) (steps []call.Step) {
	add := func(covers cdn.Purge, rate *call.Rate, n int, body any) {
		steps = append(steps, call.Step{Covers: covers, Do: func(ctx context.Context) error {
			if err := t.client.Pace(rate, n, p.ByRequest); err != nil {
				return err
			}
			return t.post(ctx, body)
		}})
	}
	if p.All {
		add(p, t.calls, 1, map[string]bool{"purge_everything": true})
		return steps
	}
	for tags := range slices.Chunk(p.Tags, maxTags) {
		var sent []string
		for _, tag := range tags {
			sent = append(sent, policy.SentTag(TagField, tag))
		}
		add(cdn.Purge{Tags: tags}, t.calls, 1, map[string][]string{"tags": sent})
	}
	for urls := range slices.Chunk(p.URLs, t.limits.files) {
		add(cdn.Purge{URLs: urls}, t.urls, len(urls), map[string][]string{"files": urls})
	}
	for same := range slices.Chunk(call.Group(p.Prefixes, prefix), maxPrefixes) {
		add(cdn.Purge{Prefixes: slices.Concat(same...)}, t.calls, 1,
			map[string][]string{"prefixes": call.Texts(same, prefix)})
	}
	return steps
}

// prefix returns a prefix as Cloudflare takes it: without the scheme, a query and too many slashes.
func prefix(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	rest, _, _ = strings.Cut(rest, "?")
	slashes := 0
	for i := range len(rest) {
		if rest[i] != '/' {
			continue
		}
		if slashes++; slashes > maxSeparators {
			return rest[:i]
		}
	}
	return rest
}

func (t *Target) post(ctx context.Context, what any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	h := http.Header{"Authorization": {"Bearer " + t.o.Token},
		"Content-Type": {"application/json"}}
	a, err := t.client.Do(ctx, http.MethodPost,
		t.o.Address+"/client/v4/zones/"+t.o.Zone+"/purge_cache", h, "", body)
	if err != nil {
		return err
	}
	var said struct{ Success bool }
	if err := json.Unmarshal(a.Body, &said); err != nil || !said.Success {
		return t.client.Fail(cdn.KindTemporary, a, "the answer does not say success: "+
			t.client.Excerpt(a))
	}
	return nil
}

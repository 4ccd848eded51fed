// Package cloudfront purges a distribution of Amazon CloudFront: tags, where the distribution has a
// CacheTagConfig, paths and everything. It follows
// https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html.
//
// It is a module of its own: the signature of AWS (Signature Version 4) is aws/signer/v4 of the AWS
// SDK, which brings 27 more packages along.
package cloudfront

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/internal/call"
	"github.com/freshet-go/freshet/policy"
)

// TagField is the response field in which CloudFront reads tags, if the distribution's
// CacheTagConfig has it as HeaderName: with commas between them, whatever their case. For
// Policy.SendTags. CloudFront keeps 50 tags of a response.
const TagField = "Cache-Tag"

const (
	maxTag       = 256
	maxPath      = 4000 // bytes
	maxPaths     = 1000 // in one call: a third of what may be in progress at once
	maxWildcards = 15   // in one call: all that may be in progress at once
	confirmPause = 2 * time.Second

	maxClientPaths = 1_000_000
)

// Options say which distribution, and how to call CloudFront.
type Options struct {
	// Distribution is the distribution's ID. Required.
	Distribution string
	// Credentials may call cloudfront:CreateInvalidation, and GetInvalidation with Confirm: an
	// aws.Config's Credentials, or [Keys]. Required.
	Credentials aws.CredentialsProvider
	// Confirm has Purge wait until CloudFront says that the invalidation is completed, on all of
	// its servers. That takes from seconds to some minutes: give an Outbox a SendTimeout of as
	// much. What is not completed by then is invalidated again. Default: an invalidation that has
	// begun is taken.
	Confirm bool
	// ClientPaths bounds how many paths and tags that clients' requests have changed are purged in
	// an hour, by this process: CloudFront has them paid, beyond 1,000 a month, and has a bound for
	// how many are in progress. Others wait, up to the outbox's MaxOwed. At most a million. Default
	// 1,000. Negative: none are purged.
	ClientPaths int
	// Address is where the API is. Default "https://cloudfront.amazonaws.com".
	Address string
	// Timeout bounds each call. Default 10 seconds.
	Timeout time.Duration
	// Client makes the calls. It does not follow redirects, whatever it says. Nil: one like
	// http.DefaultClient.
	Client *http.Client
}

// Keys returns credentials that do not change. The session may be empty.
func Keys(id, secret, session string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: session},
			nil
	})
}

// Target is one distribution. It is safe for concurrent use.
type Target struct {
	o      Options
	paths  *call.Rate // of clients' requests
	client *call.Client
}

// New returns the target. An error says what in the options cannot work.
func New(o Options) (*Target, error) {
	err := call.Segment("cloudfront", "Distribution", o.Distribution)
	if err != nil {
		return nil, err
	}
	if o.Credentials == nil {
		return nil, errors.New("cloudfront: New: Options.Credentials is nil: give it the " +
			"Credentials of an aws.Config, or cloudfront.Keys")
	}
	o.Address, err = call.Origin("cloudfront", o.Address, "https://cloudfront.amazonaws.com")
	if err != nil {
		return nil, err
	}
	if o.ClientPaths > maxClientPaths {
		return nil, fmt.Errorf("cloudfront: New: Options.ClientPaths is %d: at most %d are allowed",
			o.ClientPaths, maxClientPaths)
	}
	if o.ClientPaths == 0 {
		o.ClientPaths = maxPaths
	}
	t := &Target{o: o}
	if o.ClientPaths > 0 {
		t.paths = call.NewRate(float64(o.ClientPaths), time.Hour, o.ClientPaths)
	}
	t.client = call.New(t.Name(), o.Client, o.Timeout).Advising("check that Options.Credentials " +
		"have not expired and allow cloudfront:CreateInvalidation (with Options.Confirm " +
		"GetInvalidation as well) for the distribution of Options.Distribution, and that this " +
		"machine's clock is right")
	return t, nil
}

// Name implements [cdn.Target]: "cloudfront:" and the distribution's ID.
func (t *Target) Name() string { return "cloudfront:" + t.o.Distribution }

// Check implements [cdn.Checker].
func (t *Target) Check(p cdn.Purge) error {
	if err := t.client.CheckTags(p.Tags, TagField, maxTag, "CloudFront takes"); err != nil {
		return err
	}
	if !p.ByRequest {
		return nil
	}
	if t.o.ClientPaths < 0 {
		return t.client.Refuse("Options.ClientPaths is negative: what clients' requests have " +
			"changed stays until its lifetime ends")
	}
	for _, raw := range p.URLs {
		if isWild(raw) {
			return t.client.Refuse("the URL %.64q of a client's request has a \"~\", ends in a \"*\" or "+
				"has more than %d bytes: CloudFront could only purge all that begins like it",
				raw, maxPath)
		}
	}
	if len(p.Prefixes) > 0 {
		return t.client.Refuse("the prefix %.64q is a client's request's: CloudFront would purge it on "+
			"all hosts, and has few wildcards at once, which are for the app", p.Prefixes[0])
	}
	return nil
}

// isWild reports whether a URL becomes a wildcard, also where CloudFront unescapes it.
func isWild(raw string) bool {
	target := strings.ToLower(path(raw))
	return strings.HasSuffix(target, "*") || strings.HasSuffix(target, "%2a")
}

// Purge implements [cdn.Target]. Tags and URLs go 1,000 at a time, prefixes 15. CloudFront knows
// paths and no hosts: a path is purged for all hosts of the distribution. A URL with a "~", with a
// "*" at its end or of more than 4,000 bytes becomes the prefix before that, since CloudFront
// cannot name it; of a client's request such URLs and all prefixes are refused. There is no soft
// purge: what is covered goes.
func (t *Target) Purge(ctx context.Context, p cdn.Purge) error {
	return t.client.Purge(ctx, t, p, t.steps)
}

func (t *Target) steps(p cdn.Purge) (steps []call.Step) {
	add := func(covers cdn.Purge, paths []string) {
		steps = append(steps, call.Step{Covers: covers, Do: func(ctx context.Context) error {
			if p.ByRequest {
				if err := t.client.Pace(t.paths, len(paths), false); err != nil {
					return err
				}
			}
			return t.invalidate(ctx, paths)
		}})
	}
	if p.All {
		add(p, []string{"/*"})
		return steps
	}
	most := maxPaths
	if p.ByRequest {
		most = min(most, t.o.ClientPaths)
	}
	for tags := range slices.Chunk(p.Tags, most) {
		add(cdn.Purge{Tags: tags}, call.Texts(call.Group(tags, tagged), tagged))
	}
	var plain, wild [][]string
	for _, same := range call.Group(p.URLs, path) {
		if strings.HasSuffix(path(same[0]), "*") {
			wild = append(wild, same)
		} else {
			plain = append(plain, same)
		}
	}
	for some := range slices.Chunk(plain, most) {
		add(cdn.Purge{URLs: slices.Concat(some...)}, call.Texts(some, path))
	}
	for some := range slices.Chunk(wild, maxWildcards) {
		add(cdn.Purge{URLs: slices.Concat(some...)}, call.Texts(some, path))
	}
	for some := range slices.Chunk(call.Group(p.Prefixes, below), maxWildcards) {
		add(cdn.Purge{Prefixes: slices.Concat(some...)}, call.Texts(some, below))
	}
	return steps
}

// tagged returns a tag as an invalidation names it. CloudFront does not tell cases apart.
func tagged(tag string) string { return "#" + strings.ToLower(policy.SentTag(TagField, tag)) }

// path returns the path of a URL, or the beginning of it and a "*" where CloudFront cannot name it.
func path(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	_, target, _ := strings.Cut(rest, "/")
	target = "/" + target
	if before, _, found := strings.Cut(target, "~"); found {
		target = before + "*" // it takes no "~"
	}
	if len(target) > maxPath {
		target = target[:maxPath-4]
		if i := strings.LastIndexByte(target, '%'); i >= len(target)-2 {
			target = target[:i] // no half of an escape
		}
		target += "*"
	}
	return target
}

// below returns the path of a prefix, as a wildcard.
func below(raw string) string { return strings.TrimRight(path(raw), "*") + "*" }

// invalidate creates an invalidation.
func (t *Target) invalidate(ctx context.Context, paths []string) error {
	made, err := t.create(ctx, paths)
	if err != nil || !t.o.Confirm {
		return err
	}
	for made.Status != "Completed" {
		select {
		case <-ctx.Done():
			return t.client.Fail(cdn.KindTemporary, nil, fmt.Sprintf("the invalidation %.40q is "+
				"not completed: %v", made.ID, ctx.Err()))
		case <-time.After(confirmPause):
		}
		if made, err = t.look(ctx, made.ID); err != nil {
			return err
		}
	}
	return nil
}

package call

import (
	"context"

	"github.com/freshet-go/freshet/adapters/cdn"
)

// Step is one call of several, and what of the purge it covers.
type Step struct {
	Covers cdn.Purge
	Do     func(context.Context) error
}

// Purge takes the steps of a purge, once it is clean and the target has nothing against it.
func (c *Client) Purge(
	ctx context.Context, target cdn.Checker, p cdn.Purge, steps func(cdn.Purge) []Step,
) error {
	p, err := p.Clean()
	if err != nil {
		return c.Refuse("%v", err)
	}
	if err := target.Check(p); err != nil {
		return err
	}
	return c.Run(ctx, p, steps(p))
}

// Run takes the steps in their order, and stops at the first that fails: then the error says what
// is left of the purge.
func (c *Client) Run(ctx context.Context, p cdn.Purge, steps []Step) error {
	for i, step := range steps {
		err := ctx.Err()
		if err != nil {
			err = c.Fail(cdn.KindTemporary, nil, "the time for the purge is over: "+err.Error())
		} else {
			err = step.Do(ctx)
		}
		if err == nil {
			continue
		}
		e, ok := err.(*cdn.Error)
		if !ok {
			e = c.Fail(cdn.KindTemporary, nil, c.clean(err))
		}
		rest := cdn.Purge{Soft: p.Soft, ByRequest: p.ByRequest}
		for _, left := range steps[i:] {
			rest.Tags = append(rest.Tags, left.Covers.Tags...)
			rest.URLs = append(rest.URLs, left.Covers.URLs...)
			rest.Prefixes = append(rest.Prefixes, left.Covers.Prefixes...)
			rest.All = rest.All || left.Covers.All
		}
		e.Rest = &rest
		return e
	}
	return nil
}

// Chunks cuts a list into parts of at most n texts that are at most bytes long together, each with
// each bytes around it. A text that is longer is a part by itself.
func Chunks(list []string, n, bytes, each int) (parts [][]string) {
	size, from := 0, 0
	for i, text := range list {
		if i > from && (i-from == n || size+len(text)+each > bytes) {
			parts, size, from = append(parts, list[from:i]), 0, i
		}
		size += len(text) + each
	}
	if from < len(list) {
		parts = append(parts, list[from:])
	}
	return parts
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/freshet-go/freshet/explain"
)

// askDoor has a running app explain, by its admin door:
//
//	GET {door}/explain?url=URL&method=GET&header=Name:Value&fetch=1
func (f *explainFlags) askDoor(ctx context.Context) (*explain.Explanation, error) {
	client, err := f.client()
	if err != nil {
		return nil, err
	}
	query := url.Values{"url": {f.target.String()}, "method": {f.method}}
	for name, values := range f.header {
		for _, value := range values {
			query.Add("header", name+":"+value)
		}
	}
	if f.fetch {
		query.Set("fetch", "1")
	}
	text, err := client.Get(ctx, "explain", query)
	if err != nil {
		return nil, err
	}
	x := &explain.Explanation{}
	if err := json.Unmarshal(text, x); err != nil || x.Request == "" {
		return nil, fmt.Errorf("the door %s did not answer with an explanation", f.at)
	}
	return x, nil
}

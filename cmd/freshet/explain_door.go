package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/freshet-go/freshet/explain"
)

// maxAnswer is the longest answer of a door that is read, in bytes.
const maxAnswer = 1 << 20

// askDoor has a running app explain, by its admin door:
//
//	GET {door}/explain?url=URL&method=GET&header=Name:Value&fetch=1
//	Authorization: Bearer TOKEN
func (f *explainFlags) askDoor(ctx context.Context) (*explain.Explanation, error) {
	token, err := f.readToken()
	if err != nil {
		return nil, &usageError{err}
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
	door := f.door.JoinPath("explain")
	door.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, door.String(), nil)
	if err != nil {
		return nil, &usageError{err}
	}
	if r.Header.Set("Accept", "application/json"); token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if f.fetch {
		r.Header.Set("Freshet-Door", "1") // which no other site can have a browser send
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	answer, err := client.Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) { // whose URL has the fields of the request
			err = failed.Err
		}
		return nil, fmt.Errorf("the door %s did not answer: %w", f.door, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil || len(text) > maxAnswer {
		return nil, fmt.Errorf("the door %s did not answer with an explanation of up to %d KiB: %v",
			f.door, maxAnswer>>10, err)
	}
	return f.readAnswer(answer.StatusCode, text)
}

func (f *explainFlags) readAnswer(status int, text []byte) (*explain.Explanation, error) {
	switch status {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("the door %s wants another token (status %d): give it with "+
			"--token-file or FRESHET_TOKEN", f.door, status)
	default:
		first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		return nil, fmt.Errorf("the door %s answered with status %d: %.200q", f.door, status, first)
	}
	x := &explain.Explanation{}
	if err := json.Unmarshal(text, x); err != nil || x.Request == "" {
		return nil, fmt.Errorf("the door %s did not answer with an explanation: is it the admin "+
			"door of a Freshet?", f.door)
	}
	return x, nil
}

// readToken returns the door's token, from the file before the environment.
func (f *explainFlags) readToken() (string, error) {
	if f.tokenFile == "" {
		return f.token, nil
	}
	text, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \r\n\t") {
		return "", fmt.Errorf("--token-file %q holds no token: allowed is one word", f.tokenFile)
	}
	return token, nil
}

package dynamostore

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/guardstore"
)

// What the server calls its errors decides whether the guard counts them.
func TestKindsOfErrors(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	for _, c := range []struct {
		status int
		code   string
		want   store.ErrorKind
		says   string
	}{
		{400, "ProvisionedThroughputExceededException", store.KindTransient, "a reason"},
		{400, "ThrottlingException", store.KindTransient, "a reason"},
		{400, "RequestLimitExceeded", store.KindTransient, "a reason"},
		{500, "InternalServerError", store.KindTransient, "a reason"},
		{503, "ServiceUnavailable", store.KindTransient, "a reason"},
		{502, "Whatever", store.KindTransient, "Whatever"},
		{400, "AccessDeniedException", store.KindAuthentication, "permissions"},
		{400, "UnrecognizedClientException", store.KindAuthentication, "a reason"},
		{400, "ExpiredTokenException", store.KindAuthentication, "a reason"},
		{400, "InvalidSignatureException", store.KindAuthentication, "clock"},
		{400, "ValidationException", store.KindPermanent, "a reason"},
		{400, "ResourceNotFoundException", store.KindPermanent, b.config.Table},
		{400, "SomethingNewException", store.KindPermanent, "SomethingNew"},
	} {
		f.set(func(string, []byte, func() answer) (answer, bool) {
			return refusal(c.status, c.code), true
		})
		for call, err := range everyCall(t.Context(), b) {
			if call == "health" && c.code == "ResourceNotFoundException" {
				continue // it says so in other words
			}
			wantKind(t, c.code+": "+call, err, c.want, c.says, c.code)
		}
		if n := len(f.operations()); n > 10 {
			t.Errorf("%s: asked %d times for 9 calls", c.code, n)
		}
	}
}

// A table that is throttled opens the breaker, and a guarded store then asks it no more.
func TestThrottlingOpensTheBreaker(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	f.set(func(string, []byte, func() answer) (answer, bool) {
		return refusal(400, "ProvisionedThroughputExceededException"), true
	})
	s := guardstore.New(store.New(b, store.Options{}), guardstore.Options{Failures: 3, Retry: time.Hour,
		Log: slog.New(slog.DiscardHandler)})
	for range 10 {
		if _, err := s.Get(t.Context(), "key"); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Fatalf("Get: %v", err)
		}
	}
	if n := len(f.operations()); n != 3 {
		t.Errorf("the server was asked %d times; want 3", n)
	}
}

// What is no answer of DynamoDB's shows nothing of itself.
func TestAnswersOfOthers(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a page": "<html>secret</html>", "nothing": "", "half": `{"Item": {"value": {"B": "c2Vj`,
		"another type": `{"Item": {"value": {"Q": "secret"}}}`, "a list": `["secret"]`,
	} {
		for _, status := range []int{200, 302, 404, 502} {
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/secret")
				w.WriteHeader(status)
				w.Write([]byte(body))
			})
			s := httptest.NewServer(h)
			t.Cleanup(s.Close)
			b := unasked(t, at(s.URL))
			got, err := b.Get(t.Context(), "key")
			if len(got) > 0 {
				t.Errorf("%s, status %d: Get = %q", name, status, got)
			}
			if status == 200 && err == store.ErrNotFound && (name == "nothing") {
				continue // an answer without an item
			}
			if err == nil || strings.Contains(err.Error(), "secret") ||
				status != 404 && status != 302 && !store.KindOf(err).Sick() {
				t.Errorf("%s, status %d: %v, a %v error", name, status, err, store.KindOf(err))
			}
		}
	}
}

type noProvider struct{}

func (noProvider) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, errors.New("the role is gone")
}

func TestNoCredentials(t *testing.T) {
	t.Parallel()
	c := shared(t)
	c.Credentials = noProvider{}
	for call, err := range everyCall(t.Context(), unasked(t, c)) {
		wantKind(t, call, err, store.KindAuthentication, "no credentials: ", "the role is gone")
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	b, f := fronted(t, shared(t))
	under := make(chan struct{})
	release := make(chan struct{})
	f.once("GetItem", func(_ string, _ []byte, pass func() answer) (answer, bool) {
		close(under)
		<-release
		return pass(), true
	})
	ended := make(chan error)
	go func() {
		_, err := b.Get(context.Background(), "key")
		ended <- err
	}()
	<-under
	b.Close()
	wantKind(t, "a call in progress", <-ended, store.KindPermanent, "closed")
	close(release)
	for call, err := range everyCall(t.Context(), b) {
		wantKind(t, call, err, store.KindPermanent, "closed")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// The server's answer takes longer than Config.Timeout, though the caller has more time.
func TestTimeout(t *testing.T) {
	t.Parallel()
	_, f := fronted(t, shared(t))
	c := at(f.url)
	c.Timeout = 20 * time.Millisecond
	b := unasked(t, c)
	release := make(chan struct{})
	f.set(func(_ string, _ []byte, pass func() answer) (answer, bool) {
		<-release
		return refusal(500, "InternalServerError"), true
	})
	for call, err := range everyCall(t.Context(), b) {
		wantKind(t, call, err, store.KindTimeout, "20ms")
	}
	close(release)
}

// An answer that was altered on its way is an error, though it can be read.
func TestAlteredAnswer(t *testing.T) {
	t.Parallel()
	p := testserver.Proxy(t, testserver.SharedDynamoDB(t).Addr)
	b := open(t, at("http://"+p.Addr))
	mustSet(t, b, "key", "0000", time.Hour)
	p.Alter(func(reply []byte) []byte {
		return bytes.Replace(reply, []byte("MDAwMA=="), []byte("MDAwMQ=="), 1) // 0001
	})
	_, err := b.Get(t.Context(), "key")
	wantKind(t, "Get", err, store.KindTransient, "not what DynamoDB would say")
}

package cloudfront_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/cloudfront"
	"github.com/freshet-go/freshet/adapters/cdn/internal/failtest"
)

const (
	secret  = "s3cret-key-of-aws"
	session = "s4ssion-token-of-aws"
)

var keys = cloudfront.Keys("AKID", secret, session)

// fakeCloudFront answers as CloudFront's API does, within its limits.
type fakeCloudFront struct {
	*httptest.Server
	mu         sync.Mutex
	calls      []string
	references map[string]bool
	running    int // wildcards in progress
	looks      int // how often an invalidation is in progress still
}

func newFakeCloudFront(t *testing.T) *fakeCloudFront {
	f := &fakeCloudFront{references: map[string]bool{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Server.Close)
	return f
}

func (f *fakeCloudFront) fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<ErrorResponse xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Error>`+
		`<Type>Sender</Type><Code>%s</Code><Message>no</Message></Error></ErrorResponse>`, code)
}

// signed reports whether a request has the signature that the keys give it.
func signed(r *http.Request, body []byte) bool {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return false
	}
	again, _ := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	if len(body) > 0 {
		again.Header.Set("Content-Type", r.Header.Get("Content-Type"))
	}
	sum := sha256.Sum256(body)
	v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: secret,
		SessionToken: session}, again, hex.EncodeToString(sum[:]), "cloudfront", "us-east-1", at)
	return r.Header.Get("Authorization") == again.Header.Get("Authorization") &&
		r.Header.Get("X-Amz-Security-Token") == session
}

func (f *fakeCloudFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if !signed(r, body) {
		f.fail(w, 403, "SignatureDoesNotMatch")
		return
	}
	status := "InProgress"
	if f.looks--; f.looks < 0 {
		status = "Completed"
	}
	const path = "/2020-05-31/distribution/E123/invalidation"
	switch {
	case r.Method == "GET" && r.URL.Path == path+"/I1":
		f.calls = append(f.calls, "look")
	case r.Method != "POST" || r.URL.Path != path:
		f.fail(w, 404, "NoSuchDistribution")
		return
	default:
		if code := f.take(body); code != "" {
			f.fail(w, 400, code)
			return
		}
		w.WriteHeader(201)
	}
	fmt.Fprintf(w, `<?xml version="1.0"?><Invalidation xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/">`+
		`<Id>I1</Id><Status>%s</Status><CreateTime>2026-01-01T00:00:00Z</CreateTime></Invalidation>`, status)
}

// take notes an invalidation, or returns the code of an error.
func (f *fakeCloudFront) take(body []byte) string {
	var asked struct {
		XMLName         xml.Name `xml:"http://cloudfront.amazonaws.com/doc/2020-05-31/ InvalidationBatch"`
		CallerReference string
		Paths           []string `xml:"Paths>Items>Path"`
		Quantity        int      `xml:"Paths>Quantity"`
	}
	if err := xml.Unmarshal(body, &asked); err != nil {
		return "MalformedXML"
	}
	if len(asked.Paths) != asked.Quantity || len(asked.Paths) == 0 {
		return "InconsistentQuantities"
	}
	if asked.CallerReference == "" || f.references[asked.CallerReference] {
		return "InvalidationBatchAlreadyExists"
	}
	wild := 0
	for _, path := range asked.Paths {
		if strings.HasSuffix(path, "*") {
			wild++
		}
		tag := strings.HasPrefix(path, "#") && len(path) <= 257 && !strings.ContainsAny(path, " ,*\n")
		if !tag && (!strings.HasPrefix(path, "/") || len(path) > 4000 || strings.ContainsAny(path, "~ \n")) {
			return "InvalidArgument"
		}
	}
	if wild+f.running > 15 || len(asked.Paths) > 3000 {
		return "TooManyInvalidationsInProgress"
	}
	f.references[asked.CallerReference] = true
	call := fmt.Sprint(len(asked.Paths), " ", asked.Paths[0])
	if len(asked.Paths) < 5 {
		call = strings.Join(asked.Paths, " ")
	}
	f.calls = append(f.calls, call)
	return ""
}

func target(t *testing.T, address string, client *http.Client, timeout time.Duration) cdn.Target {
	t.Helper()
	return with(t, cloudfront.Options{Address: address, Client: client, Timeout: timeout})
}

func with(t *testing.T, o cloudfront.Options) cdn.Target {
	t.Helper()
	o.Distribution, o.Credentials = "E123", keys
	v, err := cloudfront.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func names(n int, before string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(before, i))
	}
	return all
}

func TestPurge(t *testing.T) {
	long := "http://a.example/" + strings.Repeat("%C3", 1400)
	for want, p := range map[string]cdn.Purge{
		"1000 #tag%200; 200 #tag%201000": {Tags: names(1200, "Tag ")},
		"#a%2cb; /x?q=1&r=2 /": {Tags: []string{"a,b", "A,B"}, URLs: []string{"http://a.example/x?q=1&r=2",
			"https://b.example/x?q=1&r=2", "http://a.example"}},
		"15 /p0*; /p15* /p16*": {Prefixes: append(names(17, "http://a.example/p"), "https://a.example/p16")},
		"/y; /* /y* /" + strings.Repeat("%C3", 1331) + "*": {URLs: []string{"http://a.example/~user/x",
			"http://a.example/y*", "http://a.example/y", long}},
		"/*": {All: true, Soft: true},
	} {
		f := newFakeCloudFront(t)
		err := target(t, f.URL, nil, 0).Purge(t.Context(), p)
		if got := strings.Join(f.calls, "; "); err != nil || got != want {
			t.Errorf("called %.300q, error %v; want %.300q", got, err, want)
		}
	}
}

// What is in progress already may leave no room: that passes.
func TestTooMany(t *testing.T) {
	f := newFakeCloudFront(t)
	f.running = 10
	err := target(t, f.URL, nil, 0).Purge(t.Context(), cdn.Purge{Tags: []string{"a"},
		Prefixes: names(6, "http://a.example/p")})
	e, ok := errors.AsType[*cdn.Error](err)
	if !ok || e.Kind != cdn.KindTemporary || len(e.Rest.Prefixes) != 6 || len(e.Rest.Tags) != 0 {
		t.Errorf("%v", err)
	}
}

// transport has a handler answer without a network, in virtual time.
type transport struct{ http.Handler }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.Host = r.URL.Host
	w := httptest.NewRecorder()
	t.ServeHTTP(w, r)
	return w.Result(), nil
}

// With Confirm a purge ends when CloudFront says that it is completed, and one that never is, is an
// error.
func TestConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeCloudFront{references: map[string]bool{}, looks: 3}
		v := with(t, cloudfront.Options{Confirm: true, Client: &http.Client{Transport: transport{f}}})
		start := time.Now()
		err := v.Purge(t.Context(), cdn.Purge{Tags: []string{"a"}})
		got := strings.Join(f.calls, " ")
		if err != nil || got != "#a look look look" || time.Since(start) != 6*time.Second {
			t.Errorf("called %q within %v, error %v", got, time.Since(start), err)
		}
		f.looks = 1000
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = v.Purge(ctx, cdn.Purge{Tags: []string{"a"}})
		e, ok := errors.AsType[*cdn.Error](err)
		if !ok || e.Kind != cdn.KindTemporary || !strings.Contains(err.Error(), `"I1" is not completed`) ||
			e.Rest.Len() != 1 {
			t.Errorf("%v", err)
		}
	})
}

func TestFailures(t *testing.T) {
	options := []string{"Options.Credentials", "Options.Distribution"}
	failtest.Run(t, target, cdn.Purge{URLs: []string{"http://a.example/"}},
		options, secret, session)
	none := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no such profile")
	})
	v, err := cloudfront.New(cloudfront.Options{Distribution: "E1", Credentials: none,
		Address: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	err = v.Purge(t.Context(), cdn.Purge{All: true})
	if e, ok := errors.AsType[*cdn.Error](err); !ok || e.Kind != cdn.KindAuthentication {
		t.Errorf("%v", err)
	}
	failtest.Named(t, err, options...)
	f := newFakeCloudFront(t)
	v, _ = cloudfront.New(cloudfront.Options{Distribution: "E123", Address: f.URL,
		Credentials: cloudfront.Keys("AKID", "other", session)})
	err = v.Purge(t.Context(), cdn.Purge{All: true})
	if e, ok := errors.AsType[*cdn.Error](err); !ok || e.Kind != cdn.KindAuthentication {
		t.Errorf("another's key: %v", err)
	}
	failtest.Named(t, err, options...)
	expired := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>", 400)
	}))
	defer expired.Close()
	err = target(t, expired.URL, nil, 0).Purge(t.Context(), cdn.Purge{All: true})
	if e, ok := errors.AsType[*cdn.Error](err); !ok || e.Kind != cdn.KindAuthentication || e.Status != 400 {
		t.Errorf("expired credentials: %v", err)
	}
	failtest.Named(t, err, options...)
}

func TestBadInput(t *testing.T) {
	failtest.Refused(t, target(t, "http://127.0.0.1:1", nil, 0), cdn.Purge{}, cdn.Purge{Tags: []string{""}},
		cdn.Purge{Tags: []string{strings.Repeat("ü", 50)}}, cdn.Purge{URLs: []string{"a.example/x"}})
	for _, o := range []cloudfront.Options{{Distribution: "E1"}, {Credentials: keys},
		{Distribution: "a/b", Credentials: keys}, {Distribution: "E1", Credentials: keys, Address: "x"}} {
		if _, err := cloudfront.New(o); err == nil {
			t.Errorf("%+v is allowed", o)
		}
	}
}

// What a client's request has changed never becomes a wildcard: that purges pages that were not
// changed, on all hosts, and uses up what CloudFront allows.
func TestClientsWildcards(t *testing.T) {
	f := newFakeCloudFront(t)
	v := target(t, f.URL, nil, 0)
	for _, path := range []string{"~", "a~b", "blog/*", "*", "x?*", "x?y=%2A", "blog/%2a",
		strings.Repeat("x", 4100)} {
		failtest.Refused(t, v, cdn.Purge{ByRequest: true, URLs: []string{"https://a.example/" + path}})
	}
	failtest.Refused(t, v, cdn.Purge{ByRequest: true, Prefixes: []string{"https://a.example/files/x/"}})
	err := v.Purge(t.Context(), cdn.Purge{ByRequest: true, URLs: []string{"https://a.example/a*b?c=*&d"}})
	if got := strings.Join(f.calls, "; "); err != nil || got != "/a*b?c=*&d" {
		t.Errorf("called %q, error %v", got, err)
	}
}

// Each path costs money: clients' requests purge so many in an hour, the app as many as it asks
// for.
func TestClientPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeCloudFront{references: map[string]bool{}}
		o := cloudfront.Options{ClientPaths: 60, Client: &http.Client{Transport: transport{f}}}
		v := with(t, o)
		p := cdn.Purge{ByRequest: true, URLs: names(100, "https://a.example/")}
		e, ok := errors.AsType[*cdn.Error](v.Purge(t.Context(), p))
		if !ok || e.Kind != cdn.KindPaced || len(e.Rest.URLs) != 40 || e.RetryAfter < 39*time.Minute ||
			e.RetryAfter > 41*time.Minute {
			t.Errorf("%+v", e)
		}
		if time.Sleep(e.RetryAfter); v.Purge(t.Context(), *e.Rest) != nil {
			t.Error("the others do not go later")
		}
		if err := v.Purge(t.Context(), cdn.Purge{URLs: names(100, "https://a.example/")}); err != nil {
			t.Errorf("the app's: %v", err)
		}
		o.ClientPaths = -1
		failtest.Refused(t, with(t, o), p)
		o.ClientPaths, o.Distribution, o.Credentials = 1_000_001, "E1", keys
		if _, err := cloudfront.New(o); err == nil {
			t.Error("a million and one are allowed")
		}
	})
}

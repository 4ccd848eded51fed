package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/cmd/freshet/recorded"
	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// askFor is how long a server may take that is asked once.
const askFor = 30 * time.Second

// askServer asks the URL once, follows no redirect, and explains what comes.
func (f *explainFlags) askServer(ctx context.Context) (*explain.Explanation, error) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, f.method, f.target.String(), nil)
	if err != nil {
		return nil, &usageError{err}
	}
	if r.Header = f.header.Clone(); len(r.Header["User-Agent"]) == 0 {
		r.Header.Set("User-Agent", "freshet-explain")
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		delete(r.Header, "Host")
	}
	client := &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true,
			DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the server did not answer: %w", err)
	}
	defer answer.Body.Close()
	size, err := io.Copy(io.Discard, io.LimitReader(answer.Body, f.longest(r)+1))
	if err != nil {
		return nil, fmt.Errorf("the response broke off after %d bytes: %w", size, err)
	}
	if f.method == http.MethodHead {
		size = max(answer.ContentLength, 0)
	}
	return f.judge(ctx, &recorded.Exchange{
		Method: f.method, URL: f.target, Header: r.Header, Status: answer.StatusCode,
		Response: answer.Header,
		Body:     size, At: time.Now(), Format: "asked just now",
	}, r.Host)
}

// readRecording explains a recorded exchange.
func (f *explainFlags) readRecording(
	ctx context.Context, stdin io.Reader,
) (*explain.Explanation, error) {
	e, err := recorded.Read(stdin, f.recorded)
	if err != nil {
		return nil, &usageError{err}
	}
	if e.URL == nil {
		if e.URL = f.recorded; e.URL == nil {
			return nil, &usageError{fmt.Errorf("what curl -i prints has no request: say what was " +
				"asked with --url URL, and --header for each field")}
		}
	}
	for name, values := range f.header {
		e.Header[name] = values
	}
	if e.Method == "" {
		e.Method = f.method
	}
	return f.judge(ctx, e, e.URL.Host)
}

// judge has a cache with the policy of the flags explain the exchange, as it would judge it in
// front of the server.
func (f *explainFlags) judge(
	ctx context.Context, e *recorded.Exchange, host string,
) (*explain.Explanation, error) {
	r := &http.Request{Method: e.Method, URL: e.URL, Host: host, Header: e.Header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	most := f.longest(r)
	keeps := memstore.New(max(f.proxy.memory, 4*most))
	defer keeps.Close()
	cache := freshet.New(keeps, freshet.Options{
		Policy: f.rules.Policy, PolicySource: f.rules.Source, Expires: f.expires,
		Name: f.proxy.name,
		Log:  slog.New(slog.DiscardHandler),
	})
	defer cache.Shutdown(context.WithoutCancel(ctx))
	cache.Root(cache.Handler(&replay{e, most}))
	if e.URL.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	x, err := cache.Explain(ctx, r, freshet.ExplainOptions{Fetch: true, At: e.At})
	if err != nil {
		return nil, err
	}
	x.Sections = slices.DeleteFunc(x.Sections, func(s explain.Section) bool {
		return s.Name == "stored"
	})
	for i := range x.Sections { // the store and the mount are this command's own
		x.Sections[i].Facts = slices.DeleteFunc(x.Sections[i].Facts, func(f explain.Fact) bool {
			return f.What == "mount"
		})
	}
	besideCookie(x, e)
	return heard(x, e), nil
}

// besideCookie has the verdict name the cookie where the response says private beside it: Cache.Root
// of an app adds that to whatever sets one, so that nobody would find who wrote it.
func besideCookie(x *explain.Explanation, e *recorded.Exchange) {
	if x.Reason != "private" || len(e.Response["Set-Cookie"]) == 0 {
		return
	}
	cookie, _ := explain.Of("set-cookie")
	x.Verdict = "Would not be stored: A cookie is set with the response, which says private: a " +
		"cache in the app may have added that to the cookie."
	x.Advice = cookie.Advice + " If the response says private without the cookie, too, take that " +
		"away."
}

// longest is the longest body that a policy for the request keeps, in bytes.
func (f *explainFlags) longest(r *http.Request) int64 {
	return max(f.proxy.maxBody, f.rules.Policy(r).MaxBody)
}

// policy is that of the flags, and of paths without a rule.
func (f *explainFlags) policy() freshet.Policy {
	p := *f.proxy.newPolicy()
	p.TTL, p.Shared = f.ttl, f.shared
	if len(f.resources) > 0 {
		p.Resource = f.resources[0]
		p.Scope = func(*http.Request) []string { return f.scope }
	}
	return p
}

// replay is the handler that gives a recorded response once more. Of its body the length alone
// counts.
type replay struct {
	e    *recorded.Exchange
	most int64
}

func (h *replay) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for name, values := range h.e.Response {
		switch name {
		case "Content-Length", "Transfer-Encoding": // the body comes anew
		default:
			w.Header()[name] = values
		}
	}
	w.WriteHeader(h.e.Status)
	nothing := make([]byte, 32<<10)
	for left := min(h.e.Body, h.most+1); left > 0; {
		n, err := w.Write(nothing[:min(left, int64(len(nothing)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}

// heard puts what the caches on the way have said before what the flags' cache would do.
func heard(x *explain.Explanation, e *recorded.Exchange) *explain.Explanation {
	exchange := []explain.Fact{{What: "recorded", Value: e.Format}, {What: "response",
		Value: fmt.Sprintf("status %d, %d bytes", e.Status, max(e.Body, 0))}}
	if !e.At.IsZero() {
		exchange = append(exchange, explain.Fact{What: "came",
			Value: e.At.UTC().Format(time.RFC3339)})
	}
	all, facts := statuses(e.Response)
	if len(all) == 0 {
		exchange = append(exchange, explain.Fact{What: "caches", Value: "none on the way has said " +
			"anything (no Cache-Status): a route that no mount of a Freshet covers looks like this"})
		y := *x
		y.Sections = append([]explain.Section{{Name: "exchange", Facts: exchange}}, x.Sections...)
		return &y
	}
	y := &explain.Explanation{Request: x.Request}
	y.Conclude(all[len(all)-1], false)
	y.Add("status", "", facts...)
	y.Add("exchange", "", append(exchange, explain.Fact{What: "one more cache",
		Value: "A Freshet in front of all this, with the policy of the flags, says: " +
			x.Verdict, Advice: x.Advice})...)
	y.Sections = append(y.Sections, x.Sections...)
	return y
}

// statuses reads Cache-Status (RFC 9211): the outcomes of the caches on the way, the nearest to the
// client last.
func statuses(h http.Header) (all []policy.Outcome, facts []explain.Fact) {
	list, err := httpsfv.UnmarshalList(h["Cache-Status"])
	if err != nil {
		return nil, nil
	}
	for _, member := range list {
		item, ok := member.(httpsfv.Item)
		if !ok {
			continue
		}
		o := outcomeOf(item)
		var x explain.Explanation
		x.Conclude(o, false)
		all = append(all, o)
		facts = append(facts, explain.Fact{What: nameOf(item.Value), Value: x.Verdict + " " +
			x.Outcome, Source: "response field Cache-Status", RFC: x.RFC, Advice: x.Advice})
	}
	return all, facts
}

func nameOf(value any) string { return fmt.Sprint(value) }

func outcomeOf(item httpsfv.Item) (o policy.Outcome) {
	get := func(name string) any { v, _ := item.Params.Get(name); return v }
	o.Hit, o.Stored, o.Collapsed = get("hit") == true, get("stored") == true,
		get("collapsed") == true
	if word := get("fwd"); word != nil {
		o.Fwd = explain.ForwardOf(fmt.Sprint(word))
	}
	if status, ok := get("fwd-status").(int64); ok {
		o.FwdStatus = int(status)
	}
	if ttl, ok := get("ttl").(int64); ok {
		o.TTL, o.HasTTL = time.Duration(ttl)*time.Second, true
		o.Stale = o.Hit && ttl < 0
	}
	if detail := get("detail"); detail != nil {
		o.Detail = policy.Reason(fmt.Sprint(detail))
	}
	return o
}

package middleware

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/freshet-go/freshet/explain"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// read writes what was read of the request: what it asks for, what the operator wishes, and the
// key.
func (a *account) read(x *exchange) {
	if a == nil {
		return
	}
	a.add("request", a.ofMethod(x), a.ofCredentials(x))
	for _, name := range []string{"Cache-Control", "Pragma", "If-None-Match", "If-Modified-Since",
		"Range", "If-Range"} {
		if values := x.r.Header[name]; len(values) > 0 {
			a.add("request", explain.Fact{What: name, Value: limited(strings.Join(values, ", ")),
				Source: "request field", RFC: sections[name]})
		}
	}
	a.add("request", x.wishes()...)
	if x.req.Key != "" {
		a.add("key", keyFacts(x)...)
	}
}

// sections are those of the request fields that bear on caching.
var sections = map[string]string{
	"Cache-Control": "RFC 9111 section 5.2.1", "Pragma": "RFC 9111 section 5.4",
	"If-None-Match": "RFC 9111 section 4.3.2", "If-Modified-Since": "RFC 9111 section 4.3.2",
	"Range": "RFC 9110 section 14.2", "If-Range": "RFC 9110 section 13.1.5",
}

func (a *account) ofMethod(x *exchange) explain.Fact {
	f := explain.Fact{What: "method", RFC: "RFC 9111 section 4"}
	switch x.req.Class {
	case rules.ClassRead:
		f.Value = "GET: a stored response may answer it"
	case rules.ClassHead:
		f.Value = "HEAD: a stored response to GET may answer it; its own is never stored"
	case rules.ClassPost:
		f.Value, f.RFC = "POST: its handler runs; success invalidates what is stored for the URL",
			"RFC 9111 section 4.4"
	case rules.ClassSafe:
		f.Value, f.RFC = limited(x.r.Method)+": its handler runs, and nothing is invalidated",
			"RFC 9110 section 9.2.1"
	default:
		f.Value, f.RFC = limited(x.r.Method)+": its handler runs; success invalidates what is "+
			"stored for the URL", "RFC 9111 section 4.4"
	}
	return f
}

func (a *account) ofCredentials(x *exchange) explain.Fact {
	f := explain.Fact{What: "credentials", Value: "none: the request is anybody's",
		RFC: "RFC 9111 section 3.5"}
	if !x.req.Credentials {
		return f
	}
	names := rules.Identifying(x.r, x.p)
	f.Value = "the request may be one user's"
	switch {
	case x.p.Credentials != nil && len(names) == 0:
		f.Source = "Policy.Credentials"
	default:
		f.Value, f.Source = f.Value+": it has "+strings.Join(names, ", "), "request fields"
	}
	if x.p.Shared {
		f.Value += "; but the response is the same for all, says Policy.Shared"
	}
	return f
}

// wishes are what the operator wants of the resource.
func (x *exchange) wishes() (all []explain.Fact) {
	f := explain.Fact{What: "operator", Value: "names no lifetime", Source: "Policy.TTL is 0",
		RFC: "RFC 9111 section 4.2.2"}
	if len(x.p.ByType) > 0 {
		f.Value, f.Source = "has lifetimes by the type of the response", "Policy.ByType"
	}
	var settings []policy.ExpirySetting
	now := x.c.expires.now.Load()
	if p := x.p; p.Resource != "" && now != nil {
		var scope []string
		if p.Scope != nil {
			scope = p.Scope(x.r)
		}
		settings = now.Applying(p.Resource, scope)
	}
	lifetime := "lifetime " + x.ttl.String() + ", for what states none itself"
	switch {
	case x.p.Pass:
		f.Value, f.Source, f.RFC = "the request passes", "Policy.Pass", ""
	case x.p.Off:
		f.Value, f.Source = "nothing is stored", "Policy.Off"
	case x.off && (len(settings) == 0 || settings[0].TTL > 0):
		f.Value, f.Source = "nothing is stored", "a setting that switches the resource "+
			x.p.Resource+" off"
	case len(settings) > 0:
		if f.Value, f.Source = lifetime, settingText(settings[0]); x.off {
			f.Value = "nothing is stored"
		}
	case x.ttl > 0:
		f.Value, f.Source = lifetime, "Policy.TTL"
	case x.p.Resource != "":
		f.Value = "names no lifetime for the resource " + x.p.Resource
	}
	if strings.HasPrefix(f.Source, "Policy.") {
		f.Source += x.policySource(nil)
	}
	all = append(all, f)
	all = append(all, x.waits()...)
	for _, s := range settings[min(1, len(settings)):] {
		all = append(all, explain.Fact{What: "does not count", Value: "lifetime " + s.TTL.String() +
			": a more specific setting does", Source: settingText(s)})
	}
	if len(settings) > 0 && x.p.TTL > 0 {
		all = append(all, explain.Fact{What: "does not count", Value: "lifetime " +
			x.p.TTL.String() + ": the setting does", Source: "Policy.TTL"})
	}
	return all
}

// waits say how long the request waits for the handler, and for a place to run it.
func (x *exchange) waits() (all []explain.Fact) {
	p := x.p
	if p.SoftTimeout > 0 {
		all = append(all, explain.Fact{What: "waits", Value: p.SoftTimeout.String() + " for the " +
			"handler, and is then served stale, where it may be", Source: "Policy.SoftTimeout" +
			x.policySource(nil), RFC: "RFC 5861 section 4"})
	}
	if p.HardTimeout > 0 {
		all = append(all, explain.Fact{What: "waits", Value: p.HardTimeout.String() + " for the " +
			"handler, and then gets what is stale, where a lost handler allows it, or 504",
			Source: "Policy.HardTimeout" + x.policySource(nil), RFC: "RFC 9111 section 4.2.4"})
	}
	if p.MaxRuns > 0 {
		running, queued := x.c.runs.count(boundOf{x.who, p})
		all = append(all, explain.Fact{What: "runs", Value: fmt.Sprintf("%d of the handler at once; "+
			"now %d, and %d that wait", p.MaxRuns, running, queued), Source: "Policy.MaxRuns" +
			x.policySource(nil)})
	}
	return all
}

// policySource says where a policy comes from, as the end of a source: the request's, or, of that
// one's ByType, the one that counts for a response; nil before there is one. A route's own policy
// (Cache.With) comes from its code.
func (x *exchange) policySource(of *policy.Policy) string {
	says := x.c.options.PolicySource
	if says == nil || x.account == nil || x.c.policyFor(x.account.r) != x.p {
		return ""
	}
	if text := says(x.account.r, of); text != "" {
		return "; " + limited(text)
	}
	return ""
}

func settingText(s policy.ExpirySetting) string {
	return "setting " + s.Name + policy.ExpirySuffix + ", " + s.Origin
}

// keyFacts are the parts of the key, and what of the query is in none.
func keyFacts(x *exchange) (all []explain.Fact) {
	for _, part := range x.req.Parts() {
		f := explain.Fact{What: part.Name, Value: limited(part.Value)}
		switch {
		case part.Hidden:
			f.Value = "(not shown: it may be one user's)"
		case part.Name == "mount":
			f.Value += ", that of " + x.account.mount
		}
		all = append(all, f)
	}
	if dropped := x.req.Dropped(x.p); len(dropped) > 0 {
		all = append(all, explain.Fact{What: "left out", Value: limited(strings.Join(dropped,
			", ")), Source: "KeyOptions.DropParams or KeepParams"})
	}
	return all
}

// indexed notes the fields by which what is stored varies.
func (a *account) indexed(variants [][]string) {
	if a != nil {
		a.variants = variants
	}
}

// objects notes why a stored response is not used because of what stands outside.
func (a *account) objects(why policy.Reason) {
	if a != nil {
		a.objected = why
	}
}

// invalidated notes that an invalidation covers an entry, and by what.
func (a *account) invalidated(x *exchange, e *store.Entry, coverage invalidation.Coverage) {
	if a == nil || coverage == invalidation.CoverageNone {
		return
	}
	f := explain.Fact{What: "invalidated", Value: "it must not be used any more",
		RFC: "RFC 9111 section 4.4", Source: x.c.coveredBy(e, coverage)}
	if coverage == invalidation.CoverageSoft {
		f.Value = "it counts as stale (a soft invalidation)"
	}
	a.add("stored", f)
}

// coveredBy says which invalidation it is that covers e.
func (c *Cache) coveredBy(e *store.Entry, coverage invalidation.Coverage) string {
	const nothing = "\x00" // no mark's name
	if c.coverage(nothing, nil, e.Number) == coverage {
		return "by an invalidation of everything, or one older than what this process remembers"
	}
	for _, tag := range e.Tags {
		if c.coverage(nothing, []string{tag}, e.Number) == coverage {
			return "by the tag " + limited(tag)
		}
	}
	return "by its URL or a prefix of it"
}

// found writes what the store had, and what the request does with it.
func (a *account) found(l *lookup, does action) {
	f, x := &l.found, &l.x
	for _, fields := range a.variants {
		value := "one response for all requests"
		if len(fields) > 0 {
			value = "a response for each value of " + strings.Join(fields, ", ")
		}
		a.add("stored", explain.Fact{What: "variants", Value: value, Source: "Vary of the stored " +
			"responses", RFC: "RFC 9111 section 4.1"})
	}
	if f.entry == nil {
		m := explain.OfForward(f.missed)
		a.add("stored", explain.Fact{What: "found", Value: "nothing that may answer: " + m.Sentence,
			RFC: m.RFC})
	} else {
		a.add("stored", x.entryFacts(&f.stored)...)
	}
	if f.served != "" {
		a.add("stored", meant("because", f.served, "Policy.FailureTTL"))
	}
	if does == throttled {
		a.add("stored", meant("not asked", reasonThrottled, "Policy.Throttle"))
	}
	if a.objected != "" {
		a.add("stored", meant("not used", a.objected, "a handler outside the cache"))
	}
	if f.broken != "" {
		a.add("stored", meant("store", f.broken, ""))
	}
	if x.wrote.unseen() {
		a.add("stored", meant("not used", reasonWrite, "the token of Options.ReadYourWrites"))
	}
	if does == fetch {
		a.add("stored", l.asking()...)
	}
}

// asking says how the handler would be asked.
func (l *lookup) asking() (all []explain.Fact) {
	if why := l.x.c.passes.find(l.found.flight, time.Now()); why != "" {
		all = append(all, meant("sharing", why, "the response before, under this key, could not "+
			"be shared, so nobody waits for this one"))
	} else if !l.collapses() {
		all = append(all, explain.Fact{What: "sharing", Value: "the request waits for no other " +
			"one, and none waits for it"})
	}
	if f := &l.found; f.entry != nil && f.verdict.Validate && f.entry.Spans == nil {
		all = append(all, explain.Fact{What: "asked", Value: "whether the stored response still " +
			"holds", RFC: "RFC 9111 section 4.3.1"})
	}
	return all
}

// entryFacts say what a stored response is and what it is good for.
func (x *exchange) entryFacts(s *stored) []explain.Fact {
	e, v, now := s.entry, &s.verdict, time.Now()
	all := []explain.Fact{
		{What: "found", Value: fmt.Sprintf("a response with status %d and %d bytes, stored %s",
			e.Status, len(e.Body), e.Received.UTC().Format(time.RFC3339))},
		{What: "lifetime", Value: e.Fresh.String(), Source: x.lifetimeOf(e),
			RFC: "RFC 9111 section 4.2.1"},
		{What: "age", Value: e.CurrentAge(now).Truncate(time.Second).String(),
			RFC: "RFC 9111 section 4.2.3"},
		{What: "good for", Value: v.Use.String(), RFC: "RFC 9111 section 4.2"},
	}
	if v.Why != "" {
		all = append(all, meant("because", v.Why, ""))
	}
	for _, grace := range []struct {
		what   string
		length time.Duration
		rfc    string
	}{
		{"stale-while-revalidate", e.StaleWhileRevalidate, "RFC 5861 section 3"}, {"stale-if-error",
			e.StaleIfError, "RFC 5861 section 4"},
		{"kept stale", e.Retention, "RFC 9111 section 4.2.4"},
	} {
		if grace.length > 0 {
			all = append(all, explain.Fact{What: grace.what, Value: grace.length.String(),
				RFC: grace.rfc})
		}
	}
	all = append(all, x.earlyFacts(e)...)
	all = append(all, entryNotes(e)...)
	return all
}

// earlyFacts say when a hit renews a response before it is stale.
func (x *exchange) earlyFacts(e *store.Entry) (all []explain.Fact) {
	p := rules.EarlyPolicy(x.p, e)
	if p == nil || x.isFailure(e) {
		return nil
	}
	add := func(value, source string) {
		all = append(all, explain.Fact{What: "renewed early", Value: value,
			Source: source + x.policySource(p), RFC: "RFC 9111 section 4.3"})
	}
	if p.EagerRefresh > 0 {
		after := time.Duration(p.EagerRefresh * float64(e.Fresh-e.Age)).Round(time.Millisecond)
		add("by the first hit "+after.String()+" after it came", "Policy.EagerRefresh")
	}
	if p.XFetch > 0 {
		took := max(e.Received.Sub(e.Requested), 0).Round(time.Millisecond)
		add("by lot, the handler took "+took.String(), "Policy.XFetch")
	}
	return all
}

// entryNotes are what is so of some stored responses and not of others.
func entryNotes(e *store.Entry) (all []explain.Fact) {
	note := func(so bool, what, value, rfc string) {
		if so {
			all = append(all, explain.Fact{What: what, Value: value, RFC: rfc})
		}
	}
	note(e.MustRevalidate, "never stale", "must-revalidate, proxy-revalidate, s-maxage or no-cache",
		"RFC 9111 section 5.2.2.2")
	note(e.Anonymous, "for", "requests without credentials only", "RFC 9111 section 3.5")
	note(e.Spans != nil, "part", fmt.Sprintf("%d pieces of %d bytes", len(e.Spans), e.Total),
		"RFC 9111 section 3.3")
	note(len(e.Tags) > 0, "tags", limited(strings.Join(e.Tags, ", ")), "")
	note(len(e.Vary) > 0, "varies by", strings.Join(keysOf(e.Vary), ", "), "RFC 9111 section 4.1")
	all = append(all, validatorFacts(e)...)
	return all
}

func validatorFacts(e *store.Entry) (all []explain.Fact) {
	for _, v := range []struct {
		name string
		made bool
	}{{"Etag", e.MadeETag}, {"Last-Modified", e.MadeModified}} {
		values := e.Header[v.name]
		if len(values) == 0 {
			continue
		}
		source := "the handler's"
		if v.made {
			source = "made by the cache"
		}
		all = append(all, explain.Fact{What: "validator", Value: strings.Replace(v.name, "Etag",
			"ETag", 1) + ": " + limited(values[0]), Source: source, RFC: "RFC 9110 section 8.8"})
	}
	if all == nil {
		all = append(all, explain.Fact{What: "validator", Value: "none",
			RFC: "RFC 9110 section 8.8"})
	}
	return all
}

func (x *exchange) lifetimeOf(e *store.Entry) string {
	switch {
	case x.isFailure(e) && e.Fresh < min(x.p.FailureTTL, rules.MaxFailureTTL):
		return "the response's Retry-After, which is less than Policy.FailureTTL" + x.policySource(nil)
	case x.isFailure(e):
		return "Policy.FailureTTL" + x.policySource(nil)
	}
	if e.Announced || e.Anonymous {
		return "the operator's or a guess"
	}
	return "the response's own fields, the operator's or a guess"
}

// judged writes why a response may be stored or not, and what gave it its lifetime. h is its header
// before the cache writes into it.
func (a *account) judged(
	n *run, h http.Header, status int, adm *rules.Admission, ttl time.Duration,
) {
	if a == nil {
		return
	}
	x, whole := &n.x, n.x.outside.Judged(h)
	facts := []explain.Fact{{What: "status", Value: fmt.Sprint(status)}}
	if !adm.Store {
		facts = append(facts, meantOf("not stored", adm.Reason, status,
			x.reasonSource(adm, h, whole)))
	} else {
		facts = append(facts, explain.Fact{What: "stored", Value: "nothing forbids it",
			RFC: "RFC 9111 section 3"})
	}
	facts = append(facts, n.lifetimeFacts(h, whole, status, adm, ttl)...)
	if adm.Jitter > 0 {
		facts = append(facts, explain.Fact{What: "jitter", Value: "the lifetime is shortened by " +
			adm.Jitter.Round(time.Millisecond).String() + ", to " +
			adm.Fresh.Round(time.Millisecond).String(), Source: "Policy.Jitter",
			RFC: "RFC 9111 section 4.2"})
	}
	if adm.Age > 0 {
		facts = append(facts, explain.Fact{What: "age", Value: adm.Age.String() + " when it came",
			Source: "Age, Date and the time that the handler took", RFC: "RFC 9111 section 4.2.3"})
	}
	if len(adm.Vary) > 0 {
		facts = append(facts, explain.Fact{What: "vary", Value: "one response for each value of " +
			strings.Join(adm.Vary, ", "), Source: "Vary", RFC: "RFC 9111 section 4.1"})
	}
	if len(adm.Strip) > 0 {
		facts = append(facts, explain.Fact{What: "left out", Value: limited(strings.Join(adm.Strip,
			", ")), Source: "Cache-Control and Connection", RFC: "RFC 9111 section 3.1"})
	}
	if adm.Store && adm.Anonymous {
		facts = append(facts, explain.Fact{What: "for", Value: "requests without credentials only",
			RFC: "RFC 9111 section 3.5"})
	}
	a.add("response", facts...)
}

// lifetimeFacts say what gave the lifetime, and which settings and fields did not.
func (n *run) lifetimeFacts(
	own, h http.Header, status int, adm *rules.Admission, ttl time.Duration,
) (all []explain.Fact) {
	p, _, _ := n.x.wishesOf(own)
	operator := n.x.wishes()[0].Source
	switch {
	case n.said.hasTTL():
		operator = "the handler's SetTTL"
	case p != n.x.p:
		operator = "Policy.ByType" + n.x.policySource(p)
	case strings.HasPrefix(operator, "Policy.TTL"):
		operator = "Policy.TTL" + n.x.policySource(p)
	}
	counts := explain.Fact{What: "lifetime", Value: "none", RFC: "RFC 9111 section 4.2.1"}
	for _, c := range rules.Claims(adm, status, h, p, ttl, n.rec.received) {
		f := explain.Fact{What: "does not count", Value: "lifetime " + c.Value.String(),
			Source: c.Source.String() + " in " + c.Field, RFC: "RFC 9111 section 4.2.1"}
		switch c.Source {
		case rules.SourceOperator:
			f.Source, f.RFC = operator, "RFC 9111 section 4.2.2"
		case rules.SourceHeuristic:
			f.Value += ", a guess by Last-Modified"
			f.Source, f.RFC = "Policy.Heuristic"+n.x.policySource(p), "RFC 9111 section 4.2.2"
		case rules.SourceFailure:
			f.Source, f.RFC = "Policy.FailureTTL", "RFC 9111 section 4.2.2"
		case rules.SourceExpires:
			f.Source = "Expires less Date"
		case rules.SourceNoCache:
			f.Value, f.RFC = "to be validated each time", "RFC 9111 section 5.2.2.4"
		}
		if c.Counts {
			f.What, f.Value = "lifetime", strings.TrimPrefix(f.Value, "lifetime ")
			counts = f
			continue
		}
		f.Value += whyNot(c, adm, status)
		all = append(all, f)
	}
	return append([]explain.Fact{counts}, all...)
}

// whyNot says why a lifetime did not count.
func whyNot(c rules.Claim, adm *rules.Admission, status int) string {
	switch {
	case adm.Source != rules.SourceNone && adm.Source < rules.SourceOperator && c.Field != "" &&
		adm.Field != "Cache-Control":
		return ": " + adm.Field + " takes its place"
	case adm.Source != rules.SourceNone && adm.Source != rules.SourceFailure:
		return ": " + adm.Source.String() + " goes before it"
	case c.Source == rules.SourceOperator && !rules.CoversStatus(status):
		return fmt.Sprintf(": the operator's lifetime does not cover status %d", status)
	case c.Source == rules.SourceHeuristic:
		return ", and guesses are off or not for this response"
	}
	return ": the response may not be stored anyway"
}

// reasonSource names what is behind a reason not to store: fields of the request, of the response,
// or of handlers outside.
func (x *exchange) reasonSource(adm *rules.Admission, own, whole http.Header) string {
	field := ""
	switch adm.Reason {
	case rules.ReasonNoStore, rules.ReasonPrivate, rules.ReasonNoCache, rules.ReasonMustUnderstand:
		field = adm.Field
	case rules.ReasonVaryStar:
		field = "Vary"
	case rules.ReasonStream:
		field = "Content-Type"
	case rules.ReasonSetCookie:
		names := limited(strings.Join(rules.CookieNames(whole), ", "))
		if len(rules.CookieNames(own)) == 0 {
			return "Set-Cookie of a handler outside the cache: " + names
		}
		return "Set-Cookie: " + names
	case rules.ReasonSetIdentity:
		names := rules.IdentityFields(whole)
		if len(rules.IdentityFields(own)) == 0 {
			return namesOf("a handler outside the cache: response field", names)
		}
		return namesOf("response field", names)
	case rules.ReasonClearSiteData:
		field = "Clear-Site-Data"
	case rules.ReasonAuthorization, rules.ReasonCookie:
		return namesOf("request field", rules.Identifying(x.r, x.p))
	case rules.ReasonRequestNoStore:
		return "request field Cache-Control"
	default:
		return ""
	}
	if len(rules.Canonical(own)[field]) == 0 {
		return field + " of a handler outside the cache: " + limited(strings.Join(whole[field],
			", "))
	}
	return field + ": " + limited(strings.Join(whole[field], ", "))
}

// announces writes which lifetime clients get where the handler names none.
func (a *account) announces(h http.Header, announced bool) {
	if a != nil && announced {
		a.add("response", explain.Fact{What: "announced", Value: "Cache-Control: " +
			strings.Join(h["Cache-Control"], ", "), Source: "the operator's lifetime",
			RFC: "RFC 9111 section 5.2.2.1"})
	}
}

// keeps writes the validators of what is stored.
func (a *account) keeps(e *store.Entry) {
	if a != nil {
		a.add("response", validatorFacts(e)...)
	}
}

func namesOf(what string, names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return what + " " + names[0]
	}
	return what + "s " + strings.Join(names, ", ")
}

func keysOf(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// maxShown is how much of a text from outside is shown, in bytes.
const maxShown = 300

func limited(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + " …"
	}
	return s
}

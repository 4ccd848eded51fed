// Package explain is what a cache says of its decision about one request, as a person would tell
// it: how the key was made, what gave the lifetime, what forbade storing or using, with the section
// of the RFC and what to change. The cache makes an [Explanation] on the very walk that decides:
// this package words it, and holds the one table of what each reason means ([Of], [OfForward]).
package explain

import "github.com/freshet-go/freshet/policy"

// Explanation is the whole decision about one request. It holds no credential, no value of a cookie
// and no value of a field that names a user; it does hold the URL with its query. Its JSON names do
// not change within a major version. The zero value explains nothing. It is not safe for concurrent
// use while it is modified.
type Explanation struct {
	// Request is the method and the URL.
	Request string `json:"request"`
	// Verdict is one sentence: what became of the request, or what would.
	Verdict string `json:"verdict"`
	// Outcome is the same in the words of Cache-Status, without the name of the cache:
	// "fwd=uri-miss; stored".
	Outcome string `json:"outcome,omitempty"`
	// Would: nothing was done. Outcome is what the cache would do next, as far as that is decided.
	Would bool `json:"would,omitempty"`
	// Reason is the detail of Outcome, and RFC the section behind it. Both may be empty.
	Reason policy.Reason `json:"reason,omitempty"`
	RFC    string        `json:"rfc,omitempty"`
	// Advice says what to change for the response to be cached; empty where there is nothing to
	// change.
	Advice string `json:"advice,omitempty"`
	// Sections are in the order in which the cache asks: of several mounts, the outer one's come
	// first.
	Sections []Section `json:"sections,omitempty"`
}

// Section is one step of the decision.
type Section struct {
	// Name is one of "request", "key", "stored", "response", "status" and "exchange".
	Name string `json:"name"`
	// Mount names the mount of the cache that decided, where there are several on the request's
	// way.
	Mount string `json:"mount,omitempty"`
	Facts []Fact `json:"facts,omitempty"`
}

// Fact is one thing that the decision rests on.
type Fact struct {
	// What names the fact: "lifetime", "credentials". It does not change within a major version.
	What string `json:"what"`
	// Value is a text for people.
	Value string `json:"value"`
	// Source says where it comes from: a request field, a response field, a setting with its place,
	// a policy's field.
	Source string `json:"source,omitempty"`
	RFC    string `json:"rfc,omitempty"`
	Advice string `json:"advice,omitempty"`
}

// Fact returns the first fact of the name in the first section of the name that has one.
func (x *Explanation) Fact(section, what string) (Fact, bool) {
	for _, s := range x.Sections {
		if s.Name != section {
			continue
		}
		for _, f := range s.Facts {
			if f.What == what {
				return f, true
			}
		}
	}
	return Fact{}, false
}

// Add appends facts to the section of a mount, which it begins where the last section is another
// one.
func (x *Explanation) Add(section, mount string, facts ...Fact) {
	if len(facts) == 0 {
		return
	}
	if n := len(x.Sections); n > 0 && x.Sections[n-1].Name == section &&
		x.Sections[n-1].Mount == mount {
		x.Sections[n-1].Facts = append(x.Sections[n-1].Facts, facts...)
		return
	}
	x.Sections = append(x.Sections, Section{Name: section, Mount: mount, Facts: facts})
}

// Conclude fills in what an outcome means: Verdict, Outcome, Reason, RFC and Advice. would says
// that nothing was done.
func (x *Explanation) Conclude(o policy.Outcome, would bool) {
	x.Outcome, x.Would, x.Reason = o.String(), would, o.Detail
	x.Verdict = verdict(o, would)
	switch m, known := OfStatus(o.Detail, o.FwdStatus); {
	case o.Detail != "" && known:
		x.RFC, x.Advice = m.RFC, m.Advice
	case o.Detail != "":
	case o.Hit:
		x.RFC = "RFC 9111 section 4"
	default:
		m := OfForward(o.Fwd)
		x.RFC = m.RFC
		if !o.Stored && !o.Collapsed && !would {
			x.Advice = m.Advice
		}
	}
}

// verdict is one sentence about an outcome.
func verdict(o policy.Outcome, would bool) string {
	m, known := Of(o.Detail)
	switch {
	case o.Hit && o.Stale:
		return pick(would, "The stored response would be served although it is stale.",
			"The stored response was served although it is stale.")
	case o.Hit:
		return pick(would, "The stored response would answer.", "The stored response answered.")
	case o.Stored:
		return pick(would, "The handler would answer, and its response would be stored. ",
			"The handler answered, and its response was stored. ") + OfForward(o.Fwd).Sentence
	case o.Collapsed:
		return "The response was shared with a request that came before. " +
			OfForward(o.Fwd).Sentence
	case o.Fwd == policy.FwdBypass && known:
		return pick(would, "The request would pass the cache by: ",
			"The request passed the cache by: ") + m.Sentence
	case o.Fwd == policy.FwdNone && known:
		return "No handler was asked: " + m.Sentence
	case o.Detail != "" && known:
		return pick(would, "Would not be stored: ", "Not stored: ") + m.Sentence
	case o.Detail != "":
		return "The cache gave the reason " + string(o.Detail) + ", which this version does not " +
			"know."
	}
	if s := OfForward(o.Fwd).Sentence; s != "" {
		return pick(would, "The handler would be asked. ", "The handler was asked. ") + s
	}
	return "The cache has decided nothing."
}

func pick(would bool, yes, no string) string {
	if would {
		return yes
	}
	return no
}

package cachetest

import (
	"strconv"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// table is what every mount must do.
func table() []chapter {
	return []chapter{
		{"freshness", freshness()},
		{"age", ages()},
		{"heuristics", heuristics()},
		{"statuses", statuses()},
		{"admission", admission()},
		{"targeted fields", targeted()},
		{"credentials", credentials()},
		{"request directives", requestDirectives()},
		{"conditional requests", conditionals()},
		{"revalidation", revalidation()},
		{"HEAD", heads()},
		{"stale", stale()},
		{"stale forbidden", staleForbidden()},
		{"keys", keys()},
		{"key options", keyOptions()},
		{"requests that pass", passing()},
		{"variants", variants()},
		{"fills", fills()},
		{"waits", waits()},
		{"streams", streams()},
		{"broken answers", broken()},
		{"ranges", ranges()},
		{"partial answers", partials()},
		{"POST", posts()},
		{"invalidation", invalidation()},
		{"Cache-Status", cacheStatus()},
		{"made validators", madeValidators()},
		{"settings", settings()},
		{"sick handlers", sick()},
		{"hostile input", hostile()},
		{"HTTP/2", http2()},
	}
}

// kept is the story of an answer that is stored, and serves the second request.
func kept(name string, a answer) story { return keptBy(policy.Policy{}, name, a) }

func keptBy(p policy.Policy, name string, a answer) story {
	status := strconv.Itoa(a.status)
	return story{name: name, policy: p, origin: origin(a), runs: 1, steps: []step{
		get("/").want("*", status, "fwd=uri-miss", "fwd-status="+status, "stored"),
		get("/").want("*", status, "hit"),
	}}
}

// lives is the story of an answer that is stored and has so many seconds left.
func lives(name string, seconds int, header ...string) story {
	return livesBy(policy.Policy{}, name, seconds, says(header...))
}

func livesBy(p policy.Policy, name string, seconds int, a answer) story {
	s := keptBy(p, name, a)
	s.steps[1].words = append(s.steps[1].words, "ttl ~ "+strconv.Itoa(seconds))
	return s
}

// refused is the story of an answer that is not stored, and why.
func refused(name, why string, a answer) story { return refusedBy(policy.Policy{}, name, why, a) }

func refusedBy(p policy.Policy, name, why string, a answer) story {
	status := strconv.Itoa(a.status)
	return story{name: name, policy: p, origin: origin(a), runs: 2, steps: []step{
		get("/").want("*", status, "fwd=uri-miss", "!stored", "detail="+why),
		get("/").want("*", status, "!hit", "!stored"),
	}}
}

// same is the story of two requests that share one answer.
func same(name string, p policy.Policy, a, b step, header ...string) story {
	return story{name: name, policy: p, origin: origin(says(minute(header)...)), runs: 1,
		steps: []step{
			a.want("run 1", "stored"), b.want("run 1", "hit"),
		}}
}

// apart is the story of two requests that share nothing.
func apart(name string, p policy.Policy, a, b step, header ...string) story {
	return story{name: name, policy: p, origin: origin(says(minute(header)...)), runs: 2,
		steps: []step{
			a.want("run 1", "stored"), b.want("run 2", "stored", "!hit"), a.want("run 1", "hit"),
			b.want("run 2", "hit"),
		}}
}

// minute is a header with a lifetime, unless it has one.
func minute(header []string) []string {
	for _, line := range header {
		if strings.HasPrefix(line, "Cache-Control:") {
			return header
		}
	}
	return append([]string{"Cache-Control: max-age=60"}, header...)
}

func steps(s ...step) []step { return s }

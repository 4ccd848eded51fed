package main

import (
	"errors"
	"net/http"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// analytics stands for policy.AnalyticsCookies among the patterns of --ignore-cookies. No cookie
// can be called so.
const analytics = "@analytics"

// readCookies reads patterns of the names of cookies, separated by commas.
func readCookies(text string) (patterns []string, err error) {
	for pattern := range strings.SplitSeq(text, ",") {
		pattern = strings.TrimSpace(pattern)
		name := strings.TrimSuffix(pattern, "*")
		if pattern == "" || name != "" && (&http.Cookie{Name: name}).Valid() != nil {
			return nil, errors.New("allowed are names of cookies with commas between them, with " +
				"* at the end of a name for any end, such as wordpress_logged_in_*,PHPSESSID")
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

// readIgnored is readCookies where @analytics stands for the usual ones.
func readIgnored(text string) (patterns []string, err error) {
	var own []string
	for part := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(part) == analytics {
			patterns = append(patterns, policy.AnalyticsCookies()...)
		} else {
			own = append(own, part)
		}
	}
	if len(own) == 0 {
		return patterns, nil
	}
	more, err := readCookies(strings.Join(own, ","))
	return append(patterns, more...), err
}

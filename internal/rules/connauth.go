package rules

import (
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// ReasonConnectionAuth says that the request or the response belongs to its connection: see
// [ConnectionAuth].
const ReasonConnectionAuth policy.Reason = "connection-auth"

// ConnectionAuth reports whether values of Authorization or WWW-Authenticate name a scheme that
// authenticates the connection, against the rule of HTTP that each request stands for itself (RFC
// 9110 section 3.3): NTLM, and Negotiate (RFC 4559 section 6) with its kin. The requests that
// follow on the connection carry no credentials and are the user's all the same; what answers them
// is nobody else's.
func ConnectionAuth(values []string) bool {
	for _, line := range values {
		for member := range strings.SplitSeq(line, ",") {
			scheme, _, _ := strings.Cut(trimOWS(member), " ")
			switch len(scheme) {
			case len("ntlm"), len("nego2"), len("kerberos"), len("negotiate"):
				switch strings.ToLower(scheme) {
				case "ntlm", "nego2", "kerberos", "negotiate":
					return true
				}
			}
		}
	}
	return false
}

package publicorigin

import (
	"slices"
	"testing"

	"github.com/freshet-go/freshet/internal/rules"
)

// Each forwarding field that is in keys tells the path, or is one of those that an origin removes.
func TestOriginRemovesWhatKeysHold(t *testing.T) {
	ofPaths := []string{"X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Uri",
		"X-Forwarded-Context", "X-Original-Uri", "X-Original-Prefix", "X-Script-Name",
		"X-Ingress-Path", "X-Replaced-Path", "X-Envoy-Original-Path", "Forwarded"}
	known := slices.Concat(ofPaths, hostFields, schemeFields)
	for _, name := range rules.ForwardingFields() {
		if !slices.Contains(known, name) {
			t.Errorf("a request with %s has a key of its own behind a public origin", name)
		}
	}
}

package prometheus_test

import (
	"os"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Grafana's own SDK parses the dashboard, and refuses every field that Grafana does not know.
func TestTheDashboardIsOne(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard.Dashboard
	// The SDK returns an empty list of errors when there is none.
	if err := d.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		t.Fatal(err)
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 10 {
		t.Errorf("it has %d panels", len(d.Panels))
	}
}

package storetest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store"
)

// What fails a test cannot be seen from within it, so these run this test binary once more.
const inner = "STORETEST_INNER"

func TestAbsentAbilitiesFailWhenAsked(t *testing.T) {
	if os.Getenv(inner) != "" {
		runAbilities(t, newMapBackend, options([]Options{{AllAbilities: true, Virtual: true}}))
		return
	}
	said := failing(t)
	for _, ability := range []string{"TTLer", "Expirer", "Flusher", "Lister", "Locker",
		"Journaler"} {
		if !strings.Contains(said, "the backend is no store."+ability+"\n") {
			t.Errorf("nothing is said of %s:\n%s", ability, said)
		}
	}
	if !strings.Contains(said, "the backend is no store.Migrator; it need not be") {
		t.Errorf("a Migrator is asked for:\n%s", said)
	}
}

func TestFailuresTellRuleAndReason(t *testing.T) {
	if os.Getenv(inner) != "" {
		run(t, valueRules[:1], func(*testing.T) store.Backend { return deadBackend{} },
			options(nil))
		return
	}
	said := failing(t)
	for _, want := range []string{"rule: " + valueRules[0].name, "why:  " + valueRules[0].why,
		"dead: get unknown: transient error"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in:\n%s", want, said)
		}
	}
}

// failing runs the test that calls it again, for what it says when it fails.
func failing(t *testing.T) string {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inner+"=1")
	said, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("it did not fail:\n%s", said)
	}
	return string(said)
}

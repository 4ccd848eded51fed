package notices

import (
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/settings"
)

func load(t *testing.T, environ ...string) (Fields, error) {
	t.Helper()
	set, err := settings.Loader{Keys: Keys()}.Load("", environ)
	if err != nil {
		t.Fatal(err)
	}
	return FromSettings(set)
}

func TestFromSettings(t *testing.T) {
	f, err := load(t)
	if err != nil || f != (Fields{}) {
		t.Errorf("nothing set: %+v, %v", f, err)
	}
	f, err = load(t, "FRESHET_BACKOFF=0", "FRESHET_BACKOFF_PERCENTAGE=12.5",
		"FRESHET_RETRY_AFTER_SECONDS=3",
		"FRESHET_EOS=2027-03-31", "FRESHET_EOS_MESSAGE=We move.",
		"FRESHET_EOS_URL=https://example.com/moved")
	if err != nil || f.Backoff == nil || *f.Backoff != 0 || f.BackoffPercentage != 12.5 ||
		f.RetryAfter != 3*time.Second ||
		!f.EOS.Equal(time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)) || f.EOSMessage != "We move." ||
		f.EOSURL != "https://example.com/moved" {
		t.Errorf("all set: %+v, %v", f, err)
	}
	f, err = load(t, "FRESHET_BACKOFF_PERCENTAGE=0", "FRESHET_RETRY_AFTER_SECONDS=0",
		"FRESHET_BACKOFF=", "FRESHET_EOS=")
	if err != nil || f.BackoffPercentage >= 0 || f.RetryAfter >= 0 || f.Backoff != nil ||
		!f.EOS.IsZero() {
		t.Errorf("0 and empty: %+v, %v", f, err)
	}
	for text, at := range map[string]time.Time{
		"2027-03-31T12:00:00Z":      time.Date(2027, 3, 31, 12, 0, 0, 0, time.UTC),
		"2027-03-31T12:00:00+02:00": time.Date(2027, 3, 31, 10, 0, 0, 0, time.UTC),
		"2027-03-31 12:00:00":       time.Date(2027, 3, 31, 12, 0, 0, 0, time.UTC),
		"2027-03-31T12:00":          time.Date(2027, 3, 31, 12, 0, 0, 0, time.UTC),
	} {
		if f, err := load(t, "FRESHET_EOS="+text); err != nil || !f.EOS.Equal(at) {
			t.Errorf("eos = %s: %v, %v", text, f.EOS, err)
		}
	}
	var b Board
	if err := b.Set(f); err != nil {
		t.Error(err)
	}
}

func TestFromSettingsRefuses(t *testing.T) {
	for variable, allowed := range map[string]string{
		"FRESHET_BACKOFF=-1":               "from 0 to 2147483648",
		"FRESHET_BACKOFF=1.5":              "from 0 to 2147483648",
		"FRESHET_BACKOFF=2147483649":       "from 0 to 2147483648",
		"FRESHET_BACKOFF_PERCENTAGE=101":   "from 0 to 100",
		"FRESHET_BACKOFF_PERCENTAGE=-1":    "from 0 to 100",
		"FRESHET_BACKOFF_PERCENTAGE=NaN":   "from 0 to 100",
		"FRESHET_RETRY_AFTER_SECONDS=soon": "whole number of seconds",
		"FRESHET_EOS=tomorrow":             "2027-03-31",
		"FRESHET_EOS=2027-02-30":           "2027-03-31",
		"FRESHET_EOS_URL=moved":            "absolute",
		"FRESHET_EOS_MESSAGE=\xff":         "UTF-8",
	} {
		name, value, _ := strings.Cut(variable, "=")
		_, err := load(t, variable)
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(),
			allowed) {
			t.Errorf("%s: the error is %v, want the variable, %q and %q", variable, err, value,
				allowed)
		}
	}
	if _, err := load(t, "FRESHET_BACKOFF=x", "FRESHET_EOS=y"); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two wrong ones: %v, want a line each", err)
	}
	set, err := settings.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FromSettings(set); err == nil {
		t.Error("settings without the keys are no error")
	}
}

// FuzzDate: what is taken for a date is one that can be written again.
func FuzzDate(f *testing.F) {
	for _, text := range []string{"2027-03-31", "2027-03-31T12:00:00+02:00", "0001-01-01", "x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := date(text)
		if err != nil {
			return
		}
		if again, err := date(at.Format(time.RFC3339Nano)); at.IsZero() || err != nil ||
			!again.Equal(at) {
			t.Errorf("%q is %v, and again %v, %v", text, at, again, err)
		}
	})
}

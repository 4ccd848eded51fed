package settings_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/settings"
)

func TestSwitches(t *testing.T) {
	file := filepath.Join(t.TempDir(), "freshet.ini")
	text := "record_enabled = false\nfreshet.collection_get_enabled = no\ngroup-head-enabled = " +
		"off\nbucket_post_enabled = 0\n" +
		"page_enabled = true\npage_get_enabled = yes\nlate_enabled = false\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := settings.Loader{Resources: []string{"record", "collection", "group", "bucket",
		"page", "late", "other"}}.
		Load(file, []string{"FRESHET_LATE_ENABLED=true", "FRESHET_OTHER_GET_ENABLED=false"})
	if err != nil {
		t.Fatal(err)
	}
	for resource, disabled := range map[string]string{
		"record": "GET HEAD POST", "collection": "GET HEAD", "group": "HEAD", "bucket": "POST",
		"page": "", "late": "",
		"other": "GET HEAD", "unknown": "",
	} {
		var got []string
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
			if !set.Expires().Enabled(resource, method) {
				got = append(got, method)
			}
		}
		if strings.Join(got, " ") != disabled {
			t.Errorf("%s: disabled are %q, want %q", resource, got, disabled)
		}
	}
}

func TestSwitchesAreChecked(t *testing.T) {
	for _, each := range []struct {
		environ string
		words   []string
	}{
		{"FRESHET_RECORD_ENABLED=maybe", []string{"FRESHET_RECORD_ENABLED", "maybe",
			"true and false"}},
		{"FRESHET_RECORD_GET_ENABLED=", []string{"FRESHET_RECORD_GET_ENABLED", "true and false"}},
	} {
		_, err := settings.Load("", []string{each.environ}, "record")
		for _, word := range each.words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: the error %v does not say %q", each.environ, err, word)
			}
		}
		if err != nil && strings.Count(err.Error(), "settings:") != 1 {
			t.Errorf("%s: %v", each.environ, err)
		}
	}
	file := filepath.Join(t.TempDir(), "freshet.ini")
	if err := os.WriteFile(file, []byte("[freshet]\nrecord_put_enabled = false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Load(file, nil, "record"); err == nil || !strings.Contains(err.Error(), "record_put_enabled") {
		t.Errorf("a switch of a method that is never cached: %v", err)
	}
}

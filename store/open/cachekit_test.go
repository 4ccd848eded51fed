package open

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/freshet-go/freshet/settings"
)

// Where one of cachekit's variables chooses the store, the others that mean the same here adjust
// it.
func TestVariablesOfCachekit(t *testing.T) {
	const chooses = "CACHEKIT_REDIS_URL=redis://c"
	for story, c := range map[string]struct {
		file    string
		environ []string
		want    string
		wrong   []string
	}{
		"the server alone": {environ: []string{chooses}, want: "redis://c"},
		"none that chooses": {environ: []string{"REDIS_URL=redis://r", "CACHEKIT_L1_MAX_SIZE_MB=8",
			"CACHEKIT_MASTER_KEY=secret"}, want: "redis://r"},
		"a near tier": {environ: []string{chooses, "CACHEKIT_L1_MAX_SIZE_MB=8"},
			want: "redis://c?near=8388608"},
		"no near tier": {environ: []string{chooses, "CACHEKIT_L1_ENABLED=false", "CACHEKIT_L1_MAX_SIZE_MB=8"},
			want: "redis://c?near=0"},
		"a near tier as it is here": {environ: []string{chooses, "CACHEKIT_L1_ENABLED=true"}, want: "redis://c"},
		"the largest entry": {environ: []string{chooses, "CACHEKIT_MAX_VALUE_SIZE=104857600"},
			want: "redis://c?max_value=104857600"},
		"keys": {environ: []string{chooses, "CACHEKIT_MASTER_KEY=secret", "CACHEKIT_PREVIOUS_MASTER_KEYS=secret"},
			want: "redis://c?encryption_key=env%3ACACHEKIT_MASTER_KEY&" +
				"encryption_old_keys=env%3ACACHEKIT_PREVIOUS_MASTER_KEYS"},
		"our key goes before": {environ: []string{chooses, "CACHEKIT_MASTER_KEY=secret", "FRESHET_MASTER_KEY=secret"},
			want: "redis://c?encryption_key=env%3AFRESHET_MASTER_KEY"},
		"a setting goes before": {file: "cache_near_size_bytes = 1MiB\n",
			environ: []string{chooses, "CACHEKIT_L1_MAX_SIZE_MB=8"}, want: "redis://c?near=1048576"},
		"the URL goes before": {environ: []string{chooses + "?near=1MiB", "CACHEKIT_L1_MAX_SIZE_MB=8"},
			want: "redis://c?near=1MiB"},
		"an item": {environ: []string{"CACHEKIT_MEMCACHED_SERVERS=a:1",
			"CACHEKIT_MEMCACHED_MAX_ITEM_SIZE_BYTES=2097152"}, want: "memcached://a:1?max_item_size=2097152"},
		"an item of any size": {environ: []string{"CACHEKIT_MEMCACHED_SERVERS=a:1",
			"CACHEKIT_MEMCACHED_MAX_ITEM_SIZE_BYTES=0"}, want: "memcached://a:1"},
		"an item, and Redis": {environ: []string{chooses, "CACHEKIT_MEMCACHED_MAX_ITEM_SIZE_BYTES=2097152"},
			want: "redis://c"},
		"no number": {environ: []string{chooses, "CACHEKIT_L1_MAX_SIZE_MB=-1"},
			wrong: []string{"CACHEKIT_L1_MAX_SIZE_MB", `"-1"`, "whole number of MiB"}},
		"no word": {environ: []string{chooses, "CACHEKIT_L1_ENABLED=perhaps"},
			wrong: []string{"CACHEKIT_L1_ENABLED", "perhaps"}},
		"too large": {environ: []string{chooses, "CACHEKIT_MAX_VALUE_SIZE=1e99"},
			wrong: []string{"CACHEKIT_MAX_VALUE_SIZE", "1e99", "a size from"}},
	} {
		t.Run(story, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "freshet.ini")
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			set, err := settings.Loader{Keys: Keys()}.Load(file, c.environ)
			if err != nil {
				t.Fatal(err)
			}
			got, err := FromSettings(set, c.environ)
			if !says(t, err, c.wrong) && got.URL != c.want {
				t.Errorf("got %q, want %q", got.URL, c.want)
			}
			if c.file != "" {
				return
			}
			resolved, err := Resolve("", c.environ)
			if !says(t, err, c.wrong) && resolved != got {
				t.Errorf("Resolve: got %v, want %v", resolved, got)
			}
		})
	}
}

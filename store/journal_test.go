package store

import "testing"

func TestMarksThatJournalsAccept(t *testing.T) {
	for _, tt := range []struct {
		mark Mark
		want bool
	}{
		{Mark{Kind: Key, Name: "page"}, true},
		{Mark{Kind: Tag, Name: "news", Soft: true}, true},
		{Mark{Kind: Prefix, Name: "folder/"}, true},
		{Mark{Kind: Everything}, true},
		{Mark{Kind: Everything, Name: "not looked at"}, true},
		{Mark{Kind: Key}, false},
		{Mark{Kind: Tag}, false},
		{Mark{Kind: Prefix, Soft: true}, false}, // would be everything
		{Mark{Kind: Everything + 1, Name: "page"}, false},
	} {
		if err := tt.mark.Validate(); (err == nil) != tt.want {
			t.Errorf("%+v: %v, want it accepted: %t", tt.mark, err, tt.want)
		}
	}
}

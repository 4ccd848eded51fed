package store

import "testing"

func TestMarksThatJournalsAccept(t *testing.T) {
	for _, tt := range []struct {
		mark Mark
		want bool
	}{
		{Mark{Kind: MarkKey, Name: "page"}, true},
		{Mark{Kind: MarkTag, Name: "news", Soft: true}, true},
		{Mark{Kind: MarkPrefix, Name: "folder/"}, true},
		{Mark{Kind: MarkEverything}, true},
		{Mark{Kind: MarkEverything, Name: "not looked at"}, true},
		{Mark{Kind: MarkKey}, false},
		{Mark{Kind: MarkTag}, false},
		{Mark{Kind: MarkPrefix, Soft: true}, false}, // would be everything
		{Mark{Kind: MarkBarrier}, true},
		{Mark{Kind: MarkNotice, Name: "done"}, true},
		{Mark{Kind: MarkNotice}, false},
		{Mark{Kind: MarkNotice + 1, Name: "page"}, false},
	} {
		if err := tt.mark.Validate(); (err == nil) != tt.want {
			t.Errorf("%+v: %v, want it accepted: %t", tt.mark, err, tt.want)
		}
	}
}

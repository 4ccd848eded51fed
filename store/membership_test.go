package store

import (
	"strings"
	"testing"
)

func TestMembersThatJournalsAccept(t *testing.T) {
	for _, tt := range []struct {
		member Member
		want   bool
	}{
		{Member{ID: "a"}, true},
		{Member{ID: strings.Repeat("Zz09-", 12) + "abcd", Name: strings.Repeat("ü", 64)}, true},
		{Member{ID: "", Name: "web"}, false},
		{Member{ID: strings.Repeat("a", 65)}, false},
		{Member{ID: "a b"}, false},
		{Member{ID: "a\x00"}, false},
		{Member{ID: "[a]"}, false},
		{Member{ID: "ä"}, false},
		{Member{ID: "a", Name: strings.Repeat("x", 129)}, false},
		{Member{ID: "a", Name: "web\n1"}, false},
		{Member{ID: "a", Name: "\xff"}, false},
	} {
		if err := tt.member.Validate(); (err == nil) != tt.want {
			t.Errorf("%+v: %v, want it accepted: %t", tt.member, err, tt.want)
		}
	}
}

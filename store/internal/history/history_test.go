package history

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store"
)

func TestMark(t *testing.T) {
	for _, tt := range []struct {
		kind int
		soft bool
		want store.Mark
	}{
		{0, false, store.Mark{Kind: store.MarkKey, Name: "n"}},
		{1, true, store.Mark{Kind: store.MarkTag, Name: "n", Soft: true}},
		{2, false, store.Mark{Kind: store.MarkPrefix, Name: "n"}},
		{3, true, store.Mark{Kind: store.MarkEverything, Name: "n", Soft: true}},
		{4, false, store.Mark{Kind: store.MarkBarrier, Name: "n"}},
		{5, false, store.Mark{Kind: store.MarkNotice, Name: "n"}},
		{6, true, store.Mark{Kind: store.MarkEverything}},
		{-1, true, store.Mark{Kind: store.MarkEverything}},
		{256, false, store.Mark{Kind: store.MarkEverything}}, // 0, if it were cut to a byte
	} {
		if got := Mark(tt.kind, "n", tt.soft); got != tt.want {
			t.Errorf("kind %d, soft %v: %+v; want %+v", tt.kind, tt.soft, got, tt.want)
		}
	}
}

// What the letters stand for is in the journals of servers and on disks: they must stay.
func TestLetters(t *testing.T) {
	for letter, want := range map[byte]store.Mark{
		'k': {Kind: store.MarkKey, Name: "n"}, 'K': {Kind: store.MarkKey, Name: "n", Soft: true},
		't': {Kind: store.MarkTag, Name: "n"}, 'T': {Kind: store.MarkTag, Name: "n", Soft: true},
		'p': {Kind: store.MarkPrefix, Name: "n"}, 'P': {Kind: store.MarkPrefix, Name: "n",
			Soft: true},
		'n': {Kind: store.MarkBarrier, Name: "n"}, 'N': {Kind: store.MarkBarrier, Name: "n",
			Soft: true},
		'w': {Kind: store.MarkNotice, Name: "n"}, 'W': {Kind: store.MarkNotice, Name: "n", Soft: true},
		'e': {Kind: store.MarkEverything, Name: "n"}, 'E': {Kind: store.MarkEverything, Name: "n",
			Soft: true},
	} {
		if got, ok := OfLetter(letter, "n"); got != want || !ok || Letter(want) != letter {
			t.Errorf("%c: %+v, %t, written %c; want %+v", letter, got, ok, Letter(want), want)
		}
	}
	for _, letter := range []byte{0, 1, 'a', 'Z', '[', '@', '{', 0xff} {
		if got, ok := OfLetter(letter, "n"); ok || got != All {
			t.Errorf("%q: %+v, %t; want a mark that covers everything", letter, got, ok)
		}
	}
}

func TestForgotten(t *testing.T) {
	want := store.Numbered{Mark: store.Mark{Kind: store.MarkEverything}, Number: 7}
	if got := Forgotten(7); got != want {
		t.Errorf("%+v; want %+v, a hard one", got, want)
	}
}

func TestBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := uint64(time.Now().UnixMicro())
		for known, want := range map[uint64]uint64{
			0: now, now - 1: now, now: now + 1, now + 1000: now + 1001,
		} {
			if got := Begin(known); got != want {
				t.Errorf("after %d, at %d: %d; want %d", known, now, got, want)
			}
		}
	})
}

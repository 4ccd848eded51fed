package pgstore

import (
	"github.com/freshet-go/freshet/store"
)

func everything(number int64) store.Numbered {
	return store.Numbered{Mark: store.Mark{Kind: store.Everything}, Number: uint64(number)}
}

// markOf is what a row says. A kind of a later version covers everything.
func markOf(number int64, kind int16, soft bool, name []byte) store.Numbered {
	m := store.Mark{Kind: store.MarkKind(kind), Name: string(name), Soft: soft}
	if kind < 0 || kind > int16(store.Everything) {
		m = store.Mark{Kind: store.Everything}
	}
	return store.Numbered{Mark: m, Number: uint64(number)}
}

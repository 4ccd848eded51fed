package middleware

// state is how far a run of the handler has come. docs/design.md draws the table. The names in
// brackets are those that Vinyl Cache (formerly Varnish) has for the same.
type state uint8

const (
	// what the handler writes is held back: nothing has been decided (fetch)
	holding state = iota
	// it goes to the leader's client and to the readers as it comes (deliver, streaming)
	streaming
	passing     // it goes to the leader's client alone (pass, hit-for-miss)
	completing  // it is held, to complete a stored part
	retrying    // it is of no use: the handler runs again, without conditions (retry)
	substituted // something else is the answer: what is stored, freshened (304) or stale, or a 304
	whole       // all of it is there: client, readers and store get it (deliver)
	piping      // the handler has the connection (pipe)
	states      // how many there are
)

// transitions are the states that may follow each state. A run begins in holding. Where the handler
// panics, it ends in any.
var transitions = [states][]state{
	holding:     {streaming, passing, completing, retrying, substituted, whole, piping},
	completing:  {retrying, substituted},
	retrying:    {holding},
	streaming:   {},
	passing:     {},
	substituted: {},
	whole:       {},
	piping:      {},
}

func (s state) String() string {
	return [...]string{"holding", "streaming", "passing", "completing", "retrying", "substituted",
		"whole", "piping"}[s]
}

// onTransition, when not nil, is called for each transition. Tests hold them to the table.
var onTransition func(from, to state)

// become is the only place where a run's state changes.
func (n *run) become(s state) {
	if onTransition != nil {
		onTransition(n.state, s)
	}
	n.state = s
	switch s {
	case streaming, whole:
		n.letGoOfFound()
	case passing, piping:
		n.letGoOfFound()
		n.freePlaces()
	}
}

package follower

// taken is up to where the journal has taken the marks that it did not take at first.
type taken struct {
	held   uint64 // how many of all that were ever held
	number uint64 // that it gave the last of them
}

// heldSoFar returns how many marks were ever held.
func (u *unsent) heldSoFar() uint64 { return u.held.Load() }

// took notes that the journal has taken the first held marks, under numbers up to number.
func (u *unsent) took(held, number uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.taken = taken{held, number}
}

// sentAs returns a number of the journal's that is no smaller than those of the first held marks; 0:
// it has not taken all of them.
func (u *unsent) sentAs(held uint64) uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.taken.held < held {
		return 0
	}
	return u.taken.number
}

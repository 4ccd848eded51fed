package middleware

import "slices"

// speech is what the handler of a POST may speak through. Few answers to POST are stored, and the
// handler runs before anybody knows of which kind its answer is. So a mount makes a speech only
// once it has had an answer that could have been stored, had its handler not called FromContext in
// vain.
type speech struct {
	speaking
	said Response
}

// serveSpeaking runs the handler for a request of its own, in which FromContext finds the speech.
func (w *unsafeWriter) serveSpeaking() {
	r := w.x.r
	s := &speech{}
	s.speaking = speaking{r.Context(), &s.said}
	if outer := saidIn(r.Context()); outer != nil {
		s.said.around, s.said.run = outer, outer.run // of which this request is a part
	}
	s.said.give(w.x.policyTags())
	w.speech = s
	own := r.WithContext(s)
	defer giveBack(r, own)
	w.serve(own)
}

// silenced reports whether the handler has kept its answer out of the cache, or may have: some
// handler has called FromContext in vain since this one began. From then on the mount hears those
// of its POSTs.
func (w *unsafeWriter) silenced() bool {
	if w.speech == nil {
		if unheard.Load() == w.unheard {
			return false
		}
		w.x.who.hears.Store(true)
		return true
	}
	said := &w.speech.said
	return said.silent() != "" || said.failure() != nil
}

// tags returns the tags of the answer.
func (w *unsafeWriter) tags() []string {
	said := &Response{given: w.x.policyTags()} // of a handler that is not heard
	if w.speech != nil {
		said = &w.speech.said
	}
	return uniqueTags(slices.Concat(said.tagged(w.x.req.Tag), w.named))
}

// words returns the tags that the handler has named itself.
func (w *unsafeWriter) words() []string {
	if w.speech == nil {
		return nil
	}
	return w.speech.said.words()
}

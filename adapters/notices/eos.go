package notices

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// alert returns the value of an Alert field: JSON in ASCII, as field values have to be.
func alert(code string, f *Fields) string {
	return string(asJSON(struct {
		Code    string `json:"code"`
		Message string `json:"message,omitempty"`
		URL     string `json:"url,omitempty"`
	}{code, f.EOSMessage, f.EOSURL}))
}

// goneMessage is Kinto's.
const goneMessage = "The service you are trying to connect no longer exists at this location."

// goneBody returns the body of a 410, as Kinto has it.
func goneBody() []byte {
	return asJSON(struct {
		Code    int    `json:"code"`
		Errno   int    `json:"errno"`
		Error   string `json:"error"`
		Message string `json:"message"`
	}{http.StatusGone, 202, "Gone", goneMessage})
}

// answerGone answers with 410. No cache on the way may keep it: the operator may think better of
// it.
func (p *posted) answerGone(w http.ResponseWriter) {
	h := w.Header()
	h["Alert"] = p.hard
	h["Cache-Control"] = []string{"no-store"}
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(p.gone))}
	w.WriteHeader(http.StatusGone)
	w.Write(p.gone) // of which net/http sends nothing to a HEAD
}

// asJSON returns v in JSON of ASCII alone, on one line.
func asJSON(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.Encode(v) // strings and numbers, which cannot fail
	var ascii []byte
	for _, r := range string(bytes.TrimSpace(b.Bytes())) {
		switch {
		case r < 0x7f:
			ascii = append(ascii, byte(r))
		case r < 0x10000:
			ascii = fmt.Appendf(ascii, `\u%04x`, r)
		default:
			r -= 0x10000
			ascii = fmt.Appendf(ascii, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return ascii
}

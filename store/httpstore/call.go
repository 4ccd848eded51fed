package httpstore

import (
	"context"
	"net/http"
	"strconv"

	"github.com/freshet-go/freshet/store/internal/fault"
	"github.com/freshet-go/freshet/store/internal/httpclient"
)

const driver = fault.Driver("httpstore")

// maxRedirects is how many are followed, on the same server.
const maxRedirects = 3

// question is a request for what lies under a key.
type question struct {
	method string
	key    string
	ttl    int64  // of PUT, in seconds
	value  []byte // of PUT
	first  int64  // of GET: how many bytes to ask for; 0: all
}

type answer = httpclient.Answer

// ask sends a question and reads the answer. Its errors are those of the way and of answers that no
// status tells.
func (b *Backend) ask(ctx context.Context, q question) (answer, error) {
	asked := httpclient.Question{Method: q.method, To: httpclient.At(b.base, nameOf(q.key)),
		Body: q.value, Wants: q.method == http.MethodGet, First: q.first}
	if q.method == http.MethodPut {
		asked.Header = func(h http.Header) {
			h.Set("Content-Type", "application/octet-stream")
			if b.config.TTLHeader != "" {
				h.Set(b.config.TTLHeader, strconv.FormatInt(q.ttl, 10))
			}
		}
		if b.config.TTLQuery != "" {
			asked.To.RawQuery = b.config.TTLQuery + "=" + strconv.FormatInt(q.ttl, 10)
		}
	}
	return b.client.Ask(ctx, asked)
}

// nameOf returns what a key is called in a URL, where . and .. are other folders.
func nameOf(key string) string {
	if httpclient.Dots(key) {
		return "~" + key // which no key has
	}
	return key
}

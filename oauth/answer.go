package oauth

import (
	"net/http"
	"sync"

	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// Values of header fields that are always the same, so that an answer does not
// allocate them anew. Nobody changes them in place: to add to one copies it.
var (
	typeJSON = []string{"application/json"}
	noStore  = []string{"no-store"}
	noCache  = []string{"no-cache"}
	noSniff  = []string{"nosniff"}
)

// An answer is a body of JSON that is being written. It may hold a token, and so
// it is cleared before its memory serves for the next one. An answer that is not
// sent is left to the garbage collector.
type answer struct{ text []byte }

var answers = sync.Pool{New: func() any { return &answer{make([]byte, 0, 256)} }}

func newAnswer() *answer { return answers.Get().(*answer) }

func (a *answer) add(text string) { a.text = append(a.text, text...) }

// send sends an answer, which must not be used any more.
func (a *answer) send(w http.ResponseWriter, status int) {
	h := w.Header()
	h["Content-Type"] = typeJSON
	h["Cache-Control"] = noStore
	h["Pragma"] = noCache
	w.WriteHeader(status)
	_, _ = w.Write(a.text) // a client that is gone needs no answer
	clear(a.text)
	a.text = a.text[:0]
	answers.Put(a)
}

// writeError answers with an error (RFC 6749 §5.2), as keyshttp.WriteError does.
func writeError(w http.ResponseWriter, e keyshttp.Error) {
	w.Header()["X-Content-Type-Options"] = noSniff
	// Neither codes nor descriptions have characters that JSON escapes.
	body := newAnswer()
	body.add(`{"error":"`)
	body.add(e.Code)
	body.add(`","error_description":"`)
	body.add(e.Description)
	body.add("\"}\n")
	body.send(w, e.Status)
}

package oauth

import (
	"net/http"
	"sync"

	"github.com/claviger-auth/claviger/keys/httpjson"
)

// An answer is a JSON body that is being written. It may hold a token, so its
// memory is cleared before the next answer uses it. An answer that is not sent is
// left to the garbage collector.
type answer struct{ text []byte }

var answers = sync.Pool{New: func() any { return &answer{make([]byte, 0, 256)} }}

func newAnswer() *answer { return answers.Get().(*answer) }

func (a *answer) add(text string) { a.text = append(a.text, text...) }

// send sends an answer, which must not be used any more.
func (a *answer) send(w http.ResponseWriter, status int) {
	// The values of the fields have memory of their own for each answer, since a
	// host may write to it.
	values := &[3]string{"application/json", "no-store", "no-cache"}
	h := w.Header()
	h["Content-Type"], h["Cache-Control"], h["Pragma"] = values[:1:1], values[1:2:2], values[2:3:3]
	w.WriteHeader(status)
	_, _ = w.Write(a.text) // a client that has gone needs no answer
	clear(a.text)
	a.text = a.text[:0]
	answers.Put(a)
}

// sendError answers with an error (RFC 6749 §5.2). If challenge is not empty it is
// sent as WWW-Authenticate, and if wait, a number of seconds, is not empty, as
// Retry-After.
func sendError(w http.ResponseWriter, e *httpjson.Refusal, challenge, wait string) {
	values := &[3]string{"nosniff", challenge, wait}
	h := w.Header()
	h["X-Content-Type-Options"] = values[:1:1]
	if challenge != "" {
		h["Www-Authenticate"] = values[1:2:2]
	}
	if wait != "" {
		h["Retry-After"] = values[2:3:3]
	}
	// Neither codes nor descriptions have characters that JSON escapes.
	body := newAnswer()
	body.add(`{"error":"`)
	body.add(e.Code)
	body.add(`","error_description":"`)
	body.add(e.Description)
	body.add("\"}\n")
	body.send(w, e.Status)
}

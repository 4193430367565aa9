package middleware

import (
	"net/http"
	"strconv"
	"sync"
)

// WriteJSON is the ErrorWriter that hosts get without asking. It writes
//
//	{"error":"<code>","error_description":"<description>"}
func WriteJSON(w http.ResponseWriter, _ *http.Request, refusal Refusal) {
	b := bodies.Get().(*body)
	b.add(`{"error":"`, refusal.Code, `","error_description":"`, refusal.Description, "\"}\n")
	b.send(w, refusal.Status, "application/json")
}

// WriteProblem is the ErrorWriter of RFC 9457. It writes
//
//	{"type":"about:blank","title":"Unauthorized","status":401,"detail":"<description>","error":"<code>"}
//
// as application/problem+json.
func WriteProblem(w http.ResponseWriter, _ *http.Request, refusal Refusal) {
	b := bodies.Get().(*body)
	b.add(`{"type":"about:blank","title":"`, http.StatusText(refusal.Status), `","status":`)
	b.text = strconv.AppendInt(b.text, int64(refusal.Status), 10)
	b.add(`,"detail":"`, refusal.Description, `","error":"`, refusal.Code, "\"}\n")
	b.send(w, refusal.Status, "application/problem+json")
}

// A body is the text of one answer. Its memory is used again, since nobody keeps
// it: an io.Writer must not.
type body struct{ text []byte }

var bodies = sync.Pool{New: func() any { return &body{make([]byte, 0, 320)} }}

func (b *body) add(texts ...string) {
	for _, text := range texts {
		b.text = append(b.text, text...)
	}
}

// send sends b, which must not be used any more.
func (b *body) send(w http.ResponseWriter, status int, contentType string) {
	// The values of the two fields about a body, in one object.
	x := new(struct {
		values [2]string
		length [8]byte
	})
	length := strconv.AppendInt(x.length[:0], int64(len(b.text)), 10)
	x.values = [...]string{contentType, textOf(length)}
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = x.values[:1:1], x.values[1:2:2]
	w.WriteHeader(status)
	_, _ = w.Write(b.text) // a client that is gone needs no answer
	b.text = b.text[:0]
	bodies.Put(b)
}

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
	body := bodies.Get().(*[]byte)
	b := append((*body)[:0], `{"error":"`...)
	b = append(b, refusal.Code...)
	b = append(b, `","error_description":"`...)
	b = append(b, refusal.Description...)
	b = append(b, '"', '}', '\n')
	write(w, refusal.Status, "application/json", b)
	*body = b
	bodies.Put(body)
}

// WriteProblem is the ErrorWriter of RFC 9457. It writes
//
//	{"type":"about:blank","title":"Unauthorized","status":401,"detail":"<description>","error":"<code>"}
//
// as application/problem+json.
func WriteProblem(w http.ResponseWriter, _ *http.Request, refusal Refusal) {
	body := bodies.Get().(*[]byte)
	b := append((*body)[:0], `{"type":"about:blank","title":"`...)
	b = append(b, http.StatusText(refusal.Status)...)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(refusal.Status), 10)
	b = append(b, `,"detail":"`...)
	b = append(b, refusal.Description...)
	b = append(b, `","error":"`...)
	b = append(b, refusal.Code...)
	b = append(b, '"', '}', '\n')
	write(w, refusal.Status, "application/problem+json", b)
	*body = b
	bodies.Put(body)
}

// bodies holds the memory of bodies, which nobody keeps: an io.Writer must not.
var bodies = sync.Pool{New: func() any { return new(make([]byte, 0, 320)) }}

// A bodyText is the memory of the two fields about a body.
type bodyText struct {
	values [2]string
	length [8]byte
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	x, h := new(bodyText), w.Header()
	length := strconv.AppendInt(x.length[:0], int64(len(body)), 10)
	x.values = [...]string{contentType, textOf(length)}
	h["Content-Type"], h["Content-Length"] = x.values[:1:1], x.values[1:2:2]
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

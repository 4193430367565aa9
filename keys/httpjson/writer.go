package httpjson

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// An ErrorWriter writes the status and the body of a refusal, and the header fields
// about the body. All other header fields are set before it is called. It must write
// nothing of Refusal.Err.
//
// If it writes no status, the answer has that of the refusal, and not 200. For that, w
// is a wrapper of the http.ResponseWriter. An [http.ResponseController] finds what is
// behind it.
type ErrorWriter func(w http.ResponseWriter, r *http.Request, refusal Refusal)

// A refusalWriter is what an ErrorWriter of the host writes to.
type refusalWriter struct {
	http.ResponseWriter
	status int // of the refusal; 0 once a status is written
}

// Unwrap is for [http.ResponseController].
func (w *refusalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *refusalWriter) WriteHeader(status int) {
	if status >= http.StatusOK { // else another status follows
		w.status = 0
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *refusalWriter) Write(text []byte) (int, error) {
	w.writeStatus()
	return w.ResponseWriter.Write(text)
}

// FlushError is for [http.ResponseController]. To flush writes a status too.
func (w *refusalWriter) FlushError() error {
	w.writeStatus()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// writeStatus writes the status of the refusal, unless a status is written already.
func (w *refusalWriter) writeStatus() {
	if w.status != 0 {
		w.WriteHeader(w.status)
	}
}

// WriteJSON is the default ErrorWriter. It writes, as application/json,
//
//	{"error":"<code>","error_description":"<description>"}
//
// and, if refusal.Grant is not nil, the lists "reserved" and "unknown".
func WriteJSON(w http.ResponseWriter, _ *http.Request, refusal Refusal) {
	x := new(document)
	b := append(x.memory[:0], `{"error":`...)
	b = appendString(b, refusal.Code)
	b = append(b, `,"error_description":`...)
	b = appendString(b, refusal.Description)
	b = appendGrant(b, &refusal)
	x.send(w, refusal.Status, "application/json", append(b, "}\n"...))
}

// WriteProblem is the ErrorWriter of RFC 9457. It writes, as
// application/problem+json,
//
//	{"type":"about:blank","title":"Unauthorized","status":401,"detail":"<description>","error":"<code>"}
//
// and, if refusal.Grant is not nil, the lists "reserved" and "unknown".
func WriteProblem(w http.ResponseWriter, _ *http.Request, refusal Refusal) {
	x := new(document)
	b := append(x.memory[:0], `{"type":"about:blank","title":`...)
	b = appendString(b, title(refusal.Status))
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(refusal.Status), 10)
	b = append(b, `,"detail":`...)
	b = appendString(b, refusal.Description)
	b = append(b, `,"error":`...)
	b = appendString(b, refusal.Code)
	b = appendGrant(b, &refusal)
	x.send(w, refusal.Status, "application/problem+json", append(b, "}\n"...))
}

// title returns the title of a problem of type about:blank, which is the text of its
// status (RFC 9457 §4.2.1).
func title(status int) string {
	if status == StatusClientGone {
		return "Client Closed Request"
	}
	return http.StatusText(status)
}

// appendString appends a JSON string.
func appendString(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return appendJSON(b, text)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// appendGrant appends the lists of scopes that cannot be granted.
func appendGrant(b []byte, refusal *Refusal) []byte {
	if refusal.Grant == nil {
		return b
	}
	b = append(b, `,"reserved":`...)
	b = appendJSON(b, append([]string{}, refusal.Grant.Reserved...)) // not nil, which would be null
	b = append(b, `,"unknown":`...)
	return appendJSON(b, append([]string{}, refusal.Grant.Unknown...))
}

// appendJSON appends the JSON text of a string or a list of strings.
func appendJSON(b []byte, v any) []byte {
	text, _ := json.Marshal(v) // there is no error for such values
	return append(b, text...)
}

// A document is the memory for one answer, in a single allocation: its text, unless
// that is long, and the values of the header fields about it.
type document struct {
	values [2]string
	memory [192]byte
}

// send writes the answer. If it fits, text is in the memory of x.
func (x *document) send(w http.ResponseWriter, status int, contentType string, text []byte) {
	x.values = [...]string{contentType, "nosniff"}
	h := w.Header()
	h["Content-Type"], h["X-Content-Type-Options"] = x.values[:1:1], x.values[1:2:2]
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone needs no answer
}

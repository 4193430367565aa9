package httpjson

import (
	"encoding/json"
	"net/http"
	"time"
)

// Timestamp returns a time as answers show it: ISO 8601 in UTC with milliseconds, as in
// "2026-01-01T00:00:00.000Z". Parts of a millisecond are cut off. The zero time, which
// stands for never, is "".
func Timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// Write answers with a status and the JSON text of v. It sets Content-Type,
// Cache-Control: no-store and X-Content-Type-Options: nosniff; other header fields
// stay as they are. If v cannot be encoded, which is a mistake in the program, the
// answer is 500 server_error instead.
func Write(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
		text = []byte(`{"error":"server_error","error_description":"the answer cannot be written"}`)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // a client that has gone needs no answer
}

// WriteNothing answers 204 without a body, and with Cache-Control: no-store.
func WriteNothing(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

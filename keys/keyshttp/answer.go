package keyshttp

import (
	"encoding/json"
	"net/http"
	"time"
)

// TimeFormat is the layout of times in answers, for [time.Time.Format] of a
// time in UTC: ISO 8601 with milliseconds, as in "2026-01-01T00:00:00.000Z".
const TimeFormat = "2006-01-02T15:04:05.000Z"

func timestamp(t time.Time) string { return t.UTC().Format(TimeFormat) }

// WriteJSON answers with a status and the JSON text of v. The answer is not to
// be cached or taken for another type. Headers that are set before stay, but
// for Content-Type, Cache-Control and X-Content-Type-Options. If v cannot be
// encoded, which is a mistake in the program, the answer is 500 server_error
// instead.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
		text = []byte(`{"error":"server_error","error_description":"the answer cannot be written"}`)
	}
	neverCache(w)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // nobody is left to be told
}

func neverCache(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }

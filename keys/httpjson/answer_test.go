package httpjson_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/google/go-cmp/cmp"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Location", "/x")
	w.Header().Set("Cache-Control", "public")
	httpjson.Write(w, http.StatusAccepted, map[string]string{"a": "<b>"})
	want := http.Header{
		"Location": {"/x"}, "Cache-Control": {"no-store"}, "Content-Type": {"application/json"},
		"X-Content-Type-Options": {"nosniff"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if got, want := w.Body.String(), `{"a":"\u003cb\u003e"}`+"\n"; w.Code != http.StatusAccepted || got != want {
		t.Errorf("%d %q, want 202 %q", w.Code, got, want)
	}
}

func TestWriteOfWhatHasNoJSON(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	httpjson.Write(w, http.StatusOK, func() {})
	const want = `{"error":"server_error","error_description":"the answer cannot be written"}` + "\n"
	if got := w.Body.String(); w.Code != http.StatusInternalServerError || got != want {
		t.Errorf("%d %s", w.Code, got)
	}
}

func TestWriteNothing(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	httpjson.WriteNothing(w)
	if diff := cmp.Diff(http.Header{"Cache-Control": {"no-store"}}, w.Header()); diff != "" || w.Code != 204 || w.Body.Len() > 0 {
		t.Errorf("%d %s %s", w.Code, w.Body, diff)
	}
}

func TestTimestamp(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*60*60)
	for want, at := range map[string]time.Time{
		"2025-12-31T23:00:00.000Z": time.Date(2026, 1, 1, 1, 0, 0, 0, zone),
		"2025-12-31T23:00:00.120Z": time.Date(2026, 1, 1, 1, 0, 0, 120_999_999, zone),
		"":                         {}, // never
	} {
		if got := httpjson.Timestamp(at); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

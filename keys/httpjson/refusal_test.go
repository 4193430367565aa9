package httpjson_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/google/go-cmp/cmp"
)

func TestRefuse(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithTimeout(t.Context(), 0)
	defer cancelLate()
	down := httpjson.Refusal{Status: 503, Code: "temporarily_unavailable", Description: "d", Err: errors.New("s3cret")}
	tests := []struct {
		name    string
		ctx     context.Context
		before  http.Header
		refusal httpjson.Refusal
		want    http.Header // but for those about the body
		status  int
		code    string
	}{
		{"plain", t.Context(), nil, httpjson.Refusal{Status: 418, Code: "teapot", Description: "d"}, http.Header{}, 418, "teapot"},
		{"no status", t.Context(), nil, httpjson.Refusal{Code: "a"}, http.Header{}, 500, "a"},
		{"a good status", t.Context(), nil, httpjson.Refusal{Status: 399, Code: "a"}, http.Header{}, 500, "a"},
		{"a status that is none", t.Context(), nil, httpjson.Refusal{Status: 600, Code: "a"}, http.Header{}, 500, "a"},
		{"the last status", t.Context(), nil, httpjson.Refusal{Status: 599, Code: "a"}, http.Header{}, 599, "a"},
		{"503", t.Context(), nil, down, http.Header{"Retry-After": {"1"}}, 503, "temporarily_unavailable"},
		{"503 at the deadline", late, nil, down, http.Header{"Retry-After": {"1"}}, 503, "temporarily_unavailable"},
		{"503 without a client", gone, nil, down, http.Header{}, 499, "client_gone"},
		{"404 without a client", gone, nil, httpjson.Refusal{Status: 404, Code: "a"}, http.Header{}, 404, "a"},
		{"429", t.Context(), nil, httpjson.Refusal{Status: 429, Code: "a", RetryAfter: 7}, http.Header{"Retry-After": {"7"}}, 429, "a"},
		{"503 with a time", t.Context(), nil, httpjson.Refusal{Status: 503, Code: "a", RetryAfter: 7}, http.Header{"Retry-After": {"7"}}, 503, "a"},
		{"a time that is set", t.Context(), http.Header{"Retry-After": {"30"}}, down, http.Header{"Retry-After": {"30"}}, 503, "temporarily_unavailable"},
		{"public before", t.Context(), http.Header{"Cache-Control": {"public"}}, httpjson.Refusal{Status: 404, Code: "a"}, http.Header{}, 404, "a"},
		{"401", t.Context(), nil, httpjson.Refusal{Status: 401, Code: "unauthorized"}, http.Header{"Www-Authenticate": {`Bearer realm="api"`}}, 401, "unauthorized"},
		{"401 with a token", t.Context(), nil, httpjson.Refusal{Status: 401, Code: "invalid_token"}, http.Header{"Www-Authenticate": {`Bearer realm="api", error="invalid_token"`}}, 401, "invalid_token"},
		{"401 for another reason", t.Context(), nil, httpjson.Refusal{Status: 401, Code: "a"}, http.Header{"Www-Authenticate": {`Bearer realm="api"`}}, 401, "a"},
		{"401 with a challenge", t.Context(), http.Header{"Www-Authenticate": {"Basic"}}, httpjson.Refusal{Status: 401, Code: "a"}, http.Header{"Www-Authenticate": {"Basic"}}, 401, "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(tt.ctx, "GET", "/", nil)
			w := httptest.NewRecorder()
			maps.Copy(w.Header(), tt.before)
			status := httpjson.Refuse(w, r, nil, tt.refusal)
			var body struct {
				Error string `json:"error"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || status != tt.status || w.Code != tt.status || body.Error != tt.code {
				t.Errorf("%d, %d %s (%v), want %d %s", status, w.Code, w.Body, err, tt.status, tt.code)
			}
			tt.want.Set("Cache-Control", "no-store")
			tt.want.Set("Content-Type", "application/json")
			tt.want.Set("X-Content-Type-Options", "nosniff")
			if diff := cmp.Diff(tt.want, w.Header()); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if strings.Contains(w.Body.String(), "s3cret") {
				t.Errorf("body %s shows the text of the error", w.Body)
			}
		})
	}
}

func TestRefuseGivesTheWriterAll(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var got httpjson.Refusal
	write := func(_ http.ResponseWriter, _ *http.Request, f httpjson.Refusal) { got = f }
	httpjson.Refuse(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil), write, httpjson.Refusal{Status: 503, Err: down})
	if got.Status != httpjson.StatusClientGone || got.Err != down || got.Description == "" {
		t.Errorf("%+v", got)
	}
	want := httpjson.Refusal{Status: 403, Code: "a", Description: "b", Scope: "c", Grant: &scopes.GrantError{}, RetryAfter: 5, Err: down}
	httpjson.Refuse(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), write, want)
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A writer of the host's that forgets the status does not turn a refusal into a 200.
func TestRefuseWritesTheStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		write httpjson.ErrorWriter
		want  string // the statuses that reach the server, and the body
	}{
		{"nothing", func(http.ResponseWriter, *http.Request, httpjson.Refusal) {}, "[403] "},
		{"a body alone", func(w http.ResponseWriter, _ *http.Request, f httpjson.Refusal) { _, _ = io.WriteString(w, f.Code) }, "[403] a"},
		{"another status", func(w http.ResponseWriter, _ *http.Request, _ httpjson.Refusal) { w.WriteHeader(404) }, "[404] "},
		{"a hint in front", func(w http.ResponseWriter, _ *http.Request, _ httpjson.Refusal) { w.WriteHeader(103) }, "[103 403] "},
		{"status and body", httpjson.WriteProblem, `[403] {"type":"about:blank","title":"Forbidden","status":403,"detail":"b","error":"a"}` + "\n"},
		{"what is behind", func(w http.ResponseWriter, _ *http.Request, _ httpjson.Refusal) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		}, "[deadline 403] "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &server{ResponseRecorder: httptest.NewRecorder()}
			if status := httpjson.Refuse(w, httptest.NewRequest("GET", "/", nil), tt.write, httpjson.Refusal{Status: 403, Code: "a", Description: "b"}); status != 403 {
				t.Errorf("Refuse returns %d", status)
			}
			if got := fmt.Sprint(w.calls, " ", w.Body); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// A server notes which statuses are written.
type server struct {
	*httptest.ResponseRecorder
	calls []any
}

func (s *server) WriteHeader(status int) {
	s.calls = append(s.calls, status)
	if status >= 200 {
		s.ResponseRecorder.WriteHeader(status)
	}
}

func (s *server) SetReadDeadline(time.Time) error {
	s.calls = append(s.calls, "deadline")
	return nil
}

func TestRefusalIsAnError(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	var err error = fmt.Errorf("x: %w", &httpjson.Refusal{Code: "a", Description: "b", Err: down})
	var refusal *httpjson.Refusal
	if !errors.As(err, &refusal) || !errors.Is(err, down) || refusal.Error() != "httpjson: a: b: down" {
		t.Errorf("%v", err)
	}
	refusal.Err = nil
	if refusal.Error() != "httpjson: a: b" {
		t.Errorf("%v", refusal)
	}
}

func TestRefuseWritesTheStatusBeforeAFlush(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	flush := func(w http.ResponseWriter, _ *http.Request, _ httpjson.Refusal) {
		_ = http.NewResponseController(w).Flush()
	}
	httpjson.Refuse(w, httptest.NewRequest("GET", "/", nil), flush, httpjson.Refusal{Status: 403})
	if w.Code != 403 || !w.Flushed {
		t.Errorf("status %d, flushed %t", w.Code, w.Flushed)
	}
}

func TestWriters(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		refusal       httpjson.Refusal
		json, problem string
	}{
		{
			"plain",
			httpjson.Refusal{Status: 401, Code: "a", Description: "b c.", Scope: "d", Err: errors.New("e")},
			`{"error":"a","error_description":"b c."}`,
			`{"type":"about:blank","title":"Unauthorized","status":401,"detail":"b c.","error":"a"}`,
		},
		{
			"characters to escape",
			httpjson.Refusal{Status: 400, Code: `a"`, Description: "\\ <\u00e9>\n\x7f"},
			`{"error":"a\"","error_description":"\\ \u003c\u00e9\u003e\n\u007f"}`,
			`{"type":"about:blank","title":"Bad Request","status":400,"detail":"\\ \u003c\u00e9\u003e\n\u007f","error":"a\""}`,
		},
		{
			"lists",
			httpjson.Refusal{Status: 422, Code: "invalid_scope", Description: "b", Grant: &scopes.GrantError{Unknown: []string{"b", `c"<`}}},
			`{"error":"invalid_scope","error_description":"b","reserved":[],"unknown":["b","c\"\u003c"]}`,
			`{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"b","error":"invalid_scope","reserved":[],"unknown":["b","c\"\u003c"]}`,
		},
		{
			"the other list",
			httpjson.Refusal{Status: 422, Code: "a", Grant: &scopes.GrantError{Reserved: []string{"r"}}},
			`{"error":"a","error_description":"","reserved":["r"],"unknown":[]}`,
			`{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"","error":"a","reserved":["r"],"unknown":[]}`,
		},
		{
			"a client that has gone",
			httpjson.Refusal{Status: 499, Code: "a"},
			`{"error":"a","error_description":""}`,
			`{"type":"about:blank","title":"Client Closed Request","status":499,"detail":"","error":"a"}`,
		},
		{
			"long",
			httpjson.Refusal{Status: 400, Code: "a", Description: strings.Repeat("x", 1000)},
			`{"error":"a","error_description":"` + strings.Repeat("x", 1000) + `"}`,
			`{"type":"about:blank","title":"Bad Request","status":400,"detail":"` + strings.Repeat("x", 1000) + `","error":"a"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, form := range []struct {
				write httpjson.ErrorWriter
				media string
				want  string
			}{{httpjson.WriteJSON, "application/json", tt.json}, {httpjson.WriteProblem, "application/problem+json", tt.problem}} {
				w := httptest.NewRecorder()
				form.write(w, nil, tt.refusal)
				want := http.Header{"Content-Type": {form.media}, "X-Content-Type-Options": {"nosniff"}}
				if diff := cmp.Diff(want, w.Header()); diff != "" || w.Code != tt.refusal.Status {
					t.Errorf("%d %s", w.Code, diff)
				}
				var got, wanted any // as they read, since there are two ways to write a character
				if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
					t.Fatalf("%s: %v", w.Body, err)
				}
				if err := json.Unmarshal([]byte(form.want), &wanted); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(wanted, got); diff != "" || !strings.HasSuffix(w.Body.String(), "}\n") {
					t.Errorf("%s: %s", w.Body, diff)
				}
				if tt.name == "plain" && w.Body.String() != form.want+"\n" {
					t.Errorf("%s, want %s", w.Body, form.want)
				}
			}
		})
	}
}

// Each character that JSON or a page of HTML could take for something else is
// escaped, also where it stands alone.
func TestWritersEscape(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"`: `\"`, `\`: `\\`, "\n": `\n`, "\x00": `\u0000`, "\x1f": `\u001f`, "<": `\u003c`, ">": `\u003e`, "&": `\u0026`,
		"\xff": `\ufffd`, "é": "é", " ": " ", "~": "~",
	} {
		for name, write := range map[string]httpjson.ErrorWriter{"JSON": httpjson.WriteJSON, "problem": httpjson.WriteProblem} {
			w := httptest.NewRecorder()
			write(w, nil, httpjson.Refusal{Status: 400, Code: "a" + text, Description: "b" + text})
			for _, quoted := range []string{`"a` + want + `"`, `"b` + want + `"`} {
				if !strings.Contains(w.Body.String(), quoted) {
					t.Errorf("%s: %q is written as %s, want %s", name, text, w.Body, quoted)
				}
			}
		}
	}
}

// What a host's middleware writes into the fields of one answer is not in the
// next one.
func TestAnswersShareNoMemory(t *testing.T) {
	t.Parallel()
	for range 2 {
		w := httptest.NewRecorder()
		httpjson.Refuse(w, httptest.NewRequest("GET", "/", nil), nil, httpjson.Refusal{Status: 401, Code: "a"})
		for name, values := range w.Header() {
			for i := range values {
				if values[i] == "changed" {
					t.Errorf("%s has the value of another answer", name)
				}
				values[i] = "changed"
			}
			if cap(values) > len(values) {
				t.Errorf("to add to %s writes to memory behind it", name)
			}
		}
	}
}

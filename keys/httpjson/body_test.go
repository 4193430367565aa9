package httpjson_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/google/go-cmp/cmp"
)

// form has one field of each type.
type form struct {
	Text   *string
	Flag   *bool
	Count  *int64
	List   *[]string
	Object *json.RawMessage
}

func (f *form) fields() []httpjson.Field {
	return []httpjson.Field{
		httpjson.Optional("text", &f.Text), httpjson.Optional("flag", &f.Flag),
		httpjson.Optional("k", &f.Count), httpjson.Optional("list", &f.List),
		httpjson.Optional("object", &f.Object),
	}
}

// read reads body as JSON with the fields of form.
func read(body string, more ...httpjson.Field) (form, error) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	var f form
	err := httpjson.Read(httptest.NewRecorder(), r, 0, append(f.fields(), more...)...)
	return f, err
}

func TestRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		want       form
	}{
		{"empty body", ``, form{}},
		{"empty object", ` {} `, form{}},
		{"all", `{"text":"a","flag":false,"k":-7,"list":["x","y"]}`, form{new("a"), new(false), new(int64(-7)), &[]string{"x", "y"}, nil}},
		{"other order and spaces", "\n{\t\"k\" : 0 ,\r\"text\" : \"\" }", form{Text: new(""), Count: new(int64(0))}},
		{"empty list", `{"list":[]}`, form{List: &[]string{}}},
		{"true", `{"flag":true}`, form{Flag: new(true)}},
		{"bounds of int64", `{"k":-9223372036854775808}`, form{Count: new(int64(-1 << 63))}},
		{"minus zero", `{"k":-0}`, form{Count: new(int64(0))}},
		{"name with escapes", `{"t\u0065xt":"a"}`, form{Text: new("a")}},
		{"surrogate pair", `{"text":"\ud83d\ude00"}`, form{Text: new("😀")}},
		{"two pairs", `{"text":"\uD83D\uDE00\ud83d\ude00"}`, form{Text: new("😀😀")}},
		{"quotes and brackets within text", `{"text":"a\"}],{\\","list":["\"]}"]}`, form{Text: new(`a"}],{\`), List: &[]string{`"]}`}}},
		{"escaped backslash before u", `{"text":"\\ud800"}`, form{Text: new(`\ud800`)}},
		{"replacement character", `{"text":"\ufffd�"}`, form{Text: new("��")}},
		{"NUL is text", `{"text":"\u0000"}`, form{Text: new("\x00")}},
		{"object", `{"object": { "a" : [ 1, null ], "b":{"a":"<\u00e9 x>", "a":2} } }`, form{Object: new(json.RawMessage(`{"a":[1,null],"b":{"a":"<\u00e9 x>","a":2}}`))}},
		{"empty object in it", `{"object":{ }}`, form{Object: new(json.RawMessage(`{}`))}},
		{"null within text", `{"list":["null"]}`, form{List: &[]string{"null"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := read(tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	const bad, value = http.StatusBadRequest, http.StatusUnprocessableEntity
	tests := []struct {
		name, body string
		status     int
	}{
		{"space alone", " ", bad},
		{"null", `null`, bad},
		{"array", `[]`, bad},
		{"text", `"text"`, bad},
		{"number", `1`, bad},
		{"open", `{"text":"a"`, bad},
		{"two objects", `{}{}`, bad},
		{"data after the object", `{} x`, bad},
		{"brace after the object", `{}}`, bad},
		{"comma at the end", `{"text":"a",}`, bad},
		{"comment", `{/**/}`, bad},
		{"byte order mark", "\ufeff{}", bad},
		{"invalid UTF-8 in a value", "{\"text\":\"\xff\"}", bad},
		{"invalid UTF-8 in a name", "{\"text\xff\":\"\"}", bad},
		{"surrogate in UTF-8", "{\"text\":\"\xed\xa0\x80\"}", bad},
		{"control character", "{\"text\":\"\n\"}", bad},
		{"unknown name", `{"nope":1}`, bad},
		{"empty name", `{"":1}`, bad},
		{"other case", `{"Text":"a"}`, bad},
		{"Kelvin sign", `{"K":1}`, bad},
		{"escaped Kelvin sign", `{"\u212a":1}`, bad},
		{"name twice", `{"text":"a","text":"a"}`, bad},
		{"name twice, escaped", `{"text":"a","te\u0078t":"b"}`, bad},
		{"text is null", `{"text":null}`, bad},
		{"text is a number", `{"text":1}`, bad},
		{"text is an object", `{"text":{}}`, bad},
		{"flag is null", `{"flag":null}`, bad},
		{"flag is text", `{"flag":"true"}`, bad},
		{"count is null", `{"k":null}`, bad},
		{"count is text", `{"k":"1"}`, bad},
		{"count is true", `{"k":true}`, bad},
		{"list is null", `{"list":null}`, bad},
		{"list is text", `{"list":"a"}`, bad},
		{"null in a list", `{"list":["a",null]}`, bad},
		{"number in a list", `{"list":["a",1]}`, bad},
		{"list in a list", `{"list":[["a"]]}`, bad},
		{"object is null", `{"object":null}`, bad},
		{"object is a list", `{"object":[]}`, bad},
		{"object is text", `{"object":"{}"}`, bad},
		{"number from a leading zero", `{"k":01}`, bad},
		{"deep nesting", `{"text":` + strings.Repeat("[", 60000) + `}`, bad},
		{"fraction", `{"k":1.5}`, value},
		{"integer as a fraction", `{"k":1.0}`, value},
		{"integer with an exponent", `{"k":1e3}`, value},
		{"above int64", `{"k":9223372036854775808}`, value},
		{"far above", `{"k":1e999}`, value},
		{"high surrogate", `{"text":"\ud800"}`, value},
		{"low surrogate", `{"text":"\udc00"}`, value},
		{"high surrogate, then text", `{"text":"\ud800x"}`, value},
		{"high surrogate, then an escape", `{"text":"\ud800\n\udc00"}`, value},
		{"pair in the wrong order", `{"text":"\ude00\ud83d"}`, value},
		{"pair and a half", `{"text":"\ud83d\ude00\ud83d"}`, value},
		{"surrogates in two strings", `{"list":["\ud83d","\ude00"]}`, value},
		{"half a pair in an object", `{"object":{"a":["\ud83d"]}}`, value},
		{"escaped backslash, then a surrogate", `{"text":"\\\ud800"}`, value},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := read(tt.body)
			want := &httpjson.Refusal{Status: bad, Code: "invalid_request"}
			if tt.status == value {
				want = &httpjson.Refusal{Status: value, Code: "invalid_value"}
			}
			wantRefusal(t, err, want)
		})
	}
}

// wantRefusal checks the status and the code of an error, which must be a Refusal.
func wantRefusal(tb testing.TB, err error, want *httpjson.Refusal) {
	tb.Helper()
	var got *httpjson.Refusal
	if !errors.As(err, &got) {
		tb.Fatalf("error %v, want %v", err, want)
	}
	if got.Status != want.Status || got.Code != want.Code || got.Description == "" {
		tb.Errorf("error %+v, want %d %s", *got, want.Status, want.Code)
	}
}

func TestReadOthers(t *testing.T) {
	t.Parallel()
	got, err := read(`{"x":null,"text":"a","y":{"text":1,"text":2},"Text":[]}`, httpjson.Others())
	if err != nil || got.Text == nil || *got.Text != "a" {
		t.Errorf("got %v, %v; want the known member alone", got, err)
	}
	for _, body := range []string{`{"x":1,"x":1}`, `{"text":"a","text":"a"}`, `{"x":nul}`, `{"text":1}`} {
		if _, err := read(body, httpjson.Others()); err == nil {
			t.Errorf("%s was accepted", body)
		}
	}
}

func TestReadTypes(t *testing.T) {
	t.Parallel()
	const ascii, latin = `{"text":"a"}`, "{\"text\":\"\u00e9\"}"
	tests := []struct {
		name   string
		header http.Header
		body   string
		ok     bool
	}{
		{"plain", http.Header{"Content-Type": {"application/json"}}, latin, true},
		{"other case", http.Header{"Content-Type": {"Application/JSON"}}, latin, true},
		{"charset", http.Header{"Content-Type": {"application/json; charset=utf-8"}}, latin, true},
		{"charset in capitals, quoted", http.Header{"Content-Type": {`application/json;charset="UTF-8"`}}, latin, true},
		{"identity", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"Identity"}}, latin, true},
		{"other parameter", http.Header{"Content-Type": {"application/json;odata=verbose"}}, latin, true},
		{"two parameters", http.Header{"Content-Type": {"application/json; profile=x; charset=utf-8"}}, latin, true},
		{"other charset, ASCII", http.Header{"Content-Type": {"application/json; charset=ISO-8859-1"}}, ascii, true},
		{"charset without a name, ASCII", http.Header{"Content-Type": {`application/json; charset=""`}}, ascii, true},
		{"other charset", http.Header{"Content-Type": {"application/json; charset=ISO-8859-1"}}, latin, false},
		{"charset without a name", http.Header{"Content-Type": {`application/json; charset=""`}}, latin, false},
		{"none", http.Header{}, ascii, false},
		{"empty", http.Header{"Content-Type": {""}}, ascii, false},
		{"two lines", http.Header{"Content-Type": {"application/json", "application/json"}}, ascii, false},
		{"two in a line", http.Header{"Content-Type": {"application/json, application/json"}}, ascii, false},
		{"text", http.Header{"Content-Type": {"text/json"}}, ascii, false},
		{"form", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, ascii, false},
		{"suffix", http.Header{"Content-Type": {"application/problem+json"}}, ascii, false},
		{"two charsets", http.Header{"Content-Type": {"application/json; charset=utf-8; charset=utf-16"}}, ascii, false},
		{"half a parameter", http.Header{"Content-Type": {"application/json; charset"}}, ascii, false},
		{"gzip", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, ascii, false},
		{"gzip in a second line", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"identity", "gzip"}}, ascii, false},
		{"an empty coding", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {""}}, ascii, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "/", strings.NewReader(tt.body))
			r.Header = tt.header
			err := httpjson.Read(httptest.NewRecorder(), r, 0, httpjson.Others())
			if tt.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, &httpjson.Refusal{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type"})
			r.Body = io.NopCloser(strings.NewReader(""))
			if err := httpjson.Read(httptest.NewRecorder(), r, 0); err != nil {
				t.Errorf("no body: %v, want nil whatever the type", err)
			}
		})
	}
}

func TestReadLimit(t *testing.T) {
	t.Parallel()
	object := func(size int) string { return "{" + strings.Repeat(" ", size-2) + "}" }
	tests := []struct {
		name  string
		limit int64
		size  int
		ok    bool
	}{
		{"at a limit", 10, 10, true},
		{"above it", 10, 11, false},
		{"at the default", 0, 64 << 10, true},
		{"above it", 0, 64<<10 + 1, false},
		{"above the default, at a larger limit", 64<<10 + 1, 64<<10 + 1, true},
		{"within the default, which negative means", -1, 100, true},
		{"negative is the default", -1, httpjson.DefaultMaxBody + 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// A reader that is no strings.Reader has no Content-Length.
			r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(object(tt.size))))
			r.Header.Set("Content-Type", "application/json")
			err := httpjson.Read(httptest.NewRecorder(), r, tt.limit)
			if tt.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, err, &httpjson.Refusal{Status: http.StatusRequestEntityTooLarge, Code: "payload_too_large"})
		})
	}
}

func TestReadBrokenBody(t *testing.T) {
	t.Parallel()
	broken := io.MultiReader(strings.NewReader("{"), failing{})
	r := httptest.NewRequest("POST", "/", broken)
	r.Header.Set("Content-Type", "application/json")
	err := httpjson.Read(httptest.NewRecorder(), r, 0)
	wantRefusal(t, err, &httpjson.Refusal{Status: http.StatusBadRequest, Code: "invalid_request"})
	r.Body = io.NopCloser(failing{})
	err = httpjson.Read(httptest.NewRecorder(), r, 0)
	wantRefusal(t, err, &httpjson.Refusal{Status: http.StatusBadRequest, Code: "invalid_request"})
	r.Body = nil
	if err := httpjson.Read(httptest.NewRecorder(), r, 0); err != nil {
		t.Errorf("nil body: %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset: s3cret") }

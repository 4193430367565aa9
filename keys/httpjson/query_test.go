package httpjson_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/google/go-cmp/cmp"
)

func get(query string) *http.Request { return httptest.NewRequest("GET", "/?"+query, nil) }

func TestReadPage(t *testing.T) {
	t.Parallel()
	raw := base64.RawURLEncoding.EncodeToString
	good := httpjson.Cursor("vck_live_00000")
	page := httpjson.Page{Limit: 100, Live: true}
	after := page
	after.After = "vck_live_00000"
	tests := []struct {
		name, query string
		want        httpjson.Page
		status      int
	}{
		{"nothing", "", page, 200},
		{"all", "include=revoked&limit=7&cursor=" + good, httpjson.Page{After: "vck_live_00000", Limit: 7}, 200},
		{"good cursor", "cursor=" + good, after, 200},
		{"leading zeros", "limit=010", httpjson.Page{Limit: 10, Live: true}, 200},
		{"smallest limit", "limit=1", httpjson.Page{Limit: 1, Live: true}, 200},
		{"largest limit", "limit=200", httpjson.Page{Limit: 200, Live: true}, 200},
		{"limit 0", "limit=0", page, 422},
		{"limit 201", "limit=201", page, 422},
		{"huge limit", "limit=99999999999999999999", page, 422},
		{"limit beyond 16 bits", "limit=65537", page, 422},
		{"negative limit", "limit=-1", page, 422},
		{"signed limit", "limit=%2B1", page, 422},
		{"limit as a word", "limit=all", page, 422},
		{"empty limit", "limit=", page, 422},
		{"limit without a value", "limit", page, 422},
		{"limit with a space", "limit=1+", page, 422},
		{"empty include", "include=", page, 422},
		{"other include", "include=expired", page, 422},
		{"include in capitals", "include=Revoked", page, 422},
		{"empty cursor", "cursor=", page, 422},
		{"cursor that is an ID", "cursor=vck_live_00000", page, 422},
		{"padded cursor", "cursor=" + good + url.QueryEscape("=="), page, 422},
		{"cursor with a line break", "cursor=" + good[:4] + "%0A" + good[4:], page, 422},
		{"cursor with loose bits", "cursor=" + looseBits(good), page, 422},
		{"cursor of another version", "cursor=" + raw([]byte("2:vck_live_00000")), page, 422},
		{"cursor without an ID", "cursor=" + raw([]byte("1:")), page, 422},
		{"cursor with NUL", "cursor=" + raw([]byte("1:vck_\x00")), page, 422},
		{"cursor with invalid UTF-8", "cursor=" + raw([]byte("1:vck_\xff")), page, 422},
		{"long cursor", "cursor=" + raw([]byte("1:"+strings.Repeat("a", 256))), page, 422},
		{"limit twice", "limit=1&limit=1", page, 400},
		{"cursor twice", "cursor=" + good + "&cursor=" + good, page, 400},
		{"include twice", "include=revoked&include=revoked", page, 400},
		{"unknown parameter", "color=red", page, 400},
		{"unknown parameter beside good ones", "limit=1&color=red&color=blue", page, 400},
		{"unknown parameter beside a bad one", "color=red&limit=0", page, 400},
		{"parameter in capitals", "Limit=1", page, 400},
		{"parameter without a name", "=1", page, 400},
		{"bad escape", "limit=%zz", page, 400},
		{"bad escape elsewhere", "x=%zz", page, 400},
		{"semicolon", "limit=1;include=revoked", page, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := httpjson.ReadPage(get(tt.query))
			switch tt.status {
			case 400:
				wantRefusal(t, err, &httpjson.Refusal{Status: 400, Code: "invalid_request"})
			case 422:
				wantRefusal(t, err, &httpjson.Refusal{Status: 422, Code: "invalid_value"})
			default:
				if err != nil || got != tt.want {
					t.Errorf("%+v, %v, want %+v", got, err, tt.want)
				}
				return
			}
			if got != (httpjson.Page{}) {
				t.Errorf("%+v with an error", got)
			}
		})
	}
}

// A refusal says what the value of the parameter should have been.
func TestReadPageSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"limit=0":     "limit is not a number from 1 to 200",
		"cursor=x":    "cursor is not from an earlier list",
		"include=all": "include is not revoked",
	} {
		var refusal *httpjson.Refusal
		if _, err := httpjson.ReadPage(get(query)); !errors.As(err, &refusal) || refusal.Description != want {
			t.Errorf("%s: %v, want %s", query, err, want)
		}
	}
}

// looseBits changes bits of the last character that carry no data.
func looseBits(text string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(digits, text[len(text)-1])
	return text[:len(text)-1] + digits[last+1:last+2]
}

func TestReadQuery(t *testing.T) {
	t.Parallel()
	got, err := httpjson.ReadQuery(get("descendants=true"), "descendants", "other")
	if diff := cmp.Diff(url.Values{"descendants": {"true"}}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := httpjson.ReadQuery(get("")); err != nil || len(got) > 0 {
		t.Errorf("no query: %v, %v", got, err)
	}
	for _, query := range []string{"x=1", "x", "=", "descendants=true&x=1", "descendants=true&descendants=true", "%", "a;b"} {
		got, err := httpjson.ReadQuery(get(query), "descendants")
		wantRefusal(t, err, &httpjson.Refusal{Status: 400, Code: "invalid_request"})
		if got != nil {
			t.Errorf("%s: %v with an error", query, got)
		}
	}
}

func TestReadBool(t *testing.T) {
	t.Parallel()
	const bad, value = http.StatusBadRequest, http.StatusUnprocessableEntity
	for query, want := range map[string]struct {
		is     bool
		status int // 0 for no refusal
	}{
		"": {false, 0}, "deep=true": {true, 0}, "deep=false": {false, 0},
		"deep": {false, value}, "deep=": {false, value}, "deep=1": {false, value}, "deep=True": {false, value},
		"deep=true&deep=true": {false, bad}, "deep=true&x=": {false, bad},
	} {
		got, err := httpjson.ReadBool(httptest.NewRequest("DELETE", "/?"+query, nil), "deep")
		status := 0
		if refusal := (*httpjson.Refusal)(nil); errors.As(err, &refusal) {
			status = refusal.Status
		}
		if got != want.is || status != want.status {
			t.Errorf("%q: %t, %v", query, got, err)
		}
	}
}

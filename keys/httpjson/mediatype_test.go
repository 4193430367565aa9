package httpjson_test

import (
	"net/http"
	"testing"

	"github.com/claviger-auth/claviger/keys/httpjson"
)

func TestMediaType(t *testing.T) {
	t.Parallel()
	const form, other = "application/x-www-form-urlencoded", true
	tests := []struct {
		name      string
		lines     []string
		want      string
		asciiOnly bool
	}{
		{"JSON", []string{"application/json"}, "application/json", false},
		{"a form", []string{form}, form, false},
		{"a form in capitals", []string{"APPLICATION/X-WWW-FORM-URLENCODED"}, form, false},
		{"as Apache HttpClient sends it", []string{form + "; charset=ISO-8859-1"}, form, other},
		{"UTF-8", []string{form + ";charset=UTF-8"}, form, false},
		{"UTF-8 in quotes", []string{form + `; charset="utf-8"`}, form, false},
		{"UTF-8 in RFC 8187's clothes", []string{form + "; charset*=utf-8''utf-8"}, form, false},
		{"another parameter", []string{"application/json;odata=verbose"}, "application/json", false},
		{"another parameter with that value", []string{"application/json;odata=utf-16"}, "application/json", false},
		{"a boundary", []string{"multipart/form-data; boundary=x"}, "multipart/form-data", false},
		{"a semicolon at the end", []string{"application/json;"}, "application/json", false},
		{"an empty charset", []string{`application/json; charset=""`}, "application/json", other},
		{"no line", nil, "", false},
		{"an empty line", []string{""}, "", false},
		{"two lines", []string{"application/json", "application/json"}, "", false},
		{"two charsets", []string{"application/json; charset=utf-8; charset=utf-16"}, "", false},
		{"a parameter without a value", []string{"application/json; charset"}, "", false},
		{"two types", []string{"application/json, " + form}, "", false},
		{"no subtype", []string{"application/"}, "", false},
		{"a slash alone", []string{"/"}, "", false},
	}
	for _, tt := range tests {
		got, asciiOnly := httpjson.MediaType(http.Header{"Content-Type": tt.lines})
		if got != tt.want || asciiOnly != tt.asciiOnly {
			t.Errorf("%s: %q, %v, want %q, %v", tt.name, got, asciiOnly, tt.want, tt.asciiOnly)
		}
	}
}

func TestIsASCII(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"": true, "a=b&c=%E9": true, "\x00\x7f": true, "\x80": false, "abc\xff": false, "é": false} {
		if got := httpjson.IsASCII([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestMediaTypeAllocations(t *testing.T) {
	for _, name := range []string{"application/json", "application/x-www-form-urlencoded"} {
		h := http.Header{"Content-Type": {name}}
		if n := testing.AllocsPerRun(100, func() { httpjson.MediaType(h) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

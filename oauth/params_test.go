package oauth_test

import (
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/oauth"
)

var paramNames = []string{"grant_type", "client_id", "client_secret", "scope", "token", "token_type_hint"}

// plainForm reads a form by way of net/url. A semicolon is a character as any
// other (URL Standard §5.1), where net/url would have it an error.
func plainForm(body string) (values map[string]string, ok bool) {
	query, err := url.ParseQuery(strings.ReplaceAll(body, ";", "%3B"))
	values = make(map[string]string)
	for _, name := range paramNames {
		if len(query[name]) > 1 {
			return nil, false
		}
		if value := query.Get(name); value != "" {
			values[name] = value
		}
	}
	return values, err == nil
}

// FuzzReadForm has the reader of forms agree with net/url.
func FuzzReadForm(f *testing.F) {
	for _, seed := range []string{
		"", "grant_type=client_credentials&client_id=cc_1&client_secret=s", "scope=a+b%20c&scope", "grant%5Ftype=x&grant_type=y",
		"client_id=%", "client_id=%4", "client_id=%zz", "client_id=%0g", "client_id=%G0", "%=&+=", "token=a=b&token_type_hint", "&&=&=x", "scope=a;token=b", "token=%00%ff", "to+ken=1", "token=&token=", "scope=a+b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, ok := oauth.ReadForm(body)
		want, wantOK := plainForm(body)
		if ok != wantOK || ok && !maps.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q, %v", body, got, ok, want, wantOK)
		}
	})
}

// FuzzReadPlainJSON has the short way through a JSON object agree with the long
// one, wherever it is taken.
func FuzzReadPlainJSON(f *testing.F) {
	for _, name := range paramNames {
		f.Add(`{"` + name + `":"x", "` + name[1:] + `": "y"}`)
		f.Add(`{"` + name + `":"x"}`)
	}
	f.Add(`{"scope":"a b","token":""}`)
	f.Add(" {\t} ")
	f.Add(`{"scope":"a","scope":"b"}`)
	f.Add(`{"other":"a","other":"b"}`)
	f.Add("{\"scope\":\"a\tb\"}")
	f.Fuzz(func(t *testing.T, body string) {
		got, ok := oauth.ReadPlainJSON(body)
		if !ok {
			return
		}
		if want, ok := oauth.ReadJSON(body); !ok || !maps.Equal(got, want) {
			t.Errorf("%q: %q; want %q, %v", body, got, want, ok)
		}
	})
}

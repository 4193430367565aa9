package httpjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/google/go-cmp/cmp"
)

func FuzzRead(f *testing.F) {
	for _, body := range []string{
		``, ` `, `{}`, `[]`, `null`, `{}{}`, "\ufeff{}", "{\"text\":\"\xff\"}",
		`{"text":"a","flag":true,"k":1,"list":["a"],"object":{"a":[{}]}}`,
		`{"text":"a","text":"b"}`, `{"text":"a","te\u0078t":"b"}`, `{"Text":"a"}`, `{"K":1}`, `{"k":1,"K":2}`,
		`{"text":null}`, `{"list":null}`, `{"list":[null]}`, `{"list":["\ud83d","\ude00"]}`, `{"object":null}`,
		`{"text":"\ud83d\ude00"}`, `{"text":"\ud800"}`, `{"text":"\\ud800\\"}`, `{"text":"\ufffd"}`,
		`{"k":-0}`, `{"k":1.0}`, `{"k":1e3}`, `{"k":9223372036854775808}`, `{"k":"1"}`, `{"object":{"a":"\ud800"}}`,
		`{"x":{"a":1,"a":2}}`, `{"text":"a",}`, `{"text" "a"}`, `{"text":` + strings.Repeat("[", 99) + `}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := read(body)
		if err != nil {
			var refused *httpjson.Refusal
			if !errors.As(err, &refused) || refused.Status < 400 || refused.Status > 499 || refused.Code == "" {
				t.Fatalf("error %v", err)
			}
			return
		}
		if _, err := read(body, httpjson.Others()); err != nil {
			t.Errorf("refused where other members are welcome: %v", err)
		}
		if body == "" {
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &members); err != nil || members == nil {
			t.Fatalf("encoding/json has no object: %v", err)
		}
		if n := countMembers(t, body); n != len(members) {
			t.Errorf("%d members under %d names", n, len(members))
		}
		var want form
		for name, value := range members {
			into, ok := map[string]any{"text": &want.Text, "flag": &want.Flag, "k": &want.Count, "list": &want.List, "object": &want.Object}[name]
			if !ok {
				t.Errorf("unknown member %q", name)
			} else if err := json.Unmarshal(value, into); err != nil {
				t.Errorf("encoding/json refuses %s: %v", name, err)
			}
			if strings.Contains(string(value), "null") && !strings.Contains(string(value), `"`) && name != "object" {
				t.Errorf("null for %s", name)
			}
		}
		if (want.Object == nil) != (got.Object == nil) || got.Object != nil && !sameJSON(t, *want.Object, *got.Object) {
			t.Errorf("object %s, want %s", *got.Object, *want.Object)
		}
		want.Object, got.Object = nil, nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-encoding/json +got):\n%s", diff)
		}
	})
}

// sameJSON reports whether two texts say the same, and the second is short.
func sameJSON(tb testing.TB, a, b json.RawMessage) bool {
	tb.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		tb.Fatal(err)
	}
	return cmp.Equal(x, y) && len(b) <= len(a)
}

// countMembers counts the members of an object, each as often as it is there.
func countMembers(tb testing.TB, body string) (n int) {
	tb.Helper()
	dec := json.NewDecoder(strings.NewReader(body))
	if _, err := dec.Token(); err != nil {
		tb.Fatal(err)
	}
	for ; dec.More(); n++ {
		var value json.RawMessage
		if _, err := dec.Token(); err != nil {
			tb.Fatal(err)
		}
		if err := dec.Decode(&value); err != nil {
			tb.Fatal(err)
		}
	}
	return n
}

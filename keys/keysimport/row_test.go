package keysimport_test

import (
	"iter"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys/keysimport"
)

// TestScopes reads scopes in every form in which systems keep them. An array without
// names says that there are none, and nothing at all that the defaults count.
func TestScopes(t *testing.T) {
	t.Parallel()
	d := &keysimport.Defaults{Scopes: []string{"default"}}
	preset := lookup(t, "sanctum")
	inCSV, err := keysimport.ReadCSV(strings.NewReader(`scopes
a b
"a,b"
"[""a"",""b""]"
[]
[a
""
`), preset, d)
	if err != nil {
		t.Fatal(err)
	}
	inJSON := keysimport.ReadJSONLines(strings.NewReader(`{"scopes":"a b"}
{"scopes":"a,b"}
{"scopes":"[\"a\",\"b\"]"}
{"scopes":[]}
{"scopes":"[a"}
{"scopes":null}
{"scopes":["a","b"]}
{"scopes":"[]"}
`), preset, d)
	ab, none, defaults := []string{"a", "b"}, []string{}, []string{"default"}
	for name, tt := range map[string]struct {
		rows iter.Seq[keysimport.Row]
		want [][]string
	}{
		"CSV":        {inCSV, [][]string{ab, ab, ab, none, {"[a"}, defaults}},
		"JSON lines": {inJSON, [][]string{ab, ab, ab, none, {"[a"}, defaults, ab, none}},
	} {
		var got [][]string
		for row := range tt.rows {
			got = append(got, row.Foreign.Spec.Scopes)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestRowsOfCSV reads rows whose values stand in more than one column, or are a part
// of a line with a secret in it.
func TestRowsOfCSV(t *testing.T) {
	t.Parallel()
	rows, err := keysimport.ReadCSV(strings.NewReader("text,label,disabled_at,disabled,token_lifetime\n"+
		"sk_live_"+strings.Repeat("s", 30)+",mine,2026-01-01,true,\n"+",,,,9300000000\n"), lookup(t, "text"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []keysimport.Row
	for row := range rows {
		all = append(all, row)
	}
	if len(all) != 2 || all[0].Err != nil || all[0].Foreign.DisabledAt.Year() != 2026 || all[0].Foreign.DisabledAt.Month() != 1 {
		t.Fatalf("%+v", all)
	}
	text, label := all[0].Foreign.Text.Reveal(), all[0].Foreign.Spec.Label
	if unsafe.StringData(label) == (*byte)(unsafe.Add(unsafe.Pointer(unsafe.StringData(text)), len(text))) {
		t.Error("whoever keeps the label keeps the text of the key")
	}
	if all[1].Err == nil || !strings.Contains(all[1].Err.Error(), "seconds") {
		t.Errorf("a lifetime beyond all numbers: %v", all[1].Err)
	}
}

func TestReadCSVRefuses(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{"nothing": "", "an unknown column": "id,secret\n", "a column twice": "id,text,id\n", "a broken line": "id,\"x\n"} {
		if _, err := keysimport.ReadCSV(strings.NewReader(data), lookup(t, "sanctum"), nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := keysimport.ReadCSV(strings.NewReader("\ufeffID, Text \n"), lookup(t, "sanctum"), nil); err != nil {
		t.Errorf("names as programs write them: %v", err)
	}
}

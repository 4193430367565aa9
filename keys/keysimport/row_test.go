package keysimport_test

import (
	"iter"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys/keysimport"
)

// TestScopes reads scopes in every form in which systems keep them. An empty
// array stands for no scopes, and an empty value for the default ones.
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
null
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
{"scopes":"null"}
{"scopes":null}
{"scopes":["a","b"]}
{"scopes":"[]"}
`), preset, d)
	ab, none, defaults := []string{"a", "b"}, []string{}, []string{"default"}
	for name, tt := range map[string]struct {
		rows iter.Seq[keysimport.Row]
		want [][]string
	}{
		"CSV":        {inCSV, [][]string{ab, ab, ab, none, {"[a"}, {"null"}, defaults}},
		"JSON lines": {inJSON, [][]string{ab, ab, ab, none, {"[a"}, {"null"}, defaults, ab, none}},
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
		"sk_live_"+strings.Repeat("s", 30)+",mine,2026-01-01,true,\n"+",,,,9300000000\n"+",,,,-1\n"), lookup(t, "text"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []keysimport.Row
	for row := range rows {
		all = append(all, row)
	}
	if len(all) != 3 || all[0].Err != nil || all[0].Foreign.DisabledAt.Year() != 2026 || all[0].Foreign.DisabledAt.Month() != 1 {
		t.Fatalf("%+v", all)
	}
	text, label := all[0].Foreign.Text.Reveal(), all[0].Foreign.Spec.Label
	if unsafe.StringData(label) == (*byte)(unsafe.Add(unsafe.Pointer(unsafe.StringData(text)), len(text))) {
		t.Error("whoever keeps the label keeps the text of the key")
	}
	for _, row := range all[1:] {
		if row.Err == nil || !strings.Contains(row.Err.Error(), "seconds") {
			t.Errorf("a lifetime beyond all numbers, or below 0: %v", row.Err)
		}
	}
}

func TestReadCSVRefuses(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{"nothing": "", "an unknown column": "id,secret\n", "a column twice": "id,text,id\n", "a column twice, in capitals": "id,text, ID\n", "a broken line": "id,\"x\n"} {
		if _, err := keysimport.ReadCSV(strings.NewReader(data), lookup(t, "sanctum"), nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestBoundsOfRows reads times in seconds and in milliseconds, the longest lifetime, a long
// line, and a client without an ID.
func TestBoundsOfRows(t *testing.T) {
	t.Parallel()
	const day = 1767225600 // 2026-01-01
	for _, tt := range []struct{ name, preset, line, wrong string }{
		{"a date", "text", `{"text":"x","created_at":"2026-01-01"}`, ""},
		{"seconds", "text", `{"text":"x","created_at":1767225600}`, ""},
		{"milliseconds", "text", `{"text":"x","created_at":1767225600000}`, ""},
		{"ten years", "hydra", `{"id":"a","text":"x","token_lifetime":315360000,"created_at":1767225600}`, ""},
		{"more", "hydra", `{"id":"a","text":"x","token_lifetime":315360001}`, "ten years"},
		{"a client without an ID", "hydra", `{"text":"x"}`, "no id"},
		{"a long line", "text", `{"text":"x","created_at":1767225600,"label":"` + strings.Repeat("l", 1<<20-100) + `"}`, ""},
		{"a longer one", "text", `{"text":"x","label":"` + strings.Repeat("l", 1<<20) + `"}`, "reading"},
	} {
		n := 0
		for row := range keysimport.ReadJSONLines(strings.NewReader(tt.line), lookup(t, tt.preset), nil) {
			n++
			if (row.Err != nil) != (tt.wrong != "") || row.Err != nil && !strings.Contains(row.Err.Error(), tt.wrong) {
				t.Errorf("%s: %v", tt.name, row.Err)
			}
			if created := row.Foreign.CreatedAt; row.Err == nil && created.Unix() != day {
				t.Errorf("%s: made at %v", tt.name, created)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d rows", tt.name, n)
		}
	}
}

// TestFilesOfOtherPrograms reads files as spreadsheets and databases write them: with a
// byte order mark in front, and with names and values in quotes.
func TestFilesOfOtherPrograms(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"", "\ufeff"} {
		for _, names := range []string{"id,text", "ID, Text ", `"id","text"`} {
			rows, err := keysimport.ReadCSV(strings.NewReader(start+names+"\r\n\r\n7,7|abc\r\n"), lookup(t, "sanctum"), nil)
			if err != nil {
				t.Fatalf("%q: %v", start+names, err)
			}
			for row := range rows {
				if row.Err != nil || row.Name != "7" || row.Line != 3 {
					t.Errorf("%q: %+v", start+names, row)
				}
			}
		}
		for row := range keysimport.ReadJSONLines(strings.NewReader(start+`{"id":"7","text":"7|abc"}`+"\r\n"), lookup(t, "sanctum"), nil) {
			if row.Err != nil || row.Name != "7" {
				t.Errorf("%q: %+v", start, row)
			}
		}
	}
}

// TestNoLineOfNames reads a file whose first line is a row already. The error must not
// repeat a key.
func TestNoLineOfNames(t *testing.T) {
	t.Parallel()
	const key = "sk_live_Zt8cTn3vKq5xLr1yPb6wHd9f"
	_, err := keysimport.ReadCSV(strings.NewReader(key+",acme\n"), lookup(t, "text"), nil)
	if err == nil || strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "number 1 of the line") {
		t.Errorf("CSV: %v", err)
	}
	for row := range keysimport.ReadJSONLines(strings.NewReader(`{"`+key+`":{}}`), lookup(t, "text"), nil) {
		if row.Err == nil || strings.Contains(row.Err.Error(), key) {
			t.Errorf("JSON: %v", row.Err)
		}
	}
}

// TestDigestsOfWhat reads a digest where neither the preset nor a column says what it
// covers.
func TestDigestsOfWhat(t *testing.T) {
	t.Parallel()
	preset := lookup(t, "text")
	preset.Covers = ""
	rows, err := keysimport.ReadCSV(strings.NewReader("digest\n"+strings.Repeat("ab", 32)+"\n"), preset, nil)
	if err != nil {
		t.Fatal(err)
	}
	for row := range rows {
		if row.Err == nil || !strings.Contains(row.Err.Error(), "nothing says what the digest covers") {
			t.Errorf("%v", row.Err)
		}
	}
}

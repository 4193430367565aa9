package keys_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files anew; for those of a promise, only add lines")

// TestRecordJSON compares the JSON of records with a golden file. The form is a
// promise to stores: a line that is there may never change.
func TestRecordJSON(t *testing.T) {
	t.Parallel()
	const name = "testdata/records.jsonl"
	digest := func(kind keys.Kind, text string) keys.Digest { return digestOf(t, kind, keys.NewSecret(text)) }
	first, last := time.UnixMilli(0).UTC(), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)
	records := []keys.Record{
		{ID: "key_a", Kind: keys.KindKey, Org: "acme", Digest: digest(keys.KindKey, "a"), CreatedAt: first, Version: 1},
		fullRecord(t, keys.KindKey),
		fullRecord(t, keys.KindClient),
		fullRecord(t, keys.KindToken),
		{
			ID: "ü\"\\<>&\u2028", Kind: keys.KindClient, Org: " acme ", Label: "\t\n", Scopes: scopes.MustParse("a:b c"), RateLimit: keys.MaxRateLimit,
			TokenLifetime: keys.MaxTokenLifetime, Networks: mustNetworks(t, "192.0.2.1 2001:db8::/32"),
			Digest: mustDigest(t, hmacText), CreatedAt: first, ExpiresAt: last, RevokedAt: first, Version: 1<<63 - 2,
		},
	}
	var got strings.Builder
	for _, r := range records {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(append(text, '\n'))
		var back keys.Record
		if err := json.Unmarshal(text, &back); err != nil || back != r {
			t.Errorf("%s came back as %+v, %v", text, back, err)
		}
	}
	if *update {
		if err := os.WriteFile(name, []byte(got.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

// TestRecordJSONHasEachField loses one field after the other, so that a field
// that is new must be in the JSON too.
func TestRecordJSONHasEachField(t *testing.T) {
	t.Parallel()
	for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient, keys.KindToken} {
		full := fullRecord(t, kind)
		whole, err := json.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		for i := range reflect.TypeFor[keys.Record]().NumField() {
			field := reflect.ValueOf(&full).Elem().Field(i)
			if field.IsZero() {
				continue
			}
			r := full
			reflect.ValueOf(&r).Elem().Field(i).SetZero()
			text, err := json.Marshal(r)
			if err != nil || string(text) == string(whole) {
				t.Errorf("%s: %s is not in the JSON, %v", kind, reflect.TypeFor[keys.Record]().Field(i).Name, err)
			}
		}
	}
}

func TestRecordJSONRefuses(t *testing.T) {
	t.Parallel()
	good, err := json.Marshal(fullRecord(t, keys.KindKey))
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	for name, bad := range map[string]string{
		"nothing":                     "",
		"null":                        "null",
		"an array":                    "[]",
		"no members":                  "{}",
		"names and values in turn":    "[" + strings.ReplaceAll(text[1:len(text)-1], `":`, `",`) + "]",
		"a half":                      text[:len(text)/2],
		"data behind it":              text + "{}",
		"text that is no UTF-8":       strings.Replace(text, `"label":"label"`, "\"label\":\"\xff\"", 1),
		"no format":                   strings.Replace(text, `"format":1,`, "", 1),
		"a format that is not there":  strings.Replace(text, `"format":1`, `"format":0`, 1),
		"the next format":             strings.Replace(text, `"format":1`, `"format":2`, 1),
		"a format that is no number":  strings.Replace(text, `"format":1`, `"format":"1"`, 1),
		"a member that is not known":  strings.Replace(text, `"format":1`, `"format":1,"certificate":"x"`, 1),
		"a name in capitals":          strings.Replace(text, `"revoked_at"`, `"Revoked_at"`, 1),
		"a member twice":              strings.Replace(text, `"format":1`, `"format":1,"org":"acme"`, 1),
		"the format twice":            strings.Replace(text, `"format":1`, `"format":1,"format":1`, 1),
		"a member that is null":       strings.Replace(text, `"org":"acme"`, `"org":null`, 1),
		"a number for a text":         strings.Replace(text, `"org":"acme"`, `"org":1`, 1),
		"a time of another form":      strings.Replace(text, `"created_at":"2026-01-02T03:04:05.006Z"`, `"created_at":"2026-01-02T03:04:05Z"`, 1),
		"a time elsewhere":            strings.Replace(text, `"created_at":"2026-01-02T03:04:05.006Z"`, `"created_at":"2026-01-02T03:04:05.006+00:00"`, 1),
		"a bad network":               strings.Replace(text, `"10.0.0.0/8"`, `"10.0.0.0/33"`, 1),
		"a bad digest":                strings.Replace(text, `$sha256$v=1$`, `$sha256$v=2$`, 1),
		"no digest":                   strings.Replace(text, `"digest":`, `"previous_digest":`, 1),
		"an invalid record":           strings.Replace(text, `"version":4`, `"version":0`, 1),
		"a lifetime that is too long": strings.Replace(text, `"format":1`, `"format":1,"token_lifetime_ms":9223372036854775807`, 1),
	} {
		if bad == text {
			t.Fatalf("%s: the text is as good as before", name)
		}
		r := keys.Record{ID: "before"}
		err := r.UnmarshalJSON([]byte(bad))
		if !errors.Is(err, keys.ErrCorrupt) || errors.Is(err, keys.ErrInvalid) || r.ID != "before" {
			t.Errorf("%s: %v, %v", name, r, err)
		}
		if err != nil && strings.Contains(err.Error(), sumText) {
			t.Errorf("%s: the error quotes the digest", name)
		}
	}
	var spaced keys.Record
	if err := json.Unmarshal([]byte(strings.ReplaceAll(text, ",\"", " ,\n\t\"")), &spaced); err != nil {
		t.Errorf("with spaces: %v", err)
	}
}

func FuzzRecordJSON(f *testing.F) {
	for _, kind := range []keys.Kind{keys.KindKey, keys.KindClient, keys.KindToken} {
		text, err := json.Marshal(fullRecord(f, kind))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"format":1,"id":"a","id":"b"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r, back keys.Record
		if r.UnmarshalJSON(data) != nil {
			return
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := back.UnmarshalJSON(text); err != nil || back != r {
			t.Fatalf("%s came back as %+v, %v", text, back, err)
		}
	})
}

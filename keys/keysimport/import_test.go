package keysimport_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keysimport"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

const paused = `401 Bearer realm="api", error="invalid_token", error_description="The credential is paused."`

// systems are the files of testdata, how the credentials in them are presented, and
// what the caller gets.
var systems = []struct {
	file           string
	header, prefix string // of keys
	id, text       string // the ID is that of a client
	want           string
}{
	{"better-auth.csv", "X-API-Key", "", "", "AVfUxfDgQVBGVVutsNNmuEgHKJEcwbivLquzJOdTCKcunDNGlYdMdvCMtaqCEVww", "ba_7f5817bb1c5e10cb0297e8ad11504b17 of user_1 may identity:read"},
	{"seam.jsonl", "Authorization", "Bearer ", "", "acme_PWJApVjo_JFjnDXVUVDpRiZx5e9zuDfsP", "acme_PWJApVjo of workspace_1 may identity:read orders:read"},
	{"sanctum.csv", "Authorization", "Bearer ", "", "7|AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdcd7e2082", "sanctum_7 of 42 may identity:read"},
	{"drf.csv", "Authorization", "Api-Key ", "", "hT2bXq9Z.Wm4RkV7sYd1LpQe8GzJcNfUtAoBiHx5K", "drf_hT2bXq9Z of acme may identity:read"},
	{"unkey.jsonl", "Authorization", "Bearer ", "", "prod_3ZxKwLmQ9sTvB7nRcYpHdF", "prod_8533bcee3390a92af4633d29c3b4d5ed of acme may identity:read"},
	{"text.csv", "Authorization", "Bearer ", "", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "sk_live_78a08441f4314f0a2833cfe58c62e555 of acct_1 may identity:read"},
	{"dotted.csv", "Authorization", "Bearer ", "", "dot_K3y1D.s3cr3t-half-of-a-key-0123456789abcdef", "dot_K3y1D of acme may identity:read"},
	{"hydra.jsonl", "", "", "5f0e8b1c-7c1d-4a52-9a53-2d0c1b7f6a34", "b2xkLWh5ZHJhLXNlY3JldC1mb3ItYWNtZQ", " of acme may identity:read orders:read"},
	{"keycloak.csv", "", "", "account-service", "Zt8cTn3vKq5xLr1yPb6wHd9fJs2gMe4a", " of acme may identity:read"},
	{"go-oauth2.jsonl", "", "", "000000", "999999", " of acme may identity:read"},
	{"spring.csv", "", "", "messaging-client", "spring-secret", " of acme may identity:read orders:read"},
	{"spring.csv", "", "", "local-client", "secret", " of acme may identity:read orders:read orders:write"},
}

// TestSystems imports what each system exports, first dry, then in earnest, then
// again, and does what callers did before and do now.
func TestSystems(t *testing.T) {
	t.Parallel()
	for _, tt := range systems {
		t.Run(tt.file+" "+tt.id, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			dry, dryVerdicts := h.run(h.rows(tt.file), keysimport.Options{DryRun: true})
			sum, verdicts := h.run(h.rows(tt.file), keysimport.Options{})
			if dry != sum || sum.Added != sum.Rows || sum.Rows == 0 {
				t.Errorf("dry %+v, in earnest %+v: %v", dry, sum, verdicts)
			}
			if diff := cmp.Diff(dryVerdicts, verdicts); diff != "" {
				t.Errorf("dry, and in earnest:\n%s", diff)
			}
			present := func(text string) string {
				if tt.id != "" {
					return h.token(tt.id, text)
				}
				return h.me(tt.header, tt.prefix+text)
			}
			if got := present(tt.text[:len(tt.text)-1] + "~"); !strings.HasPrefix(got, "401") {
				t.Errorf("a wrong text: %s", got)
			}
			for range 2 {
				if got := present(tt.text); !strings.HasSuffix(got, tt.want) {
					t.Errorf("got %q", got)
				}
			}
			if again, _ := h.run(h.rows(tt.file), keysimport.Options{}); again.Existed != sum.Rows || again.Rows != sum.Rows {
				t.Errorf("again: %+v", again)
			}
			for _, v := range verdicts {
				if rec, err := h.manager.Find(t.Context(), v.ID); err != nil || rec.CreatedBy != "import:"+strings.Split(tt.file, ".")[0] {
					t.Errorf("%+v: %v", v, err)
				}
			}
		})
	}
}

// TestTextAlone imports the same rows from JSON in which every value is text, as it is
// in the hashes of Redis.
func TestTextAlone(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*")
	if err != nil || len(files) < len(keysimport.Presets()) {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			_, want := h.run(h.rows(name), keysimport.Options{DryRun: true})
			preset, _, _ := strings.Cut(name, ".")
			sum, got := h.run(h.read(preset+".jsonl", textAlone(t, file)), keysimport.Options{})
			for i := range want {
				want[i].Line = i + 1
			}
			if diff := cmp.Diff(want, got); diff != "" || sum.Added == 0 {
				t.Errorf("%+v\n%s", sum, diff)
			}
		})
	}
}

// textAlone returns the rows of a file as lines of JSON whose values are text.
func textAlone(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if filepath.Ext(file) == ".jsonl" {
		for line := range strings.Lines(string(data)) {
			row := make(map[string]any)
			dec := json.NewDecoder(strings.NewReader(line))
			dec.UseNumber()
			if err := dec.Decode(&row); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
	} else {
		lines, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines[1:] {
			row := make(map[string]any)
			for i, value := range line {
				row[lines[0][i]] = value
			}
			rows = append(rows, row)
		}
	}
	var out strings.Builder
	for _, row := range rows {
		for name, value := range row {
			row[name] = strings.Trim(fmt.Sprint(value), "[]") // an array is "[a b]"
		}
		line, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.String()
}

func TestPausedAndExpired(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.run(h.rows("better-auth.csv"), keysimport.Options{})
	h.run(h.rows("sanctum.csv"), keysimport.Options{})
	if got := h.me("X-API-Key", "beta_QhZbTfLkWmXcRvNsPdGjYaKeUoIiHyBqZxVtMwCrLpFnSgDuJkOaEbXz"); got != paused {
		t.Errorf("paused: %s", got)
	}
	if got := h.me("Authorization", "Bearer 8|laravel_x9KdLmQpRsTuVwXyZaBcDeFgHiJkLmNoPqRsTuVw5e3b1c0a"); !strings.Contains(got, "expired") {
		t.Errorf("expired: %s", got)
	}
}

// TestVerdicts gives rows of every kind of fault, in both forms.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	hash := strings.Repeat("ab", 32)
	csv := "id,digest,org,scopes,created_at,rate_limit,networks,disabled\n" +
		"1," + hash + ",acme,orders:read,,,,\n" +
		"2," + hash + ",acme,nope,,,,\n" +
		"3," + hash + ",acme,,yesterday,,,\n" +
		"4," + hash + ",acme,,,many,,\n" +
		"5," + hash + ",acme,,,,all,\n" +
		"6," + hash + ",acme,,,,,perhaps\n" +
		"7,,acme,,,,,\n" +
		"," + hash + ",acme,,,,,\n" +
		"8|9," + hash + ",acme,,,,,\n" +
		"10,$sha256$v=1$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8,acme,,,,,\n" +
		"11," + hash + ",,,,,,\n" +
		"12," + hash + "\n" +
		"13,\"" + hash + "\"x,acme,,,,,\n" +
		"1," + strings.Repeat("cd", 32) + ",acme,,,,,\n" +
		"14," + hash + ",acme,,,-1,,\n" +
		"15,{noop}" + strings.Repeat("s", 40) + ",acme,,,,,\n" +
		"17," + hash + ",acme,,yesterday,many,,\n" +
		"16," + hash + ",\"acme\n,,,,,\"x\n"
	_, verdicts := h.run(h.read("sanctum.csv", csv), keysimport.Options{Workers: 1})
	reasons := []string{
		"", "scopes that cannot be granted: not in the catalog: nope", "column created_at: not a time", "column rate_limit: not a whole number", "column networks", "column disabled: neither true nor false",
		"neither a text nor a digest", "no id", "id is not one", "library's own form", "organization", "not a line of CSV", "not a line of CSV",
		"another credential has this ID", "rate limit", "the secret itself", "column created_at", "goes on to line 20",
	}
	check(t, verdicts, reasons)
	first := verdicts[0]
	for i, v := range verdicts {
		if v.Line != i+2 {
			t.Errorf("row %d is said to be in line %d", i, v.Line)
		}
	}

	lines := `{"id":"1","digest":"` + hash + `","org":"acme"}` + "\n\n" + strings.Join([]string{
		`[]`, `{`, `{}x`, `"a"`, `{"id":{}}`, `{"id":"1","id":"2"}`, `{"ID":"1"}`, `{"scopes":[1]}`, `{"org":["a"]}`, `{"digest":"` + hash + `","org":"acme"}`, `{"id":null}`, "{\"id\":\"\xe9\"}",
	}, "\n")
	_, verdicts = h.run(h.read("sanctum.jsonl", lines), keysimport.Options{})
	check(t, verdicts, []string{
		"", "not an object", "not an object", "not an object", "not an object", "column id: not a string", "not an object", `unknown column "ID"`,
		"not an array of strings", "column org: not a string", "no id", "neither a text nor a digest", "not in UTF-8",
	})
	if verdicts[0].Outcome != keysimport.Existed || verdicts[0].Digest != first.Digest || verdicts[1].Line != 3 {
		t.Errorf("%+v", verdicts[:2])
	}
}

// TestVerdictsOnWhatEndedSince imports keys again that were revoked, paused or given an
// end in the other system after the first import. They stay as they are, and must not do
// so unnoticed.
func TestVerdictsOnWhatEndedSince(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	head, hash := "id,digest,org,revoked_at,disabled,expires_at\n", strings.Repeat("ab", 32)
	rows := func(since string) string {
		var text strings.Builder
		text.WriteString(head)
		for _, id := range []string{"1", "2", "3", "4"} {
			text.WriteString(id + "," + hash + ",acme," + since + "\n")
		}
		return text.String()
	}
	h.run(h.read("sanctum.csv", rows(",,2100-01-01")), keysimport.Options{})
	if err := h.manager.Revoke(t.Context(), "acme", keys.KindKey, "sanctum_4"); err != nil {
		t.Fatal(err)
	}
	for since, reason := range map[string]string{
		",,2100-01-01": "", ",,2200-01-01": "", ",,2099-12-31": "ends earlier", ",true,2100-01-01": "is paused in the other", "2026-01-01,true,2100-01-01": "has revoked it",
	} {
		_, verdicts := h.run(h.read("sanctum.csv", rows(since)), keysimport.Options{})
		for i, v := range verdicts {
			want := reason
			if i == 3 {
				want = "" // it is revoked here
			}
			if v.Outcome != keysimport.Existed || (v.Reason != "") != (want != "") || !strings.Contains(v.Reason, want) {
				t.Errorf("%s, line %d: %s %q, want %q", since, v.Line, v.Outcome, v.Reason, want)
			}
		}
	}
}

func check(t *testing.T, verdicts []keysimport.Verdict, reasons []string) {
	t.Helper()
	if len(verdicts) != len(reasons) {
		t.Fatalf("%d verdicts, want %d", len(verdicts), len(reasons))
	}
	for i, v := range verdicts {
		if refused := v.Outcome == keysimport.Refused; refused != (reasons[i] != "") || !strings.Contains(v.Reason, reasons[i]) {
			t.Errorf("line %d: %s, %q; want %q", v.Line, v.Outcome, v.Reason, reasons[i])
		}
	}
}

// TestVerdictsNameScopes says which scopes cannot be granted. Names in the catalog are
// no secrets, and short words are taken for names.
func TestVerdictsNameScopes(t *testing.T) {
	t.Parallel()
	manager, err := keys.NewManager(new(store.Memory), &keys.Options{
		Catalog:      scopes.MustCatalog(scopes.Scope{Name: "a:read"}, scopes.Scope{Name: "tier-2:R", Status: scopes.Reserved}),
		ClientFormat: keys.MustFormat("cc_", keys.Apart, &keys.FormatOptions{AllowForeign: true}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ scopes, want string }{
		{"a:read tier-2:R", "reserved: tier-2:R"},
		{"b:read tier-2:R c.d-e/f_g", "reserved: tier-2:R; not in the catalog: b:read c.d-e/f_g"},
		{"hunter2 b:read Zt8cTn3v", "not in the catalog: b:read, 2 not shown in case of secrets"},
		{"a:read hunter2", "not in the catalog: 1 not shown in case of secrets"},
		{strings.Repeat("a", 21), "not in the catalog: 1 not shown in case of secrets"},
		{strings.Repeat("a", 20), "not in the catalog: " + strings.Repeat("a", 20)},
	} {
		file, err := keysimport.ReadCSV(strings.NewReader("id,text,scopes\nx,"+strings.Repeat("s", 40)+","+row.scopes+"\n"), lookup(t, "keycloak"), &keysimport.Defaults{Org: "acme"})
		if err != nil {
			t.Fatal(err)
		}
		var got keysimport.Verdict
		_, err = keysimport.Run(t.Context(), manager, file, &keysimport.Options{Verdict: func(v keysimport.Verdict) error { got = v; return nil }})
		if want := "keysimport: scopes that cannot be granted: " + row.want; err != nil || got.Reason != want {
			t.Errorf("%s: %q, want %q, %v", row.scopes, got.Reason, want, err)
		}
	}
}

// TestVerdictsHaveNoSecrets gives texts and digests in places where errors could
// quote them.
func TestVerdictsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const secret = "Zt8cTn3vKq5xLr1yPb6wHd9fJs2gMe4a"
	for _, file := range []struct{ name, data string }{
		{"text.csv", "text,org\n" + secret[:10] + ",acme\n\"" + secret + "\"" + secret + ",acme\nsk_live_" + secret + ",\n"},
		{"text.csv", "text,created_at\nsk_live_" + secret + "," + secret + "\n"},
		{"spring.csv", "id,digest,org\na b,{noop}" + secret + ",acme\nc,{x}" + secret + ",acme\n"},
		{"keycloak.jsonl", `{"id":"a:b","text":"` + secret + `"}` + "\n" + `{"id":"a","text":["` + secret + `"]}` + "\n" + `{"text":"` + secret + `\q"}`},
	} {
		_, verdicts := h.run(h.read(file.name, file.data), keysimport.Options{})
		for _, v := range verdicts {
			if v.Outcome != keysimport.Refused {
				t.Errorf("%+v", v)
			}
			if printed := fmt.Sprintf("%+v", v); strings.Contains(printed, secret[:10]) {
				t.Errorf("%s: %s", file.name, printed)
			}
		}
	}
}

func TestPresets(t *testing.T) {
	t.Parallel()
	all := keysimport.Presets()
	if len(all) < 11 {
		t.Errorf("%d presets", len(all))
	}
	for _, p := range all {
		got, ok := keysimport.Lookup(p.Name)
		if !ok || got != p || p.Title == "" {
			t.Errorf("%+v", p)
		}
		format, err := p.Format("acme_")
		if (err == nil) != (p.Kind == keys.KindKey) || err == nil && format.Prefix() != "acme_" {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	all[0].Title = "changed"
	if p := keysimport.Presets()[0]; p == all[0] {
		t.Error("who changes a preset changes it for others")
	}
	if _, ok := keysimport.Lookup("nobody"); ok {
		t.Error("a preset of nobody")
	}
	for _, name := range []string{"seam", "dotted"} {
		if _, err := lookup(t, name).Format(""); err == nil {
			t.Errorf("%s needs no prefix", name)
		}
	}
}

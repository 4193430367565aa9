package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keysimport"
)

// moving makes h a host to which keys of other systems come.
func moving(t testing.TB, h *host) {
	t.Helper()
	config := make(map[string]any)
	text, err := os.ReadFile(h.path("config.json"))
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	config["other_keys"] = []map[string]any{
		{"preset": "text", "prefix": "sk_live_"}, {"preset": "text", "prefix": "sk_test_"}, {"prefix": "old_", "separator": "-"}, {"preset": "sanctum"},
	}
	config["clients"] = map[string]any{"prefix": "cc_", "allow_foreign": true}
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	h.write("config.json", string(text))
}

// TestImport imports keys into each kind of store, twice, and uses them.
func TestImport(t *testing.T) {
	onStores(t, func(t *testing.T, h *host) {
		moving(t, h)
		h.must(exitDone, "migrate")
		n, told := 1000, "1,000 rows: 1,000 added"
		if testing.Short() {
			n, told = 200, "200 rows: 200 added"
		}
		key := func(i int) string { return fmt.Sprintf("sk_live_%032d", i) }
		var rows strings.Builder
		rows.WriteString("text,label\n")
		for i := range n {
			fmt.Fprintf(&rows, "%s,key %d\n", key(i), i)
		}
		h.hides(key(0)[8:], key(n - 1)[8:])
		h.write("keys.csv", rows.String())
		args := []string{"import", "-preset", "text", "-prefix", "sk_live_", "-org", "acme", "-scopes", "webhooks:manage", "-progress", h.path("keys.csv")}
		sum := func(r result) (s keysimport.Summary) {
			t.Helper()
			if err := json.Unmarshal([]byte(r.out), &s); err != nil {
				t.Fatalf("%v: %s%s", err, r.out, r.err)
			}
			return s
		}
		dry := sum(h.must(exitDone, append(args, "-json", "-dry-run")...))
		if dry != (keysimport.Summary{Rows: n, Added: n}) || len(h.list("acme")) != 0 {
			t.Errorf("dry: %+v", dry)
		}
		r := h.must(exitDone, append(args, "-json", "-verdicts", h.path("verdicts.jsonl"))...)
		if got := sum(r); got != dry || !strings.Contains(r.err, told) {
			t.Errorf("%+v, %s", got, r.err)
		}
		if got := sum(h.must(exitDone, append(args, "-json")...)); got != (keysimport.Summary{Rows: n, Existed: n}) {
			t.Errorf("again: %+v", got)
		}
		for _, i := range []int{0, n - 1} {
			if got := h.verify(key(i), "-scopes", "webhooks:manage"); got != "good" {
				t.Errorf("key %d is %s", i, got)
			}
		}
		verdicts, err := os.ReadFile(h.path("verdicts.jsonl"))
		if err != nil || strings.Count(string(verdicts), `"outcome":"added"`) != n || strings.Contains(string(verdicts), key(0)) {
			t.Errorf("verdicts: %v, %.200s", err, verdicts)
		}
		var first keysimport.Verdict
		line, _, _ := strings.Cut(string(verdicts), "\n")
		if err := json.Unmarshal([]byte(line), &first); err != nil {
			t.Fatal(err)
		}
		shown := h.must(exitDone, "show", first.ID)
		if !strings.Contains(shown.out, "cli:anna") || !strings.Contains(shown.out, "key 0") {
			t.Errorf("%s", shown.out)
		}
		h.must(exitDone, "check")
		h.must(exitUsage, append(args, "-verdicts", h.path("verdicts.jsonl"))...) // which is there already
	})
}

// TestVerifyAmongOtherKeys says what is wrong with a text that no format takes.
func TestVerifyAmongOtherKeys(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	const neither = "it begins neither with vck_, as keys do, nor with oauth_, as tokens do"
	if r := h.run("sk_live_short\n", "verify"); r.code != exitRefused || !strings.Contains(r.out, neither+"\n") {
		t.Errorf("%s%s", r.out, r.err)
	}
	moving(t, h)
	if r := h.run("sk_live_short\n", "verify"); r.code != exitRefused || !strings.Contains(r.out, neither+", and has none of the forms of other_keys\n") {
		t.Errorf("with other keys: %s%s", r.out, r.err)
	}
}

// TestImportNamesWhatEndedSince imports a key again that the other system has revoked
// since. It stays good here, so the operator must be told.
func TestImportNamesWhatEndedSince(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	moving(t, h)
	h.must(exitDone, "migrate")
	const key = "sk_live_00000000000000000000000000000000"
	h.write("keys.csv", "text,org\n"+key+",acme\n")
	h.must(exitDone, "import", "-preset", "text", "-prefix", "sk_live_", h.path("keys.csv"))
	h.write("keys.csv", "text,org,revoked_at\n"+key+",acme,2026-01-01\n")
	for _, flags := range [][]string{{"-dry-run"}, nil} {
		r := h.must(exitDone, append([]string{"import", "-preset", "text", "-prefix", "sk_live_", h.path("keys.csv")}, flags...)...)
		if !strings.Contains(r.err, "line 2: keysimport: the other system has revoked it") || !strings.Contains(r.out, "1 there before") {
			t.Errorf("%v: %s%s", flags, r.err, r.out)
		}
	}
}

// hides fails the test if one of the texts was printed when it ends.
func (h *host) hides(texts ...string) {
	h.t.Cleanup(func() {
		for _, text := range texts {
			if strings.Contains(h.out.String()+h.err.String(), text) {
				h.t.Error("a secret was printed")
			}
		}
	})
}

// list returns the keys of an organization.
func (h *host) list(org string) (ids []string) {
	h.t.Helper()
	for rec, err := range h.session().manager.List(h.t.Context(), keys.Query{Org: org, Kind: keys.KindKey}) {
		if err != nil {
			h.t.Fatal(err)
		}
		ids = append(ids, rec.ID)
	}
	return ids
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	good := "id,digest\n1," + strings.Repeat("ab", 32) + "\n"
	h.write("keys.csv", good)
	h.write("keys.txt", good)
	h.write("columns.csv", "id,secret\n")
	file := h.path("keys.csv")
	refused := func(name, says string, args ...string) {
		t.Helper()
		if r := h.run(good, append([]string{"import"}, args...)...); r.code != exitUsage || !strings.Contains(r.err, says) || r.out != "" {
			t.Errorf("%s: exit code %d: %s%s", name, r.code, r.out, r.err)
		}
	}
	refused("no preset", "better-auth, drf", "-org", "acme", file)
	refused("keys that the host does not take", `"other_keys"`, "-preset", "sanctum", file)
	refused("clients that the host does not take", `"allow_foreign": true`, "-preset", "hydra", file)
	moving(t, h)
	refused("a preset with two formats", "-prefix", "-preset", "text", file)
	refused("a prefix of none of them", `"other_keys"`, "-preset", "text", "-prefix", "pk_", file)
	refused("a scope that nobody can have", "not in the configuration: nope", "-preset", "sanctum", "-scopes", "webhooks:manage,nope", file)
	refused("no file", "no such file", "-preset", "sanctum", h.path("nowhere.csv"))
	refused("no form", "-form csv", "-preset", "sanctum", h.path("keys.txt"))
	refused("no form of standard input", "-form csv", "-preset", "sanctum", "-")
	refused("an unknown column", `"secret"`, "-preset", "sanctum", h.path("columns.csv"))
	refused("a bad batch", "-batch", "-preset", "sanctum", "-batch", "-1", file)
	refused("too many workers", "-workers", "-preset", "sanctum", "-workers", "257", file)

	// What fails in the middle of a dry run has added nothing.
	h.write("half.jsonl", `{"id":"3","digest":"`+strings.Repeat("ab", 32)+`"}`+"\n"+strings.Repeat("x", 2<<20))
	for _, dry := range []bool{true, false} {
		r := h.must(exitFailure, "import", "-preset", "sanctum", "-org", "acme", fmt.Sprintf("-dry-run=%v", dry), h.path("half.jsonl"))
		if strings.Contains(r.err, "rows that were added stay") == dry || !strings.Contains(r.err, "the rest is missing") {
			t.Errorf("dry: %v: %s", dry, r.err)
		}
	}

	var rows strings.Builder
	rows.WriteString("id,digest,org\n")
	for range 30 {
		rows.WriteString("x,hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2,acme\n")
	}
	h.hides("hunter2")
	h.write("bad.csv", rows.String())
	r := h.must(exitUnfit, "import", "-preset", "sanctum", h.path("bad.csv"))
	if strings.Count(r.err, "line ") != 20 || !strings.Contains(r.err, "and 10 rows more") || !strings.Contains(r.out, "30 refused") {
		t.Errorf("%s%s", r.out, r.err)
	}
	for _, form := range []string{"csv", "jsonl"} {
		in := good
		if form == "jsonl" {
			in = `{"id":2,"digest":"` + strings.Repeat("cd", 32) + `"}`
		}
		if r := h.run(in, "import", "-preset", "sanctum", "-org", "acme", "-form", form, "-"); r.code != exitDone || !strings.Contains(r.out, "1 added") {
			t.Errorf("%s on standard input: exit code %d: %s%s", form, r.code, r.out, r.err)
		}
	}
}

func TestOtherKeysRefuse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, says string }{
		{"an unknown preset", `{"preset":"x"}`, "no preset of that name"},
		{"a preset of clients", `{"preset":"spring"}`, "clients"},
		{"a preset with more", `{"preset":"seam","prefix":"a_","separator":"."}`, "a prefix alone"},
		{"a preset without its prefix", `{"preset":"seam"}`, "needs the prefix"},
		{"a bad separator", `{"prefix":"a_","separator":"x"}`, "separator"},
		{"a prefix of tokens", `{"prefix":"oauth_"}`, "cannot be told apart"},
		{"an unknown member", `{"prefx":"a_"}`, "unknown field"},
	} {
		h := sqliteHost(t)
		h.must(exitDone, "migrate")
		h.write("config.json", `{"other_keys":[`+tt.text+`]}`)
		if r := h.run("", "keys", "create", "-org", "acme"); r.code != exitUsage || !strings.Contains(r.err, tt.says) {
			t.Errorf("%s: exit code %d: %s", tt.name, r.code, r.err)
		}
	}
}

// TestOtherKeysAsArguments gives whole keys where an ID belongs.
func TestOtherKeysAsArguments(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	moving(t, h)
	h.must(exitDone, "migrate")
	for _, text := range []string{"7|AbCdEfGhIjKlMnOpQrStUvWxYz0123456789", "old_7-AbCdEfGhIjKlMnOpQrStUvWxYz"} {
		if r := h.run("", "show", text); r.code != exitUsage || !strings.Contains(r.err, "no place for secrets") || strings.Contains(r.err, "AbCd") {
			t.Errorf("exit code %d: %s", r.code, r.err)
		}
	}
}

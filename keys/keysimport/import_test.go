package keysimport_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keysimport"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"github.com/claviger-auth/claviger/store/storetest"
)

var catalog = scopes.MustCatalog(
	scopes.Scope{Name: "identity:read", Status: scopes.Always}, scopes.Scope{Name: "orders:read"}, scopes.Scope{Name: "orders:write"},
)

// A host has moved to the library from all systems at once.
type host struct {
	t       *testing.T
	faults  *storetest.Faults
	manager *keys.Manager
	formats map[string]*keys.Format // by preset and prefix
	mux     *http.ServeMux
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, faults: storetest.NewFaults(new(store.Memory)), formats: make(map[string]*keys.Format), mux: http.NewServeMux()}
	opts := &keys.Options{
		Format: keys.MustFormat("vck_", keys.Dotted, nil), Catalog: catalog,
		ClientFormat: keys.MustFormat("cc_", keys.Apart, &keys.FormatOptions{AllowForeign: true}),
	}
	for _, name := range []string{"seam acme_", "unkey prod_", "text sk_live_", "dotted dot_", "sanctum", "drf", "better-auth"} {
		preset, prefix, _ := strings.Cut(name, " ")
		format, err := lookup(t, preset).Format(prefix)
		if err != nil {
			t.Fatal(err)
		}
		h.formats[preset] = format
		opts.OtherFormats = append(opts.OtherFormats, format)
	}
	var err error
	if h.manager, err = keys.NewManager(h.faults, opts); err != nil {
		t.Fatal(err)
	}
	guard, err := middleware.NewGuard(h.manager.Verifier(), nil, &middleware.Options{
		Sources: []middleware.Source{{Header: "Authorization", Scheme: "Bearer"}, {Header: "Authorization", Scheme: "Api-Key"}, {Header: "X-API-Key"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.mux.Handle("GET /me", guard.Authenticated()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := keys.FromContext(r.Context())
		fmt.Fprintf(w, "%s of %s may %s", p.ID, p.Org, p.Scopes)
	})))
	server, err := oauth.NewServer(h.manager, nil)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := oauth.NewHandler(server, "https://api.example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	handler.Register(h.mux)
	return h
}

func lookup(t *testing.T, name string) keysimport.Preset {
	t.Helper()
	p, ok := keysimport.Lookup(name)
	if !ok {
		t.Fatalf("no preset %s", name)
	}
	return p
}

// rows reads a file of testdata, whose name is that of a preset.
func (h *host) rows(name string) iter.Seq[keysimport.Row] {
	h.t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		h.t.Fatal(err)
	}
	return h.read(name, string(data))
}

func (h *host) read(name, data string) iter.Seq[keysimport.Row] {
	h.t.Helper()
	preset, kind, _ := strings.Cut(name, ".")
	d := &keysimport.Defaults{Format: h.formats[preset], CreatedBy: "import:" + preset}
	if kind == "jsonl" {
		return keysimport.ReadJSONLines(strings.NewReader(data), lookup(h.t, preset), d)
	}
	rows, err := keysimport.ReadCSV(strings.NewReader(data), lookup(h.t, preset), d)
	if err != nil {
		h.t.Fatal(err)
	}
	return rows
}

// run imports rows, and returns what became of each.
func (h *host) run(rows iter.Seq[keysimport.Row], opts keysimport.Options) (keysimport.Summary, []keysimport.Verdict) {
	h.t.Helper()
	var verdicts []keysimport.Verdict
	opts.Verdict = func(v keysimport.Verdict) error { verdicts = append(verdicts, v); return nil }
	sum, err := keysimport.Run(h.t.Context(), h.manager, rows, &opts)
	if err != nil {
		h.t.Fatal(err)
	}
	return sum, verdicts
}

// me presents a key as a caller does, and returns the answer.
func (h *host) me(header, value string) string {
	r := httptest.NewRequestWithContext(h.t.Context(), "GET", "/me", nil)
	r.Header.Set(header, value)
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Sprint(w.Code, " ", w.Header().Get("WWW-Authenticate"))
	}
	return w.Body.String()
}

// token asks for a token as a client does, and returns what it may do.
func (h *host) token(id, secret string) string {
	r := httptest.NewRequestWithContext(h.t.Context(), "POST", "/oauth/token", strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Sprint(w.Code)
	}
	_, rest, _ := strings.Cut(w.Body.String(), `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	return h.me("Authorization", "Bearer "+token)
}

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
		"16," + hash + ",\"acme\n,,,,,\"x\n"
	_, verdicts := h.run(h.read("sanctum.csv", csv), keysimport.Options{Workers: 1})
	reasons := []string{
		"", "scope", "column created_at: not a time", "column rate_limit: not a whole number", "column networks", "column disabled: neither true nor false",
		"neither a text nor a digest", "no id", "id is not one", "library's own form", "organization", "not a line of CSV", "not a line of CSV",
		"another credential has this ID", "rate limit", "the secret itself", "not a line of CSV",
	}
	check(t, verdicts, reasons)
	for i, v := range verdicts {
		if v.Line != i+2 {
			t.Errorf("row %d is said to be in line %d", i, v.Line)
		}
	}

	lines := `{"id":"1","digest":"` + hash + `","org":"acme"}` + "\n\n" + strings.Join([]string{
		`[]`, `{`, `{}x`, `"a"`, `{"id":{}}`, `{"id":"1","id":"2"}`, `{"ID":"1"}`, `{"scopes":[1]}`, `{"org":["a"]}`, `{"digest":"` + hash + `","org":"acme"}`, `{"id":null}`,
	}, "\n")
	_, verdicts = h.run(h.read("sanctum.jsonl", lines), keysimport.Options{})
	check(t, verdicts, []string{
		"", "not an object", "not an object", "not an object", "not an object", "column id: not a string", "not an object", `unknown column "ID"`,
		"not an array of strings", "column org: not a string", "no id", "neither a text nor a digest",
	}[:len(verdicts)])
	if verdicts[0].Outcome != keysimport.Existed || verdicts[1].Line != 3 || len(verdicts) != 12 {
		t.Errorf("%d verdicts: %+v", len(verdicts), verdicts[:2])
	}
}

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

// failing is a reader that fails after some text.
type failing struct {
	text *bytes.Reader
	err  error
}

func (f failing) Read(b []byte) (int, error) {
	if n, err := f.text.Read(b); err == nil {
		return n, nil
	}
	return 0, f.err
}

// many returns a file of keys.
func many(n int) string {
	var b strings.Builder
	b.WriteString("text,org\n")
	for i := range n {
		fmt.Fprintf(&b, "sk_live_%032d,acme\n", i)
	}
	return b.String()
}

func TestRunEndsWithTheReader(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	cause := errors.New("disk error")
	for name, rows := range map[string]iter.Seq[keysimport.Row]{
		"CSV": func() iter.Seq[keysimport.Row] {
			rows, err := keysimport.ReadCSV(failing{bytes.NewReader([]byte(many(10))), cause}, lookup(t, "text"), nil)
			if err != nil {
				t.Fatal(err)
			}
			return rows
		}(),
		"JSON": keysimport.ReadJSONLines(failing{bytes.NewReader([]byte("{}\n{}\n")), cause}, lookup(t, "text"), nil),
	} {
		if sum, err := keysimport.Run(t.Context(), h.manager, rows, &keysimport.Options{Batch: 4}); !errors.Is(err, cause) || sum.Rows == 0 {
			t.Errorf("%s: %+v, %v", name, sum, err)
		}
	}
}

// TestRunStopsAndGoesOn has the store fail for good in the middle of an import, and
// begins it again.
func TestRunStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const n = 1000
	seen, order := 0, 0
	opts := &keysimport.Options{Batch: 10, Workers: 4, Verdict: func(v keysimport.Verdict) error {
		if v.Line != order+2 {
			t.Errorf("line %d after %d", v.Line, order+1)
		}
		order++
		return nil
	}, Progress: func(s keysimport.Summary) {
		if seen = s.Rows; s.Rows == 500 {
			h.faults.Fail(storetest.Insert, storetest.Always, errors.New("gone"))
		}
	}}
	sum, err := keysimport.Run(t.Context(), h.manager, h.read("text.csv", many(n)), opts)
	if !errors.Is(err, keys.ErrUnavailable) || sum.Added < 500 || sum.Rows != seen || sum.Rows == n {
		t.Fatalf("%+v, %v", sum, err)
	}
	h.faults.Heal()
	again, _ := h.run(h.read("text.csv", many(n)), keysimport.Options{Batch: 10})
	if again.Rows != n || again.Existed < sum.Added || again.Added+again.Existed != n {
		t.Errorf("at first %+v, then %+v", sum, again)
	}
}

// A flaky store fails once, at an insert in the middle of a batch.
type flaky struct {
	keys.Store
	inserts int
}

func (f *flaky) Insert(ctx context.Context, r keys.Record) error {
	if f.inserts++; f.inserts == 15 {
		return errors.New("connection reset")
	}
	return f.Store.Insert(ctx, r)
}

// TestRunTriesAgain has the store fail for a moment. Rows that were written before
// count as added.
func TestRunTriesAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	m, err := keys.NewManager(&flaky{Store: h.faults}, &keys.Options{OtherFormats: []*keys.Format{h.formats["text"]}})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := keysimport.Run(t.Context(), m, h.read("text.csv", many(30)), &keysimport.Options{Batch: 10, Workers: 1})
	if want := (keysimport.Summary{Rows: 30, Added: 30}); sum != want || err != nil {
		t.Errorf("%+v, %v", sum, err)
	}
}

// An absent store is not there yet.
type absent struct {
	keys.Store
	until time.Time
}

func (a *absent) Insert(ctx context.Context, r keys.Record) error {
	if time.Now().Before(a.until) {
		return errors.New("connection refused")
	}
	return a.Store.Insert(ctx, r)
}

// TestRunWaitsLonger has the store fail for two seconds. The pauses between the tries
// grow, so that they are long enough for that.
func TestRunWaitsLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		m, err := keys.NewManager(&absent{h.faults, time.Now().Add(2 * time.Second)}, &keys.Options{OtherFormats: []*keys.Format{h.formats["text"]}})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := keysimport.Run(t.Context(), m, h.read("text.csv", many(1)), nil)
		if want := (keysimport.Summary{Rows: 1, Added: 1}); sum != want || err != nil {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

func TestRunEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	cause := errors.New("the file of verdicts is full")
	if sum, err := keysimport.Run(t.Context(), h.manager, h.read("text.csv", many(1000)), &keysimport.Options{
		Batch: 10, Verdict: func(keysimport.Verdict) error { return cause },
	}); err != cause || sum.Rows != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := keysimport.Run(ctx, h.manager, h.read("text.csv", many(1000)), &keysimport.Options{
		Batch: 10, Progress: func(keysimport.Summary) { cancel() },
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for _, opts := range []keysimport.Options{{Batch: -1}, {Workers: -1}} {
		if _, err := keysimport.Run(t.Context(), h.manager, h.rows("text.csv"), &opts); err == nil {
			t.Errorf("%+v is fine", opts)
		}
	}
}

// TestRunSaysWhyItEnded ends an import while the store is asked, which fails then.
func TestRunSaysWhyItEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		defer h.faults.Block(storetest.Insert)()
		ctx, stop := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := keysimport.Run(ctx, h.manager, h.read("text.csv", many(100)), &keysimport.Options{Batch: 10})
			ended <- err
		}()
		synctest.Wait()
		interrupted := errors.New("interrupted")
		stop(interrupted)
		if err := <-ended; err != interrupted {
			t.Errorf("%v, want %v", err, interrupted)
		}
	})
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
	if _, ok := keysimport.Lookup("nobody"); ok {
		t.Error("a preset of nobody")
	}
	for _, name := range []string{"seam", "dotted"} {
		if _, err := lookup(t, name).Format(""); err == nil {
			t.Errorf("%s needs no prefix", name)
		}
	}
}

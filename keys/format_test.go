package keys_test

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
)

var (
	partner = keys.MustFormat("vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live", "test"}})
	plain   = keys.MustFormat("key_", keys.Dotted, nil)
	foreign = keys.MustFormat("vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live", "test"}, AllowForeign: true})
	token   = keys.MustFormat("oauth_", keys.Fixed, nil)
	client  = keys.MustFormat("cc_", keys.Apart, nil)

	formats = map[string]*keys.Format{
		"partner": partner, "plain": plain, "foreign": foreign, "token": token, "client": client,
	}
)

// TestVectors reads testdata/vectors.txt: blocks of "name: value" lines.
func TestVectors(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tests := 0
	block := make(map[string]string)
	check := func() {
		if len(block) == 0 {
			return
		}
		tests++
		v := block
		block = make(map[string]string)
		t.Run(v["name"], func(t *testing.T) {
			f := formats[v["format"]]
			if f == nil || (v["expect"] != "ok" && v["expect"] != "malformed") {
				t.Fatalf("bad vector: %v", v)
			}
			got, err := f.Parse(v["text"])
			if v["expect"] == "malformed" {
				if !errors.Is(err, keys.ErrMalformed) || got.ID != "" || got.Secret.Len() != 0 {
					t.Fatalf("parsed as %v, %v", got, err)
				}
				return
			}
			if err != nil || got.ID != v["id"] || got.Environment != v["environment"] || got.Secret.Reveal() != v["secret"] {
				t.Fatalf("ID %q, environment %q, secret %q, %v", got.ID, got.Environment, got.Secret.Reveal(), err)
			}
			if back := f.Text(got).Reveal(); back != v["text"] {
				t.Errorf("written again as %q", back)
			}
		})
	}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			check()
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("bad line %q", line)
		}
		block[name] = strings.TrimPrefix(value, " ")
	}
	check()
	if err := lines.Err(); err != nil || tests < 20 {
		t.Errorf("read %d vectors, %v; want at least 20", tests, err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, format, environment string
		prefix                    string
		idLen, secretLen          int
	}{
		{"default environment", "partner", "", "vck_live_", 9 + 22, 49},
		{"named environment", "partner", "test", "vck_test_", 9 + 22, 49},
		{"no environment", "plain", "", "key_", 4 + 22, 49},
		{"token", "token", "", "oauth_", 6 + 24, 64},
		{"client", "client", "", "cc_", 3 + 16, 64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := formats[tt.format]
			seen := make(map[string]bool)
			for range 200 {
				tok, err := f.New(tt.environment)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(tok.ID, tt.prefix) || len(tok.ID) != tt.idLen || tok.Secret.Len() != tt.secretLen || !f.ValidID(tok.ID) {
					t.Fatalf("ID %q, secret of %d characters", tok.ID, tok.Secret.Len())
				}
				if seen[tok.ID] || seen[tok.Secret.Reveal()] {
					t.Fatal("the same twice")
				}
				seen[tok.ID], seen[tok.Secret.Reveal()] = true, true
				parse := f.Parse
				if tt.format == "client" {
					parse = func(string) (keys.Credential, error) { return f.ParsePair(tok.ID, tok.Secret.Reveal()) }
				}
				back, err := parse(f.Text(tok).Reveal())
				if err != nil || back.ID != tok.ID || back.Environment != tok.Environment || back.Secret.Reveal() != tok.Secret.Reveal() {
					t.Fatalf("parsed as %v, %v", back, err)
				}
			}
		})
	}
}

func TestNewRefusesUnknownEnvironments(t *testing.T) {
	t.Parallel()
	for f, env := range map[*keys.Format]string{partner: "prod", plain: "live", token: "test"} {
		if _, err := f.New(env); !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("%s with %q: %v", f.Prefix(), env, err)
		}
	}
}

// TestChecksum computes the checksum as a scanner would that knows only the
// documentation.
func TestChecksum(t *testing.T) {
	t.Parallel()
	for range 100 {
		tok, err := partner.New("")
		if err != nil {
			t.Fatal(err)
		}
		text := partner.Text(tok).Reveal()
		want := checksumOf(text[:len(text)-6])
		if got := text[len(text)-6:]; got != want {
			t.Fatalf("checksum %q, want %q", got, want)
		}
		dash := strings.Replace(text[:len(text)-6], ".", "-", 1)
		if _, err := partner.Parse(dash + checksumOf(dash)); !errors.Is(err, keys.ErrMalformed) {
			t.Fatalf("a dash in place of the dot, with its checksum: %v", err)
		}
	}
}

// TestMutations changes a key in every way that a slip or a tamperer would.
func TestMutations(t *testing.T) {
	t.Parallel()
	for _, f := range []*keys.Format{partner, plain, foreign, token} {
		tok, err := f.New("")
		if err != nil {
			t.Fatal(err)
		}
		text := f.Text(tok).Reveal()
		for name, mutant := range mutants(text) {
			got, err := f.Parse(mutant)
			switch {
			case err == nil && f != token && f != foreign:
				t.Errorf("%s: %s is accepted", f.Prefix(), name)
			case err == nil && got.ID == tok.ID && got.Secret.Reveal() == tok.Secret.Reveal():
				t.Errorf("%s: %s has the same parse", f.Prefix(), name)
			}
		}
	}
}

// mutants returns every prefix and suffix of text, every flip of a character,
// its case or its lowest bit, and some additions.
func mutants(text string) map[string]string {
	m := map[string]string{
		"empty": "", "a space before": " " + text, "a space after": text + " ", "a line break": text + "\n",
		"a NUL": text + "\x00", "twice": text + text, "upper case": strings.ToUpper(text), "lower case": strings.ToLower(text),
		"one more": text + "0", "a dot": text + ".", "a long s": strings.Replace(text, "s", "ſ", 1),
	}
	for i := range len(text) {
		m["cut at "+text[:i]] = text[:i]
		if i > 0 {
			m["begun at "+text[i:]] = text[i:]
		}
		for _, flip := range []byte{1, 0x20, 0x80} {
			b := []byte(text)
			b[i] ^= flip
			m["flip to "+string(b)] = string(b)
		}
		m["without "+text[:i]] = text[:i] + text[i+1:]
	}
	for name, mutant := range m {
		if mutant == text {
			delete(m, name)
		}
	}
	return m
}

func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	long := "vck_x." + strings.Repeat("a", keys.MaxLen)
	if _, err := foreign.Parse(long[:keys.MaxLen]); err != nil {
		t.Errorf("%d bytes: %v", keys.MaxLen, err)
	}
	if _, err := foreign.Parse(long[:keys.MaxLen+1]); !errors.Is(err, keys.ErrMalformed) {
		t.Errorf("%d bytes: %v", keys.MaxLen+1, err)
	}
	if _, err := foreign.Parse("vck_" + strings.Repeat("a", 252) + ".a"); !errors.Is(err, keys.ErrMalformed) {
		t.Errorf("an ID of 256 bytes: %v", err)
	}
}

func TestParsePair(t *testing.T) {
	t.Parallel()
	tok, err := client.New("")
	if err != nil {
		t.Fatal(err)
	}
	id, secret := tok.ID, tok.Secret.Reveal()
	for name, pair := range map[string][2]string{
		"no ID": {"", secret}, "no secret": {id, ""}, "swapped": {secret, id}, "upper case": {id, strings.ToUpper(secret)},
		"short ID": {id[:18], secret}, "long ID": {id + "0", secret}, "short secret": {id, secret[:63]},
		"long secret": {id, secret + "0"}, "another prefix": {"ck_" + id[3:], secret}, "a space": {id, secret[:63] + " "},
	} {
		if _, err := client.ParsePair(pair[0], pair[1]); !errors.Is(err, keys.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := client.Parse(id + secret); !errors.Is(err, keys.ErrMalformed) {
		t.Errorf("a client's ID and secret in one text: %v", err)
	}
	if _, err := token.ParsePair("oauth_"+strings.Repeat("0", 24), secret); !errors.Is(err, keys.ErrMalformed) {
		t.Errorf("a token as a pair: %v", err)
	}
}

// TestForeignClientID has IDs of clients that other systems chose. A path of a URL must
// be able to hold them.
func TestForeignClientID(t *testing.T) {
	t.Parallel()
	format := keys.MustFormat("cc_", keys.Apart, &keys.FormatOptions{AllowForeign: true})
	for id, want := range map[string]bool{
		"web": true, "a.b": true, ".a": true, "..a": true, "~": true, "anna@example.com": true, strings.Repeat("a", 255): true,
		"": false, ".": false, "..": false, "...": false, "a/b": false, "a b": false, "a:b": false, "é": false, strings.Repeat("a", 256): false,
	} {
		if got := format.ValidID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
		if _, err := format.ParsePair(id, "secret"); (err == nil) != want {
			t.Errorf("%q with a secret: %v", id, err)
		}
	}
	for n, want := range map[int]bool{keys.MaxLen: true, keys.MaxLen + 1: false} {
		if _, err := format.ParsePair("web", strings.Repeat("s", n)); (err == nil) != want {
			t.Errorf("a secret of %d bytes: %v", n, err)
		}
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	key, long := "vck_live_"+strings.Repeat("a", 22), "vck_"+strings.Repeat("a", 251)
	for _, tt := range []struct {
		name, id         string
		partner, foreign bool
	}{
		{"a key's", key, true, true},
		{"the longest", long, false, true},
		{"a longer one", long + "a", false, false},
		{"nothing", "", false, false},
		{"the prefix alone", "vck_", false, false},
		{"an environment alone", "vck_live_", false, true},
		{"a short one", key[:len(key)-1], false, true},
		{"one with more behind it", key + "a", false, true},
		{"one with a dot", key + ".", false, false},
		{"another environment", "vck_prod_" + strings.Repeat("a", 22), false, true},
		{"another prefix", "key_" + strings.Repeat("a", 22), false, false},
	} {
		if got := partner.ValidID(tt.id); got != tt.partner {
			t.Errorf("%s: %v", tt.name, got)
		}
		if got := foreign.ValidID(tt.id); got != tt.foreign {
			t.Errorf("%s, where foreign keys are allowed: %v", tt.name, got)
		}
	}
}

func TestNewFormatRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, prefix string
		layout       keys.Layout
		opts         *keys.FormatOptions
	}{
		{"no prefix", "", keys.Dotted, nil},
		{"an underscore alone", "_", keys.Dotted, nil},
		{"no underscore", "vck", keys.Dotted, nil},
		{"a dot", "v.ck_", keys.Dotted, nil},
		{"a dash", "v-ck_", keys.Dotted, nil},
		{"too long", strings.Repeat("v", 32) + "_", keys.Dotted, nil},
		{"unknown layout", "vck_", 9, nil},
		{"the layout of a foreign format", "vck_", keys.Apart + 1, nil},
		{"that of the other foreign formats", "vck_", keys.Apart + 2, nil},
		{"foreign tokens", "vck_", keys.Fixed, &keys.FormatOptions{AllowForeign: true}},
		{"an empty environment", "vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{""}}},
		{"an environment in capitals", "vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"Live"}}},
		{"an environment twice", "vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live", "live"}}},
		{"a long environment", "vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{strings.Repeat("e", 17)}}},
		{"an environment with an underscore", "vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"li_ve"}}},
	}
	for _, tt := range tests {
		if _, err := keys.NewFormat(tt.prefix, tt.layout, tt.opts); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
}

func TestFormatKeepsItsEnvironments(t *testing.T) {
	t.Parallel()
	envs := []string{"live", "test"}
	f := keys.MustFormat("a_", keys.Dotted, &keys.FormatOptions{Environments: envs})
	envs[0] = "x"
	f.Environments()[1] = "y"
	if got := f.Environments(); got[0] != "live" || got[1] != "test" {
		t.Errorf("environments %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, format := range formats {
		tok, err := format.New("")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(format.Text(tok).Reveal())
	}
	for _, text := range []string{
		"", ".", "vck_", "vck_test_REPLACE_ME.your_secret_half_here", "vck_live_.", "oauth_", "vck_a..b", "vck_a.b~", strings.Repeat("a", 600),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		accepted := 0
		for name, format := range formats {
			tok, err := format.Parse(text)
			if err != nil {
				if err != keys.ErrMalformed || tok.ID != "" || tok.Secret.Len() != 0 {
					t.Fatalf("%s: %v, %v", name, tok, err)
				}
				continue
			}
			if name != "foreign" {
				accepted++
			}
			if back := format.Text(tok).Reveal(); back != text {
				t.Fatalf("%s: %q became %q", name, text, back)
			}
			if !format.ValidID(tok.ID) || tok.Secret.Len() == 0 || len(text) > keys.MaxLen || strings.ContainsAny(text, " \x00\n,\"") {
				t.Fatalf("%s accepts %q", name, text)
			}
			if name == "partner" {
				if _, err := foreign.Parse(text); err != nil {
					t.Fatalf("the wider format refuses %q", text)
				}
			}
		}
		if accepted > 1 {
			t.Fatalf("%q is of %d kinds", text, accepted)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	tok, err := partner.New("")
	if err != nil {
		b.Fatal(err)
	}
	text := partner.Text(tok).Reveal()
	tokenText, err := token.New("")
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name   string
		format *keys.Format
		text   string
		ok     bool
	}{
		{"text=key", partner, text, true},
		{"text=token", token, token.Text(tokenText).Reveal(), true},
		{"text=wrong_checksum", partner, text[:len(text)-1] + "~", false},
		{"text=hostile", foreign, "vck_" + strings.Repeat("a", 500) + ".", false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bb.format.Parse(bb.text); (err == nil) != bb.ok {
					b.Fatal(err)
				}
			}
		})
	}
}

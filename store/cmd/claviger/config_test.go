package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, says string }{
		{"no JSON", "{", "unexpected EOF"},
		{"more than one object", "{}{}", "data after the configuration"},
		{"an unknown member", `{"pepper":[]}`, `unknown field "pepper"`},
		{"an unknown member of a form", `{"keys":{"prefx":"a_"}}`, `unknown field "prefx"`},
		{"an unknown member of a scope", `{"scopes":[{"nam":"a"}]}`, `unknown field "nam"`},
		{"a bad prefix", `{"keys":{"prefix":"a"}}`, "keys: keys: prefix"},
		{"a bad layout", `{"keys":{"prefix":"a_","layout":"wide"}}`, "layout is not dotted"},
		{"another layout for clients", `{"clients":{"prefix":"a_","layout":"fixed"}}`, "clients the layout Apart"},
		{"two prefixes alike", `{"keys":{"prefix":"oauth_"}}`, "cannot be told apart"},
		{"a bad status", `{"scopes":[{"name":"a","status":"maybe"}]}`, "status is not available"},
		{"a scope twice", `{"scopes":["a","a"]}`, "twice"},
		{"a pepper without a file", `{"peppers":[{"name":"a","file":"nowhere"}]}`, "no such file"},
		{"a short pepper", `{"peppers":[{"name":"a","file":"short"}]}`, "shorter than 32 bytes"},
		{"a negative limit", `{"rate_limit":-1}`, "rate limit is negative"},
		{"too much", "{}" + strings.Repeat(" ", maxConfig), "is longer than 1048576 bytes"},
		{"a member twice", `{"trail":true,"trail":false}`, `member "trail" is there twice`},
		{"a member of a form twice", `{"keys":{"prefix":"a_","layout":"dotted","prefix":"b_"}}`, `member "prefix" is there twice`},
		{"a member of a scope twice", `{"scopes":["b",{"name":"a","name":"c"}]}`, `member "name" is there twice`},
		{"a member in upper case", `{"Trail":true}`, `no member "Trail"`},
		{"a letter that counts as an s", `{"\u017fcopes":["a"]}`, `no member "ſcopes"`},
	}
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	h.write("short", password+"\n")
	for _, tt := range tests {
		h.write("config.json", tt.text)
		r := h.run("", "keys", "create", "-org", "acme")
		if r.code != exitUsage || !strings.Contains(r.err, tt.says) {
			t.Errorf("%s: exit code %d: %s", tt.name, r.code, r.err)
		}
	}
}

// TestSeveralErrors prints each of them on a line of its own.
func TestSeveralErrors(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.write("config.json", `{"keys":{"prefix":"a"},"tokens":{"prefix":"b"}}`)
	r := h.must(exitUsage, "keys", "create", "-org", "acme")
	lines := strings.Split(strings.TrimSuffix(r.err, "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "claviger: configuration: keys: ") || !strings.HasPrefix(lines[1], "claviger: configuration: tokens: ") {
		t.Errorf("%q", r.err)
	}
}

// TestConfigOfServersRefuses has settings that only one kind of store reads. No server is
// asked.
func TestConfigOfServersRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, url, text, says string }{
		{"a bad schema", "postgres://app@127.0.0.1:1/app", `{"schema":"A B"}`, "not a plain lower-case name"},
		{"a bad prefix", "redis://127.0.0.1:1", `{"redis_prefix":"a b"}`, "the prefix has other characters"},
		{"a negative number of replicas", "redis://127.0.0.1:1", `{"redis_replicas":-1}`, "Options.Replicas is -1"},
	} {
		h := newHost(t, tt.url, nil)
		h.write("config.json", tt.text)
		if r := h.run("", "stats"); r.code != exitUsage || !strings.Contains(r.err, tt.says) {
			t.Errorf("%s: exit code %d: %s", tt.name, r.code, r.err)
		}
	}
}

// TestPeppers makes a key under a pepper, which is of no use to a host without.
func TestPeppers(t *testing.T) {
	t.Parallel()
	h := sqliteHost(t)
	h.must(exitDone, "migrate")
	_, plain := h.create("keys", "create", "-org", "acme")
	h.write("new.pepper", strings.Repeat("n", 32)+"\n")
	h.write("old.pepper", strings.Repeat("o", 32))
	h.write("config.json", `{"keys":{"prefix":"vck_","environments":["live"]},"peppers":[{"name":"old","file":"old.pepper"}]}`)
	_, old := h.create("keys", "create", "-org", "acme")
	h.write("config.json", `{"keys":{"prefix":"vck_","environments":["live"]},"peppers":[{"name":"new","file":"new.pepper"},{"name":"old","file":"old.pepper"}]}`)
	id, secret := h.create("keys", "create", "-org", "acme")
	if got := h.verify(plain) + " " + h.verify(old) + " " + h.verify(secret); got != "good good good" {
		t.Errorf("with both peppers the keys are %s", got)
	}
	rec, err := h.session().manager.Find(t.Context(), id)
	if err != nil || !strings.Contains(rec.Digest.Text(), "new") {
		t.Errorf("not made under the first pepper, %v", err)
	}
	// The key without its line break is the pepper.
	verifier, err := keys.NewVerifier(h.session().store, &keys.Options{
		Format:  keys.MustFormat("vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live"}}),
		Peppers: []keys.Pepper{{Name: "new", Key: keys.NewSecret(strings.Repeat("n", 32))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Inspect(t.Context(), secret, time.Now()); err != nil {
		t.Errorf("a host with the pepper: %v", err)
	}
	// A check must not write digests that the host may not be able to read.
	h.write("config.json", `{"keys":{"prefix":"vck_","environments":["live"]}}`)
	if got := h.verify(plain); got != "good" {
		t.Errorf("after a check under a pepper, a key without one is %s", got)
	}
	if r := h.run(secret, "verify"); r.code != exitFailure || !strings.Contains(r.err, "pepper that is not configured") {
		t.Errorf("without the pepper: exit code %d: %s", r.code, r.err)
	}
}

// TestPlans leaves the limit of what is made to the plans of the host.
func TestPlans(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{`{}`: "600", `{"rate_limit":50}`: "50", `{"rate_limit":50,"plans":true}`: "plan"} {
		h := sqliteHost(t)
		h.write("config.json", config)
		h.must(exitDone, "migrate")
		id, _ := h.create("keys", "create", "-org", "acme")
		for range 2 {
			if out := h.must(exitDone, "show", id).out; !strings.Contains(out, "Requests a minute  "+want+"\n") {
				t.Errorf("%s:\n%s", config, out)
			}
			h.must(exitDone, "change", id, "-rate-limit", "0") // leaves it to the host
		}
		s := h.session()
		s.conf.given, s.conf.Plans = false, false // no file says whether the host has plans
		if rec, err := s.manager.Find(t.Context(), id); err != nil || s.limit(&rec) != "default" {
			t.Errorf("%s: without a configuration it is %s, %v", config, s.limit(&rec), err)
		}
	}
}

// TestWhereTheStoreIsNamed tries the places from the first to the last.
func TestWhereTheStoreIsNamed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"flag.url": "sqlite:flag.db\n", "config.url": "sqlite:config.db", "config.json": `{"store_file":"config.url"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "flag.url")
	tests := []struct {
		name, env string
		settings  settings
		want      string
	}{
		{"the flag", "sqlite:env.db", settings{store: "sqlite:arg.db"}, "sqlite:arg.db"},
		{"the file of the flag", "sqlite:env.db", settings{storeFile: file}, "sqlite:flag.db"},
		{"the environment", "sqlite:env.db", settings{}, "sqlite:env.db"},
		{"the configuration", "", settings{}, "sqlite:config.db"},
	}
	for _, tt := range tests {
		t.Setenv("CLAVIGER_STORE", tt.env)
		c, err := readConfig(filepath.Join(dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tt.settings.storeURL(c); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	if _, err := new(settings).storeURL(new(config)); err == nil {
		t.Error("a store from nowhere")
	}
}

func TestActor(t *testing.T) {
	tests := []struct{ name, flag, env, want string }{
		{"the flag", "anna", "bert", "cli:anna"},
		{"the flag with its prefix", "cli:anna", "", "cli:anna"},
		{"the environment", "", "bert", "cli:bert"},
	}
	for _, tt := range tests {
		t.Setenv("CLAVIGER_AS", tt.env)
		if got := (&settings{as: tt.flag}).actor(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	t.Setenv("CLAVIGER_AS", "")
	if got := new(settings).actor(); len(got) <= len("cli:") {
		t.Errorf("nobody: %q", got)
	}
}

func TestLifetimes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want time.Duration
		back string
	}{
		{"90d", 90 * 24 * time.Hour, "90d"},
		{"36h", 36 * time.Hour, "36h"},
		{"48h", 48 * time.Hour, "2d"},
		{"15m", 15 * time.Minute, "15m"},
		{"1h30m", 90 * time.Minute, "1h30m"},
		{"1.5s", 1500 * time.Millisecond, "1.5s"},
		{"0", 0, ""},
		{"forever", keys.Forever, "forever"},
	}
	for _, tt := range tests {
		var l lifetime
		if err := l.Set(tt.text); err != nil || time.Duration(l) != tt.want || l.String() != tt.back {
			t.Errorf("%s: %v %q, %v", tt.text, time.Duration(l), l.String(), err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "-1h", "1us", "90 d", "soon", "70000d"} {
		if err := new(lifetime).Set(text); err == nil {
			t.Errorf("%q is a lifetime", text)
		}
	}
}

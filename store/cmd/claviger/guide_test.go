package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keysimport"
)

// guide is the page on moving from other systems. Each section has a line of Go,
// the same as a member of the configuration, a query and a command.
const guide = "../../../keys/keysimport/README.md"

// guided is what callers of each system have: a key, or the ID and the secret of a
// client. The rows of testdata/guide are theirs.
var guided = map[string]struct{ client, text string }{
	"better-auth": {"", "AVfUxfDgQVBGVVutsNNmuEgHKJEcwbivLquzJOdTCKcunDNGlYdMdvCMtaqCEVww"},
	"seam":        {"", "acme_PWJApVjo_JFjnDXVUVDpRiZx5e9zuDfsP"},
	"sanctum":     {"", "7|AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdcd7e2082"},
	"drf":         {"", "hT2bXq9Z.Wm4RkV7sYd1LpQe8GzJcNfUtAoBiHx5K"},
	"unkey":       {"", "prod_3ZxKwLmQ9sTvB7nRcYpHdF"},
	"text":        {"", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"},
	"dotted":      {"", "acme_K3y1D.s3cr3t-half-of-a-key-0123456789abcdef"},
	"hydra":       {"5f0e8b1c-7c1d-4a52-9a53-2d0c1b7f6a34", "b2xkLWh5ZHJhLXNlY3JldC1mb3ItYWNtZQ"},
	"spring":      {"messaging-client", "spring-secret"},
	"keycloak":    {"account-service", "Zt8cTn3vKq5xLr1yPb6wHd9fJs2gMe4a"},
	"go-oauth2":   {"000000", "999999"},
}

// A section is that of one system.
type section struct{ goLine, member, query, command string }

// sections returns those of the guide, by preset.
func sections(t *testing.T) map[string]section {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]section)
	for part := range strings.SplitSeq(string(text), "\n## ") {
		block := func(begin string) string {
			_, rest, _ := strings.Cut(part, "\n```"+begin)
			inside, _, _ := strings.Cut(rest, "\n```")
			return inside
		}
		s := section{block("go\n"), block("json\n"), block("sql\n"), block("\n$ ")}
		if s.query == "" {
			continue // no system's
		}
		_, rest, ok := strings.Cut(s.command, "-preset ")
		if !ok {
			t.Fatalf("no preset in %q", s.command)
		}
		all[strings.Fields(rest)[0]] = s
	}
	return all
}

// TestGuide follows each section to the letter: it runs the query over the system's
// table, puts the member into the configuration, imports what the query wrote, and
// checks what a caller has.
func TestGuide(t *testing.T) {
	t.Parallel()
	found := sections(t)
	for _, p := range keysimport.Presets() {
		s, ok := found[p.Name]
		caller, known := guided[p.Name]
		if !ok || !known || len(found) != len(guided) {
			t.Fatalf("no section on %s, or nothing to try it with; %d sections", p.Name, len(found))
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			h := postgresHost(t)
			addMember(t, h, s.member)
			h.must(exitDone, "migrate")
			h.hides(caller.text)
			export(t, h, p.Name, s.query)
			words := strings.Fields(s.command)
			args := append(words[1:len(words)-1], h.path(words[len(words)-1]))
			for _, run := range []struct {
				flags []string
				says  string
			}{{[]string{"-dry-run"}, "1 added, 0 there before, 0 refused, and nothing"}, {nil, "1 added"}, {nil, "1 there before"}} {
				if r := h.must(exitDone, append(args, run.flags...)...); !strings.Contains(r.out, run.says) {
					t.Errorf("%v: %s%s", run.flags, r.out, r.err)
				}
			}
			var flags []string
			if caller.client != "" {
				flags = []string{"-client", caller.client}
			}
			for range 2 {
				if got := h.verify(caller.text, flags...); got != "good" {
					t.Errorf("the credential is %s", got)
				}
			}
			if got := h.verify(caller.text[:len(caller.text)-1]+"~", flags...); got == "good" {
				t.Error("another one is good too")
			}
		})
	}
}

// TestGuideKeepsRevocations imports a key that the old system had revoked, which it says
// in a column without a time. Nobody can resume it, as somebody could a paused one.
func TestGuideKeepsRevocations(t *testing.T) {
	t.Parallel()
	h := postgresHost(t)
	s := sections(t)["drf"]
	addMember(t, h, s.member)
	h.must(exitDone, "migrate")
	h.hides(guided["drf"].text)
	export(t, h, "drf", strings.Replace(s.query, "FROM ", "FROM (SELECT id, created, name, true AS revoked, expiry_date, hashed_key, prefix FROM ", 1)+") AS ended")
	h.must(exitDone, "import", "-preset", "drf", h.path("old.csv"))
	if got := h.verify(guided["drf"].text); got != "revoked" {
		t.Errorf("the key is %s", got)
	}
	if r := h.run("", "resume", "drf_hT2bXq9Z"); r.code == exitDone {
		t.Errorf("it was resumed: %s", r.out)
	}
}

// addMember puts a member into the configuration of h.
func addMember(t *testing.T, h *host, member string) {
	t.Helper()
	config, more := make(map[string]any), make(map[string]any)
	text, err := os.ReadFile(h.path("config.json"))
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err == nil {
		err = json.Unmarshal([]byte("{"+member+"}"), &more)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, member)
	}
	config["scopes"] = []string{"orders:read", "orders:write"}
	maps.Copy(config, more)
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	h.write("config.json", string(text))
}

// export makes the system's table, and writes what the query selects as psql does.
func export(t *testing.T, h *host, name, query string) {
	t.Helper()
	tables, err := os.ReadFile(filepath.Join("testdata", "guide", name+".sql"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	schema := `"` + name + " of " + t.Name() + `"`
	if _, err := conn.Exec(t.Context(), "CREATE SCHEMA "+schema+"; SET search_path TO "+schema+";"+string(tables)); err != nil {
		t.Fatal(err)
	}
	var csv bytes.Buffer
	if _, err := conn.Conn().PgConn().CopyTo(t.Context(), &csv, "COPY ("+query+") TO STDOUT WITH (FORMAT csv, HEADER)"); err != nil {
		t.Fatal(err)
	}
	h.write("old.csv", csv.String())
}

// TestGuideSaysTheSameTwice compares each line of Go with the preset: what a host
// compiles must accept what the command line imports.
func TestGuideSaysTheSameTwice(t *testing.T) {
	t.Parallel()
	clients := `ClientFormat: keys.MustFormat("cc_", keys.Apart, &keys.FormatOptions{AllowForeign: true}),`
	lines := map[string]struct {
		format *keys.Format
		line   string
	}{
		"better-auth": {keys.MustForeignFormat("ba_", &keys.ForeignOptions{Bare: true}), `keys.MustForeignFormat("ba_", &keys.ForeignOptions{Bare: true})`},
		"seam":        {keys.MustForeignFormat("acme_", &keys.ForeignOptions{Separator: "_"}), `keys.MustForeignFormat("acme_", &keys.ForeignOptions{Separator: "_"})`},
		"sanctum":     {keys.MustForeignFormat("sanctum_", &keys.ForeignOptions{Bare: true, Separator: "|"}), `keys.MustForeignFormat("sanctum_", &keys.ForeignOptions{Bare: true, Separator: "|"})`},
		"drf":         {keys.MustForeignFormat("drf_", &keys.ForeignOptions{Bare: true, Separator: "."}), `keys.MustForeignFormat("drf_", &keys.ForeignOptions{Bare: true, Separator: "."})`},
		"unkey":       {keys.MustForeignFormat("prod_", nil), `keys.MustForeignFormat("prod_", nil)`},
		"text":        {keys.MustForeignFormat("sk_live_", nil), `keys.MustForeignFormat("sk_live_", nil)`},
		"dotted":      {keys.MustFormat("acme_", keys.Dotted, &keys.FormatOptions{AllowForeign: true}), `keys.MustFormat("acme_", keys.Dotted, &keys.FormatOptions{AllowForeign: true})`},
	}
	for name, s := range sections(t) {
		l, isKey := lines[name]
		if !isKey {
			if s.goLine != clients {
				t.Errorf("%s: %s", name, s.goLine)
			}
			continue
		}
		if want := "OtherFormats: []*keys.Format{" + l.line + "},"; s.goLine != want {
			t.Errorf("%s: %s, want %s", name, s.goLine, want)
		}
		c := new(config)
		if err := json.Unmarshal([]byte("{"+s.member+"}"), c); err != nil || len(c.Others) != 1 {
			t.Fatalf("%s: %v", name, err)
		}
		format, err := c.Others[0].read()
		if err != nil {
			t.Fatal(err)
		}
		text := guided[name].text
		a, errA := format.Parse(text)
		b, errB := l.format.Parse(text)
		if errA != nil || errB != nil || a.ID != b.ID || a.Secret.Reveal() != b.Secret.Reveal() {
			t.Errorf("%s: the ID is %q and %q, %v, %v", name, a.ID, b.ID, errA, errB)
		}
	}
}

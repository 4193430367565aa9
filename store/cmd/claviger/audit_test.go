package main

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/store/sqlitestore"
)

// verify reports a trail that somebody has edited, by the first entry that is wrong and
// by its exit status. A checkpoint that was kept shows what the database alone cannot.
func TestAuditFinds(t *testing.T) {
	for _, tt := range []struct {
		name, edit string
		plain      bool // whether it is found without a checkpoint
		want       string
	}{
		{"a changed entry", "UPDATE claviger_trail SET actor = 'cli:bert' WHERE seq = 2", true, "entry 2 was changed"},
		{"a removed entry", "DELETE FROM claviger_trail WHERE seq = 2", true, "entry 2 is missing"},
		{
			"an end that was removed with its note", "DELETE FROM claviger_trail WHERE seq = 3; UPDATE claviger_chains SET seq = 2, " +
				"hash = (SELECT hash FROM claviger_trail WHERE seq = 2)", false, "entry 3 is missing",
		},
		{
			"an organization that was removed with all that it had",
			"DELETE FROM claviger_trail; DELETE FROM claviger_chains; DELETE FROM claviger_records", false, "entry 1 is missing",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlayground(t)
			for _, line := range []string{"migrate", "keys create -org acme >key", "pause $ID", "revoke $ID", "audit verify -json >checkpoints"} {
				if out := p.run(t, "claviger "+line); strings.Contains(out, "exit status") {
					t.Fatalf("%s: %s", line, out)
				}
			}
			db, err := sql.Open("sqlite", filepath.Join(p.dir, "claviger.db"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), tt.edit); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			for command, found := range map[string]bool{
				"audit verify": tt.plain, "audit verify acme": tt.plain,
				"audit verify -checkpoints checkpoints": true, "audit verify acme -checkpoints checkpoints": true,
			} {
				out := p.run(t, "claviger "+command)
				if got := strings.Contains(out, "(exit status 5)") && strings.Contains(out, tt.want); got != found {
					t.Errorf("%s printed\n%s", command, out)
				}
				out = p.run(t, "claviger "+command+" -json")
				if got := strings.Contains(out, `"wrong":`+tt.want[6:7]) && strings.Contains(out, "(exit status 5)"); got != found {
					t.Errorf("%s -json printed\n%s", command, out)
				}
			}
		})
	}
}

// What was refused stands in the list with its reason, and how often that was.
func TestAuditListsRefusals(t *testing.T) {
	p := newPlayground(t)
	p.run(t, "claviger migrate")
	p.run(t, "claviger keys create -org acme >key")
	s, err := sqlitestore.Open(filepath.Join(p.dir, "claviger.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{1, 3} {
		e := keys.Entry{Org: "acme", Time: time.Now().UTC().Truncate(time.Millisecond), Action: keys.ActionRefused, ID: p.id, Kind: keys.KindKey, Reason: keys.ReasonScope, Count: n}
		if err := s.AddEntry(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	out := p.run(t, "claviger audit list acme")
	if !strings.Contains(out, "  insufficient_scope\n") || !strings.Contains(out, "  insufficient_scope, 3 times\n") {
		t.Errorf("the list is\n%s", out)
	}
}

// What cannot be done says why.
func TestAuditRefuses(t *testing.T) {
	p := newPlayground(t)
	p.run(t, "claviger migrate")
	p.run(t, "claviger keys create -org acme >key")
	p.run(t, "claviger audit verify -json >checkpoints")
	p.write(t, "wrong", "{}")
	p.write(t, "none", "")
	for line, want := range map[string]string{
		"audit list acme -limit 0":                     "(exit status 2)",
		"audit verify -checkpoints wrong":              "(exit status 2)",
		"audit verify -checkpoints nowhere":            "(exit status 2)",
		"audit cut acme":                               "-checkpoints is missing",
		"audit cut acme -checkpoints none":             "no checkpoint of that organization",
		"audit cut globex -checkpoints checkpoints":    "no checkpoint of that organization",
		"audit verify globex -checkpoints checkpoints": "no organization of that name has any",
		"audit verify -checkpoints none":               "sound",
		"audit list globex":                            "no organization of that name has any",
		"audit cut acme -yes -checkpoints checkpoints": "sound",
		"audit list acme -id $ID":                      "ACTION",
	} {
		if out := p.run(t, "claviger "+line); !strings.Contains(out, want) {
			t.Errorf("%s printed\n%s", line, out)
		}
	}
}

// The newest entries are listed, as many as were asked for; those about a credential
// are also the ones that name it as the other one. A secret is no ID.
func TestAuditListsTheNewest(t *testing.T) {
	p := newPlayground(t)
	p.run(t, "claviger migrate")
	p.run(t, "claviger keys create -org acme >key")
	s, err := sqlitestore.Open(filepath.Join(p.dir, "claviger.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range int64(30) {
		e := keys.Entry{Org: "acme", Time: time.Now().UTC().Truncate(time.Millisecond), Action: keys.ActionRefused, ID: "key_1", Other: "key_2", Count: n + 1}
		if err := s.AddEntry(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"audit list acme -limit 2", "audit list acme -limit 2 -id key_1", "audit list acme -limit 2 -id key_2"} {
		out := p.run(t, "claviger "+command+" -json")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], `"count":29`) || !strings.Contains(lines[1], `"count":30`) {
			t.Errorf("%s printed\n%s", command, out)
		}
	}
	secret := strings.TrimSpace(readText(t, filepath.Join(p.dir, "key")))
	if out := p.run(t, "claviger audit list acme -id "+secret); !strings.Contains(out, "(exit status 2)") || strings.Contains(out, secret) {
		t.Errorf("a secret in place of an ID printed\n%s", out)
	}
}

// The trail of an organization that is not there is not sound: its name was mistyped. An
// organization may have credentials and no entries.
func TestAuditOfNobody(t *testing.T) {
	p := newPlayground(t)
	p.run(t, "claviger migrate")
	p.run(t, "claviger keys create -org acme >key")
	p.write(t, "plain.json", "{}")
	p.run(t, "claviger keys create -org untrailed -config plain.json >key")
	for _, verb := range []string{"list", "verify"} {
		for org, want := range map[string]bool{"acme": false, "untrailed": false, "acne": true} {
			for _, json := range []string{"", " -json"} {
				out := p.run(t, "claviger audit "+verb+" "+org+json)
				if got := strings.Contains(out, "no organization of that name has any\n(exit status 3)"); got != want || strings.Contains(out, "exit status") != want {
					t.Errorf("audit %s %s%s printed\n%s", verb, org, json, out)
				}
			}
		}
	}
}
